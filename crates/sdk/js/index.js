/**
 * Write Millstream functions in JavaScript or TypeScript.
 *
 * A function is a module that exports `process(record, out)`, and `configure(settings)` if it has settings; the build turns it into a
 * component. `out.keep()`, `out.value(..)`, `out.json(..)` and `out.row({..})` say what becomes of the record; a record about which nothing
 * is said is dropped, and one for which `process` throws goes the way of the function's error policy.
 */
import { emit } from "millstream:transform/sink@1.0.0";
import { log as write } from "millstream:transform/logger@1.0.0";
import { Batch, Record } from "./batch.js";
import { Output } from "./output.js";

export { Batch, Record, Output };

/** Adds a line to the function's log; level is "debug", "info", "warn" or "error". */
export function log(level, message) {
  write(level, String(message));
}

/** What the component exports for the function in `module`. The build calls it. */
export function component(module) {
  if (typeof module.process !== "function") {
    throw new TypeError("the function's module must export process(record, out)");
  }
  const out = new Output();
  const words = (error) => (error instanceof Error ? error.message : String(error));
  return {
    configure(settings) {
      try {
        module.configure?.(JSON.parse(settings));
      } catch (error) {
        throw words(error);
      }
    },
    process(bytes) {
      const batch = new Batch(bytes);
      const record = new Record(batch);
      out.clear(batch.length);
      for (let index = 0; index < batch.length; index++) {
        record.index = index;
        out.input = index;
        try {
          module.process(record, out);
        } catch (error) {
          out.fail(words(error));
        }
      }
      emit(out.pack());
    },
  };
}
