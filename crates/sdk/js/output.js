/**
 * The output: what becomes of each record of a batch.
 *
 * A call on each record is the hot path, and an operation costs QuickJS some 100 ns: a row that only has a new value is one number and
 * one text, everything else about rows is kept only for those that have it.
 */
import { latin1, utf8 } from "./text.js";

const SECTIONS = 21;
const HEADER = 32;
const KEY = 1;
const VALUE = 2;
const HEADERS = 4;
const TIMESTAMP = 8;
const VALUE_ONLY = KEY | HEADERS | TIMESTAMP;
const KEYS_LATIN1 = 1;
const VALUES_LATIN1 = 2;

function isContent(value) {
  return typeof value === "string" || value === null || value instanceof Uint8Array;
}

function checked(value) {
  if (!isContent(value)) {
    throw new TypeError(`expected text, bytes (a Uint8Array) or null, got ${value === undefined ? "undefined" : typeof value}`);
  }
  return value;
}

/** Texts and byte strings as a column: ends, the indexes of nulls, and data as a list of byte strings. */
function column(parts, texts) {
  const ends = new Uint32Array(parts.length);
  if (texts) {
    const data = latin1(parts.join(""));
    if (data !== undefined) {
      let end = 0;
      for (let at = 0; at < parts.length; at++) {
        ends[at] = end += parts[at].length;
      }
      return { ends, nulls: [], data: [data], length: end, latin1: true };
    }
  }
  const [nulls, data] = [[], []];
  let end = 0;
  parts.forEach((part, at) => {
    if (part === null) {
      nulls.push(at);
    } else {
      const bytes = typeof part === "string" ? utf8(part) : part;
      data.push(bytes);
      end += bytes.length;
    }
    ends[at] = end;
  });
  return { ends, nulls, data, length: end, latin1: false };
}

const ABSENT = { ends: [], nulls: [], data: [], length: 0, latin1: false };

/** What becomes of a batch's records, said record by record. */
export class Output {
  constructor() {
    this.clear(0);
  }

  clear(records) {
    this.records = records;
    this.input = 0;
    this.failed = [];
    this.messages = [];
    this.kept = [];
    this.keptTopics = [];
    this.routed = false;
    this.inputs = [];
    this.values = [];
    // Rows that have more than a new value, by their index.
    this.special = new Map();
    this.texts = true;
  }

  /** Passes the record on as it is, to the output topic of that index. */
  keep(topic = 0) {
    this.routed ||= topic !== 0;
    if (this.kept[this.kept.length - 1] === this.input) {
      this.keptTopics[this.kept.length - 1] = topic;
    } else {
      this.kept.push(this.input);
      this.keptTopics.push(topic);
    }
  }

  /** Passes the record on with another value (text, bytes, or null) to the first output topic. */
  value(value) {
    if (typeof value !== "string") {
      checked(value);
      this.texts = false;
    }
    this.values.push(value);
    this.inputs.push(this.input);
  }

  /** Passes the record on with the JSON of `value` as its value. */
  json(value) {
    this.value(JSON.stringify(value));
  }

  /** Writes a record; what is left out of key, value, headers and timestamp is the input's. */
  row({ topic = 0, key, value, headers, timestamp }) {
    const own = headers === undefined ? undefined : [...headers].map(([name, content]) => [String(name), checked(content)]);
    const row = { topic, key: key === undefined ? undefined : checked(key), headers: own, timestamp, inherits: 0 };
    row.inherits |= key === undefined ? KEY : 0;
    row.inherits |= value === undefined ? VALUE : 0;
    row.inherits |= own === undefined ? HEADERS : 0;
    row.inherits |= timestamp === undefined ? TIMESTAMP : 0;
    this.value(value === undefined ? "" : value);
    this.special.set(this.inputs.length - 1, row);
  }

  /** The record can't be processed, and why. What was said about it before is taken back. */
  fail(message) {
    while (this.inputs.length > 0 && this.inputs[this.inputs.length - 1] === this.input) {
      this.inputs.pop();
      this.values.pop();
      this.special.delete(this.inputs.length);
    }
    if (this.kept[this.kept.length - 1] === this.input) {
      this.kept.pop();
      this.keptTopics.pop();
    }
    if (this.failed[this.failed.length - 1] !== this.input) {
      this.failed.push(this.input);
      this.messages.push(String(message));
    }
  }

