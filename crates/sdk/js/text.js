/**
 * UTF-8 both ways. QuickJS has no TextDecoder, and a loop over bytes costs it some 200 ns a byte; what it does natively (base64, escape,
 * decodeURIComponent) costs 5, so text goes that way, and a whole batch at once.
 */

/** The bytes as a string of one character a byte. */
export function binary(bytes) {
  return atob(bytes.toBase64());
}

const BEYOND_ASCII = /[\x80-\xff]/;

/** The text of UTF-8 whose bytes come as characters; throws when they are not UTF-8. */
export function decode(bytes) {
  if (!BEYOND_ASCII.test(bytes)) {
    return bytes;
  }
  try {
    return decodeURIComponent(escape(bytes));
  } catch {
    throw new Error("the bytes are not UTF-8");
  }
}

/** The bytes of text whose characters are all below 256, one byte each; none when there are others. */
export function latin1(text) {
  try {
    return Uint8Array.fromBase64(btoa(text));
  } catch {
    return undefined;
  }
}

/** The UTF-8 of text; half a surrogate pair becomes U+FFFD. */
export function utf8(text) {
  return latin1(unescape(encodeURIComponent(text.toWellFormed())));
}
