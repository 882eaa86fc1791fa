/**
 * Keeps events of an amount of 500 or more and writes `{id, user, kind, amount, fee}`, fee = amount * 0.029 + 0.30: the same records as
 * `functions/filter`, byte for byte, with numbers as Java prints them.
 */

/** A number as Java's `Double.toString` prints it, for the sizes that amounts have. */
function double(number) {
  return Number.isInteger(number) ? `${number}.0` : `${number}`;
}

/** The field, or what Java's binding makes of one that is absent; throws when it is of another type. */
function checked(event, name, type, absent) {
  const found = event[name] ?? absent;
  if (typeof found !== type && found !== absent) {
    throw new Error(`field "${name}" is ${JSON.stringify(found)}; expected ${type === "number" ? "a number" : "text"}`);
  }
  return found;
}

export function process(record, out) {
  const event = record.json();
  if (event === null || typeof event !== "object" || Array.isArray(event)) {
    throw new Error("the value is not a JSON object");
  }
  const amount = checked(event, "amount", "number", 0);
  if (amount >= 500) {
    const id = checked(event, "id", "number", 0);
    const user = JSON.stringify(checked(event, "user", "string", null));
    const kind = JSON.stringify(checked(event, "kind", "string", null));
    out.value(`{"id":${id},"user":${user},"kind":${kind},"amount":${double(amount)},"fee":${double(amount * 0.029 + 0.3)}}`);
  }
}
