/**
 * Keeps events of an amount of 500 or more and writes `{id, user, kind, amount, fee}`, fee = amount * 0.029 + 0.30: the same records as
 * `functions/filter`, byte for byte, with numbers as Java prints them.
 */

/** What an event's amount must reach. */
const AMOUNT_MIN = 500;

/** A number as Java's `Double.toString` prints it, for the sizes that amounts have. */
function double(number) {
  return number % 1 === 0 ? `${number}.0` : `${number}`;
}

function refuse(name, found, expected) {
  throw new Error(`field "${name}" is ${JSON.stringify(found)}; expected ${expected}`);
}

/** A field that is a number; 0, as Java's binding has it, where it is absent. */
function number(event, name) {
  const found = event[name] ?? 0;
  return typeof found === "number" ? found : refuse(name, found, "a number");
}

/** The JSON of a field that is text; null where it is absent. */
function text(event, name) {
  const found = event[name] ?? null;
  return typeof found === "string" || found === null ? JSON.stringify(found) : refuse(name, found, "text");
}

export function process(record, out) {
  const event = record.json();
  if (event === null || typeof event !== "object" || Array.isArray(event)) {
    throw new Error("the value is not a JSON object");
  }
  const amount = number(event, "amount");
  if (amount >= AMOUNT_MIN) {
    const id = number(event, "id");
    const user = text(event, "user");
    const kind = text(event, "kind");
    out.value(`{"id":${id},"user":${user},"kind":${kind},"amount":${double(amount)},"fee":${double(amount * 0.029 + 0.3)}}`);
  }
}
