/**
 * The output: what becomes of each record of a batch.
 */
import { bytesOf, utf8 } from "./text.js";

const SECTIONS = 21;
const HEADER = 24;
const KEY = 1;
const VALUE = 2;
const HEADERS = 4;
const TIMESTAMP = 8;
const VALUE_ONLY = KEY | HEADERS | TIMESTAMP;

/** A column of text and byte strings as it grows. Texts are made bytes all at once, when the column is packed. */
class Column {
  constructor() {
    this.parts = [];
  }

  get length() {
    return this.parts.length;
  }

  clear() {
    this.parts.length = 0;
  }

  push(value) {
    if (typeof value !== "string" && value !== null && !(value instanceof Uint8Array)) {
      throw new TypeError(`expected text, bytes (a Uint8Array) or null, got ${value === undefined ? "undefined" : typeof value}`);
    }
    this.parts.push(value);
  }

  /** A row without a value of its own in this column. */
  skip() {
    this.parts.push("");
  }

  truncate(length) {
    this.parts.length = length;
  }

  /** Ends, the indexes of nulls, and data, which is a list of byte strings. */
  packed() {
    const ends = new Uint32Array(this.parts.length);
    if (this.parts.every((part) => typeof part === "string")) {
      const text = this.parts.join("");
      const data = utf8(text);
      if (data.length === text.length) {
        // All of it is ASCII: a text has as many bytes as characters.
        let end = 0;
        this.parts.forEach((part, at) => (ends[at] = end += part.length));
        return { ends, nulls: [], data: [bytesOf(data)], length: end };
      }
    }
    const [nulls, data] = [[], []];
    let end = 0;
    this.parts.forEach((part, at) => {
      if (part === null) {
        nulls.push(at);
      } else {
        const bytes = typeof part === "string" ? bytesOf(utf8(part)) : part;
        data.push(bytes);
        end += bytes.length;
      }
      ends[at] = end;
    });
    return { ends, nulls, data, length: end };
  }
}

/** What becomes of a batch's records, said record by record. */
export class Output {
  constructor() {
    this.keys = new Column();
    this.values = new Column();
    this.headerNames = new Column();
    this.headerValues = new Column();
    this.messages = new Column();
    this.failed = [];
    this.kept = [];
    this.keptTopics = [];
    this.inputs = [];
    this.topics = [];
    this.inherits = [];
    this.timestamps = [];
    this.headerEnds = [];
  }

  clear(records) {
    this.records = records;
    this.anyTopic = this.anyInherits = this.anyTimestamp = this.anyKey = false;
    for (const column of [this.keys, this.values, this.headerNames, this.headerValues, this.messages]) {
      column.clear();
    }
    for (const list of [this.failed, this.kept, this.keptTopics, this.inputs, this.topics, this.inherits, this.timestamps, this.headerEnds]) {
      list.length = 0;
    }
    this.begin(0);
  }

  begin(input) {
    this.input = input;
    this.firstRow = this.inputs.length;
    this.firstKept = this.kept.length;
  }

  /** Passes the record on as it is, to the output topic of that index. */
  keep(topic = 0) {
    if (this.kept.length > this.firstKept) {
      this.keptTopics[this.firstKept] = topic;
    } else {
      this.kept.push(this.input);
      this.keptTopics.push(topic);
    }
  }

  /** Passes the record on with another value (text, bytes, or null) to the first output topic. */
  value(value) {
    this.values.push(value);
    this.keys.skip();
    this.finish(0, VALUE_ONLY, 0);
  }

  /** Passes the record on with the JSON of `value` as its value. */
  json(value) {
    this.value(JSON.stringify(value));
  }

  /** Writes a record; what is left out of key, value, headers and timestamp is the input's. */
  row({ topic = 0, key, value, headers, timestamp }) {
    let inherits = 0;
    if (key === undefined) {
      inherits |= KEY;
      this.keys.skip();
    } else {
      this.anyKey = true;
      this.keys.push(key);
    }
    try {
      if (value === undefined) {
        inherits |= VALUE;
        this.values.skip();
      } else {
        this.values.push(value);
      }
      inherits |= this.rowHeaders(headers);
    } catch (error) {
      this.takeBack(this.inputs.length);
      throw error;
    }
    inherits |= timestamp === undefined ? TIMESTAMP : 0;
    this.finish(topic, inherits, timestamp ?? 0);
  }

  rowHeaders(headers) {
    if (headers === undefined) {
      return HEADERS;
    }
    for (const [name, value] of headers) {
      this.headerNames.push(name);
      this.headerValues.push(value);
    }
    return 0;
  }

