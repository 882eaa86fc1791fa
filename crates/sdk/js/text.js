/**
 * UTF-8 both ways. QuickJS has no TextDecoder, and a loop over bytes costs it some 200 ns a byte; what it does natively (base64, escape,
 * decodeURIComponent) costs 5, so text goes that way.
 */

/** The bytes as a string of one character a byte. */
function binary(bytes) {
  return atob(bytes.toBase64());
}

/** The text of ASCII bytes. */
export function decodeAscii(bytes) {
  return binary(bytes);
}

const BEYOND_ASCII = /[\x80-\xff]/;

/** The text of UTF-8 bytes; throws when they are not UTF-8. */
export function decode(bytes) {
  const text = binary(bytes);
  if (!BEYOND_ASCII.test(text)) {
    return text;
  }
  try {
    return decodeURIComponent(escape(text));
  } catch {
    throw new Error("the bytes are not UTF-8");
  }
}

/** The UTF-8 of text as a string of one character a byte; half a surrogate pair becomes U+FFFD. */
export function utf8(text) {
  return unescape(encodeURIComponent(text.toWellFormed()));
}

/** The bytes of a string of one character a byte. */
export function bytesOf(text) {
  return Uint8Array.fromBase64(btoa(text));
}
