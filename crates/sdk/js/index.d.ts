/** Write Millstream functions in JavaScript or TypeScript. */

/** Text (written as UTF-8) or bytes; null is Kafka's null. */
export type Content = string | Uint8Array | null;

/** One record of a batch. The same object serves one record after another: read what you need before `process` returns. */
export interface Record {
  /** Its place in the batch. */
  readonly index: number;
  /** Its offset in its partition. */
  readonly offset: bigint;
  /** Its timestamp, in milliseconds since the Unix epoch. */
  readonly timestamp: number;
  /** Its key. */
  readonly key: Uint8Array | null;
  /** Its value; null for a tombstone. */
  readonly value: Uint8Array | null;
  /** Its key as text; throws when it is not UTF-8. */
  keyText(): string | null;
  /** Its value as text; throws when there is none or it is not UTF-8. */
  text(): string;
  /** Its value as JSON; throws when it is not. */
  json(): any;
  /** Its headers, in order; names may come twice. */
  headers(): [string, Uint8Array | null][];
}

/** A record on its way out. What is left out of key, value, headers and timestamp is the input's. */
export interface Row {
  /** Which output topic, from 0. */
  topic?: number;
  key?: Content;
  value?: Content;
  headers?: Iterable<[string, Content]>;
  /** Milliseconds since the Unix epoch. */
  timestamp?: number;
}

/** What becomes of the record. */
export interface Output {
  /** Passes it on as it is, to the output topic of that index (0 when left out). */
  keep(topic?: number): void;
  /** Passes it on with another value, to the first output topic. */
  value(value: Content): void;
  /** Passes it on with the JSON of `value`, to the first output topic. */
  json(value: unknown): void;
  /** Writes a record of any shape; may be called several times. */
  row(row: Row): void;
  /** It can't be processed, and why; the same as to throw. What was said about it before is taken back. */
  fail(message: string): void;
}

/** What a function's module exports. */
export interface FunctionModule {
  /** Takes the deployment's settings; throw to refuse them. */
  configure?(settings: any): void;
  /** Says what becomes of one record; throw when it can't be processed. */
  process(record: Record, out: Output): void;
}

/** Adds a line to the function's log. */
export function log(level: "debug" | "info" | "warn" | "error", message: unknown): void;

/** What the component exports for the function in `module`. The build calls it. */
export function component(module: FunctionModule): { configure(settings: string): void; process(batch: Uint8Array): void };