  finish(topic, inherits, timestamp) {
    this.anyTopic ||= topic !== 0;
    this.anyInherits ||= inherits !== VALUE_ONLY;
    this.anyTimestamp ||= timestamp !== 0;
    this.inputs.push(this.input);
    this.topics.push(topic);
    this.inherits.push(inherits);
    this.timestamps.push(timestamp);
    this.headerEnds.push(this.headerNames.length);
  }

  takeBack(rows) {
    for (const list of [this.inputs, this.topics, this.inherits, this.timestamps, this.headerEnds]) {
      list.length = rows;
    }
    this.keys.truncate(rows);
    this.values.truncate(rows);
    const headers = rows === 0 ? 0 : this.headerEnds[rows - 1];
    this.headerNames.truncate(headers);
    this.headerValues.truncate(headers);
  }

  /** The record can't be processed, and why. What was said about it before is taken back. */
  fail(message) {
    this.takeBack(this.firstRow);
    this.kept.length = this.keptTopics.length = this.firstKept;
    if (this.failed[this.failed.length - 1] !== this.input) {
      this.failed.push(this.input);
      this.messages.push(String(message));
    }
  }

  /** The packed batch of everything said. */
  pack() {
    const writer = new Writer(this);
    writer.verdicts(this);
    writer.rows(this);
    return writer.bytes.subarray(0, writer.length);
  }
}

/** Writes the packed batch, section by section. */
class Writer {
  constructor(output) {
    this.bytes = new Uint8Array(1 << 16);
    this.length = HEADER + SECTIONS * 8;
    this.at = HEADER;
    this.word(0, 0x424f534d);
    this.word(4, 1 | (SECTIONS << 16));
    [output.records, output.inputs.length, output.headerNames.length, output.failed.length].forEach((count, at) => this.word(8 + at * 4, count));
  }

  word(at, number) {
    new DataView(this.bytes.buffer).setUint32(at, number, true);
  }

  /** Begins a section of `length` bytes and returns where its content goes. */
  section(length) {
    const start = (this.length + 7) & ~7;
    if (start + length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(start + length + 4096, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.length = start + length;
    this.word(this.at, start);
    this.word(this.at + 4, length);
    this.at += 8;
    return start;
  }

  words(numbers) {
    const start = this.section(numbers.length * 4);
    new Uint32Array(this.bytes.buffer, start, numbers.length).set(numbers);
  }

  data(parts, length) {
    let at = this.section(length);
    for (const part of parts) {
      this.bytes.set(part, at);
      at += part.length;
    }
  }

  bitmap(set, elements) {
    const start = this.section(set.length === 0 ? 0 : (elements + 7) >> 3);
    for (const index of set) {
      this.bytes[start + (index >> 3)] |= 1 << (index & 7);
    }
  }

  column(column, { absent = false, nulls = true } = {}) {
    const packed = absent ? { ends: [], nulls: [], data: [], length: 0 } : column.packed();
    this.words(packed.ends);
    if (nulls) {
      this.bitmap(packed.nulls, packed.ends.length);
    }
    this.data(packed.data, packed.length);
  }

  verdicts(output) {
    this.bitmap(output.kept, output.records);
    const routed = output.keptTopics.some((topic) => topic !== 0);
    const topics = this.section(routed ? output.records : 0);
    if (routed) {
      output.kept.forEach((input, at) => (this.bytes[topics + input] = output.keptTopics[at]));
    }
    this.bitmap(output.failed, output.records);
    this.column(output.messages, { nulls: false });
  }

  rows(output) {
    this.words(output.inputs);
    const topics = this.section(output.anyTopic ? output.topics.length * 2 : 0);
    if (output.anyTopic) {
      new Uint16Array(this.bytes.buffer, topics, output.topics.length).set(output.topics);
    }
    const inherits = this.section(output.anyInherits ? output.inherits.length : 0);
    if (output.anyInherits) {
      this.bytes.set(output.inherits, inherits);
    }
    const timestamps = this.section(output.anyTimestamp ? output.timestamps.length * 8 : 0);
    if (output.anyTimestamp) {
      new BigInt64Array(this.bytes.buffer, timestamps, output.timestamps.length).set(output.timestamps.map(BigInt));
    }
    this.column(output.keys, { absent: !output.anyKey });
    this.column(output.values);
    this.words(output.headerNames.length > 0 ? output.headerEnds : []);
    this.column(output.headerNames, { nulls: false });
    this.column(output.headerValues);
  }
}
