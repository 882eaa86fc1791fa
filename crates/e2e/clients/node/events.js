// The CloudEvents SDK for JavaScript: see ../python/events.py, which is the same for Python.
const { CloudEvent, HTTP, Kafka, Mode, emitterFor } = require("cloudevents");

const decoded = (text) => (text === null ? null : Buffer.from(text, "base64"));
const write = (fields) => process.stdout.write(JSON.stringify(fields) + "\n");

async function lines() {
  const pieces = [];
  for await (const piece of process.stdin) pieces.push(piece);
  return Buffer.concat(pieces).toString().split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

// An event as a program makes it: binary data is bytes.
function made({ data_base64, ...fields }) {
  return new CloudEvent(data_base64 === undefined ? fields : { ...fields, data: new Uint8Array(Buffer.from(data_base64, "base64")) });
}

async function send(url, { headers, body }) {
  const answer = await fetch(url, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  write(await answer.json());
}

async function post(url, mode) {
  const events = (await lines()).map(made);
  if (mode === "batch") {
    // The SDK writes each event; the array around them is the batch format.
    const body = `[${events.map((event) => HTTP.structured(event).body).join(",")}]`;
    return send(url, { headers: { "content-type": "application/cloudevents-batch+json" }, body });
  }
  const emit = emitterFor((message) => send(url, message), { mode: mode === "binary" ? Mode.BINARY : Mode.STRUCTURED });
  for (const event of events) await emit(event);
}

async function read() {
  for (const record of await lines()) {
    const headers = Object.fromEntries(record.headers.map(([name, value]) => [name, decoded(value).toString()]));
    // The record's key orders events; it is no attribute of them.
    const event = Kafka.toEvent({ headers, value: decoded(record.value).toString() });
    process.stdout.write(event.toString() + "\n");
  }
}

const [verb, ...rest] = process.argv.slice(2);
({ post, read })[verb](...rest).catch((error) => { console.error(error); process.exit(1); });
