/**
 * The output: what becomes of each record of a batch.
 */
import { encodeInto } from "./text.js";

const SECTIONS = 21;
const HEADER = 24;
const KEY = 1;
const VALUE = 2;
const HEADERS = 4;
const TIMESTAMP = 8;
const VALUE_ONLY = KEY | HEADERS | TIMESTAMP;

/** Bytes that grow. */
class Bytes {
  constructor(room) {
    this.bytes = new Uint8Array(room);
    this.length = 0;
  }

  reserve(more) {
    if (this.length + more > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length + more, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
  }

  push(value) {
    if (typeof value === "string") {
      this.reserve(value.length * 3);
      this.length = encodeInto(value, this.bytes, this.length);
    } else if (value instanceof Uint8Array) {
      this.reserve(value.length);
      this.bytes.set(value, this.length);
      this.length += value.length;
    } else {
      throw new TypeError(`expected text or bytes (a Uint8Array), got ${value === undefined ? "undefined" : typeof value}`);
    }
  }
}

/** A column of byte strings as it grows. */
class Column {
  constructor(room) {
    this.data = new Bytes(room);
    this.ends = [];
    this.nulls = [];
  }

  clear() {
    this.data.length = 0;
    this.ends.length = 0;
    this.nulls.length = 0;
  }

  push(value) {
    if (value === null) {
      this.nulls.push(this.ends.length);
    } else {
      this.data.push(value);
    }
    this.ends.push(this.data.length);
  }

  skip() {
    this.ends.push(this.data.length);
  }

  truncate(length) {
    this.ends.length = length;
    this.data.length = length === 0 ? 0 : this.ends[length - 1];
    while (this.nulls.length > 0 && this.nulls[this.nulls.length - 1] >= length) {
      this.nulls.pop();
    }
  }
}

/** What becomes of a batch's records, said record by record. */
export class Output {
  constructor() {
    this.keys = new Column(1024);
    this.values = new Column(1 << 16);
    this.headerNames = new Column(256);
    this.headerValues = new Column(256);
    this.messages = new Column(256);
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
    this.headerEnds.push(this.headerNames.ends.length);
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
    return writer.bytes.bytes.slice(0, writer.bytes.length);
  }
}

/** Writes the packed batch, section by section. */
class Writer {
  constructor(output) {
    this.bytes = new Bytes(4096 + output.values.data.length + output.keys.data.length + output.inputs.length * 24 + output.records);
    this.bytes.length = HEADER + SECTIONS * 8;
    this.at = HEADER;
    this.word(0, 0x424f534d);
    this.word(4, 1 | (SECTIONS << 16));
    [output.records, output.inputs.length, output.headerNames.ends.length, output.failed.length].forEach((count, at) => this.word(8 + at * 4, count));
  }

  word(at, number) {
    const bytes = this.bytes.bytes;
    bytes[at] = number;
    bytes[at + 1] = number >>> 8;
    bytes[at + 2] = number >>> 16;
    bytes[at + 3] = number >>> 24;
  }

  /** Begins a section of `length` bytes and returns where its content goes. */
  section(length) {
    const aligned = (8 - (this.bytes.length & 7)) & 7;
    this.bytes.reserve(aligned + length);
    const start = this.bytes.length + aligned;
    this.bytes.length = start + length;
    this.word(this.at, start);
    this.word(this.at + 4, length);
    this.at += 8;
    return start;
  }

  words(numbers, wanted = true) {
    const start = this.section(wanted ? numbers.length * 4 : 0);
    if (wanted && numbers.length > 0) {
      new Uint32Array(this.bytes.bytes.buffer, start, numbers.length).set(numbers);
    }
  }

  data(bytes) {
    const start = this.section(bytes.length);
    this.bytes.bytes.set(bytes.bytes.subarray(0, bytes.length), start);
  }

  bitmap(set, elements) {
    const start = this.section(set.length === 0 ? 0 : (elements + 7) >> 3);
    const bytes = this.bytes.bytes;
    for (const index of set) {
      bytes[start + (index >> 3)] |= 1 << (index & 7);
    }
  }

  column(column, wanted = true) {
    this.words(column.ends, wanted);
    this.bitmap(column.nulls, column.ends.length);
    this.data(column.data);
  }

  verdicts(output) {
    this.bitmap(output.kept, output.records);
    const routed = output.keptTopics.some((topic) => topic !== 0);
    const topics = this.section(routed ? output.records : 0);
    if (routed) {
      output.kept.forEach((input, at) => (this.bytes.bytes[topics + input] = output.keptTopics[at]));
    }
    this.bitmap(output.failed, output.records);
    this.words(output.messages.ends);
    this.data(output.messages.data);
  }

  rows(output) {
    this.words(output.inputs);
    const topics = this.section(output.anyTopic ? output.topics.length * 2 : 0);
    if (output.anyTopic) {
      new Uint16Array(this.bytes.bytes.buffer, topics, output.topics.length).set(output.topics);
    }
    const inherits = this.section(output.anyInherits ? output.inherits.length : 0);
    if (output.anyInherits) {
      this.bytes.bytes.set(output.inherits, inherits);
    }
    const timestamps = this.section(output.anyTimestamp ? output.timestamps.length * 8 : 0);
    if (output.anyTimestamp) {
      new BigInt64Array(this.bytes.bytes.buffer, timestamps, output.timestamps.length).set(output.timestamps.map(BigInt));
    }
    this.column(output.keys, output.anyKey);
    this.column(output.values);
    this.words(output.headerEnds, output.headerNames.ends.length > 0);
    this.words(output.headerNames.ends);
    this.data(output.headerNames.data);
    this.column(output.headerValues);
  }
}
