/**
 * UTF-8 both ways, without assuming that the engine brings an encoder: QuickJS has none of its own.
 */

const encoder = typeof TextEncoder === "undefined" ? undefined : new TextEncoder();
const decoder = typeof TextDecoder === "undefined" ? undefined : new TextDecoder("utf-8", { fatal: true });

/** The text of UTF-8 bytes `from`..`to` of `bytes`; throws when they are not UTF-8. */
export function decode(bytes, from, to) {
  let ascii = true;
  for (let at = from; at < to; at++) {
    if (bytes[at] > 127) {
      ascii = false;
      break;
    }
  }
  if (ascii) {
    let text = "";
    for (let at = from; at < to; at += 4096) {
      text += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(at + 4096, to)));
    }
    return text;
  }
  return decoder ? decoder.decode(bytes.subarray(from, to)) : decodeSlowly(bytes, from, to);
}

function decodeSlowly(bytes, from, to) {
  let escaped = "";
  for (let at = from; at < to; at++) {
    escaped += "%" + (bytes[at] < 16 ? "0" : "") + bytes[at].toString(16);
  }
  try {
    return decodeURIComponent(escaped);
  } catch {
    throw new Error("the bytes are not UTF-8");
  }
}

/** Writes text as UTF-8 into `to` at `at`, which has room for 3 bytes a UTF-16 unit. Returns where it ends. */
export function encodeInto(text, to, at) {
  const length = text.length;
  let index = 0;
  for (; index < length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 127) {
      break;
    }
    to[at + index] = unit;
  }
  at += index;
  if (index === length) {
    return at;
  }
  if (encoder) {
    return at + encoder.encodeInto(text.slice(index), to.subarray(at)).written;
  }
  for (const character of text.slice(index)) {
    at = encodePoint(character.codePointAt(0), to, at);
  }
  return at;
}

function encodePoint(point, to, at) {
  if (point >= 0xd800 && point <= 0xdfff) {
    point = 0xfffd;
  }
  if (point < 0x80) {
    to[at++] = point;
  } else if (point < 0x800) {
    to[at++] = 0xc0 | (point >> 6);
    to[at++] = 0x80 | (point & 63);
  } else if (point < 0x10000) {
    to[at++] = 0xe0 | (point >> 12);
    to[at++] = 0x80 | ((point >> 6) & 63);
    to[at++] = 0x80 | (point & 63);
  } else {
    to[at++] = 0xf0 | (point >> 18);
    to[at++] = 0x80 | ((point >> 12) & 63);
    to[at++] = 0x80 | ((point >> 6) & 63);
    to[at++] = 0x80 | (point & 63);
  }
  return at;
}
