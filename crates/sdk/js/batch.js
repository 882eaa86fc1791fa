/**
 * The input: one packed batch, read in place. The layout is drawn in `wit/transform-1.0.0/transform.wit`.
 */
import { binary, decode } from "./text.js";

const HEADER = 24;
const KEYS_ASCII = 1;
const VALUES_ASCII = 2;
const SECTIONS = 15;
const VERSION = 1;

/** A column of byte strings within the batch. */
class Column {
  constructor(bytes, view, first, hasNulls, ascii) {
    this.bytes = bytes;
    this.view = view;
    const ends = section(view, first);
    // Sections begin at multiples of 8, and a list that the host passes is a buffer of its own.
    this.ends = new Uint32Array(bytes.buffer, bytes.byteOffset + ends.at, ends.length / 4);
    this.nulls = hasNulls ? section(view, first + 1) : { at: 0, length: 0 };
    const data = section(view, first + (hasNulls ? 2 : 1));
    this.data = data.at;
    this.length = data.length;
    // All values as one string of one character a byte, from which each is cut: made when the first text is asked for.
    this.ascii = ascii;
    this.all = undefined;
  }

  isNull(index) {
    return this.nulls.length > 0 && ((this.bytes[this.nulls.at + (index >> 3)] >> (index & 7)) & 1) === 1;
  }

  /** Where a value begins and ends within the column's data. */
  start(index) {
    return index === 0 ? 0 : this.ends[index - 1];
  }

  end(index) {
    return this.ends[index];
  }

  get(index) {
    return this.isNull(index) ? null : this.bytes.subarray(this.data + this.start(index), this.data + this.end(index));
  }

  text(index) {
    if (this.nulls.length > 0 && this.isNull(index)) {
      return null;
    }
    this.all ??= binary(this.bytes.subarray(this.data, this.data + this.length));
    const text = this.all.slice(index === 0 ? 0 : this.ends[index - 1], this.ends[index]);
    return this.ascii ? text : decode(text);
  }
}

function section(view, index) {
  const at = HEADER + index * 8;
  return { at: view.getUint32(at, true), length: view.getUint32(at + 4, true) };
}

/** The records of one call. */
export class Batch {
  constructor(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const version = bytes.length < HEADER ? 0 : view.getUint16(4, true);
    if (bytes.length < HEADER || view.getUint32(0, true) !== 0x4249534d || version !== VERSION || view.getUint16(6, true) < SECTIONS) {
      throw new Error(`the host passed a packed batch of version ${version}; this SDK reads version ${VERSION}`);
    }
    this.view = view;
    this.length = view.getUint32(8, true);
    this.offsets = section(view, 0).at;
    this.timestamps = section(view, 1).at;
    const flags = view.getUint32(16, true);
    this.keys = new Column(bytes, view, 2, true, (flags & KEYS_ASCII) !== 0);
    this.values = new Column(bytes, view, 5, true, (flags & VALUES_ASCII) !== 0);
    this.headerEnds = section(view, 8);
    this.headerNames = new Column(bytes, view, 9, false, false);
    this.headerValues = new Column(bytes, view, 11, true, false);
  }
}

/** One record of a batch. The same object serves one record after another: read what you need before `process` returns. */
export class Record {
  constructor(batch) {
    this.batch = batch;
    this.index = 0;
  }

  get offset() {
    return this.batch.view.getBigInt64(this.batch.offsets + this.index * 8, true);
  }

  get timestamp() {
    return Number(this.batch.view.getBigInt64(this.batch.timestamps + this.index * 8, true));
  }

  get key() {
    return this.batch.keys.get(this.index);
  }

  get value() {
    return this.batch.values.get(this.index);
  }

  keyText() {
    return this.batch.keys.text(this.index);
  }

  text() {
    const text = this.batch.values.text(this.index);
    if (text === null) {
      throw new Error("the record has no value");
    }
    return text;
  }

  json() {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new Error(`the value is not JSON: ${error.message}`);
    }
  }

  headers() {
    const { headerEnds, view, headerNames, headerValues } = this.batch;
    const found = [];
    if (headerEnds.length > 0) {
      const end = view.getUint32(headerEnds.at + this.index * 4, true);
      for (let at = this.index === 0 ? 0 : view.getUint32(headerEnds.at + (this.index - 1) * 4, true); at < end; at++) {
        found.push([headerNames.text(at), headerValues.get(at)]);
      }
    }
    return found;
  }
}