  /** The packed batch of everything said. */
  pack() {
    const rows = this.special.size === 0 ? [] : this.inputs.map((_, at) => this.special.get(at));
    const headers = rows.flatMap((row) => row?.headers ?? []);
    const writer = new Writer([this.records, this.inputs.length, headers.length, this.failed.length]);
    writer.verdicts(this);
    writer.rows(this, rows);
    writer.headers(rows, headers);
    return writer.bytes.subarray(0, writer.length);
  }
}

/** Writes the packed batch, section by section. */
class Writer {
  constructor(counts) {
    this.bytes = new Uint8Array(1 << 16);
    this.view = new DataView(this.bytes.buffer);
    this.length = HEADER + SECTIONS * 8;
    this.at = HEADER;
    this.view.setUint32(0, 0x424f534d, true);
    this.view.setUint32(4, 1 | (SECTIONS << 16), true);
    counts.forEach((count, at) => this.view.setUint32(8 + at * 4, count, true));
  }

  /** Begins a section of `length` bytes and returns where its content goes. */
  section(length) {
    const start = (this.length + 7) & ~7;
    if (start + length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(start + length + 4096, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    this.length = start + length;
    this.view.setUint32(this.at, start, true);
    this.view.setUint32(this.at + 4, length, true);
    this.at += 8;
    return start;
  }

  words(numbers) {
    const start = this.section(numbers.length * 4);
    new Uint32Array(this.bytes.buffer, start, numbers.length).set(numbers);
  }

  bitmap(set, elements) {
    const start = this.section(set.length === 0 ? 0 : (elements + 7) >> 3);
    for (const index of set) {
      this.bytes[start + (index >> 3)] |= 1 << (index & 7);
    }
  }

  column({ ends, nulls, data, length }, withNulls = true) {
    this.words(ends);
    if (withNulls) {
      this.bitmap(nulls, ends.length);
    }
    let at = this.section(length);
    for (const part of data) {
      this.bytes.set(part, at);
      at += part.length;
    }
  }

  verdicts(output) {
    this.bitmap(output.kept, output.records);
    const topics = this.section(output.routed ? output.records : 0);
    if (output.routed) {
      output.kept.forEach((input, at) => (this.bytes[topics + input] = output.keptTopics[at]));
    }
    this.bitmap(output.failed, output.records);
    // Messages and header names are UTF-8 always: as a list of byte strings, not as Latin-1.
    this.column(column(output.messages, false), false);
  }

  rows(output, rows) {
    const special = output.special.size > 0;
    this.words(output.inputs);
    this.shorts(special ? rows.map((row) => row?.topic ?? 0) : []);
    const inherits = special ? rows.map((row) => row?.inherits ?? VALUE_ONLY) : [];
    this.bytes.set(inherits, this.section(inherits.length));
    const timed = special && rows.some((row) => row?.timestamp !== undefined);
    this.longs(timed ? rows.map((row) => BigInt(row?.timestamp ?? 0)) : []);
    const keyed = special && rows.some((row) => row?.key !== undefined);
    const keys = keyed ? rows.map((row) => (row?.key === undefined ? "" : row.key)) : [];
    const packedKeys = keyed ? column(keys, keys.every((key) => typeof key === "string")) : ABSENT;
    this.column(packedKeys);
    const packedValues = column(output.values, output.texts);
    this.column(packedValues);
    this.view.setUint32(24, (packedKeys.latin1 ? KEYS_LATIN1 : 0) | (packedValues.latin1 ? VALUES_LATIN1 : 0), true);
  }

  shorts(numbers) {
    const start = this.section(numbers.length * 2);
    new Uint16Array(this.bytes.buffer, start, numbers.length).set(numbers);
  }

  longs(numbers) {
    const start = this.section(numbers.length * 8);
    new BigInt64Array(this.bytes.buffer, start, numbers.length).set(numbers);
  }

  headers(rows, headers) {
    let end = 0;
    this.words(headers.length === 0 ? [] : rows.map((row) => (end += row?.headers?.length ?? 0)));
    this.column(column(headers.map(([name]) => name), false), false);
    this.column(column(headers.map(([, value]) => value), false));
  }
}
