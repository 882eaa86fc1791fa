/**
 * Keeps events of an amount of 500 or more and writes `{id, user, kind, amount, fee}`, fee = amount * 0.029 + 0.30: the same records as
 * `functions/filter`, byte for byte, with numbers as Java prints them.
 */

/** A number as Java's `Double.toString` prints it, for the sizes that amounts have. */
function double(number) {
  return Number.isInteger(number) ? `${number}.0` : `${number}`;
}

function checked(event, name, type) {
  const found = event[name] ?? (type === "number" ? 0 : null);
  if (typeof found !== type && found !== null) {
    throw new Error(`field "${name}" is ${JSON.stringify(found)}; expected ${type === "number" ? "a number" : "text"}`);
  }
  return found;
}

export function process(record, out) {
  const event = record.json();
  if (event === null || typeof event !== "object" || Array.isArray(event)) {
    throw new Error("the value is not a JSON object");
  }
  const amount = checked(event, "amount", "number");
  if (amount >= 500) {
    const [id, user, kind] = [checked(event, "id", "number"), checked(event, "user", "string"), checked(event, "kind", "string")];
    const fee = double(amount * 0.029 + 0.3);
    out.value(`{"id":${id},"user":${JSON.stringify(user)},"kind":${JSON.stringify(kind)},"amount":${double(amount)},"fee":${fee}}`);
  }
}
