// kafkajs: see ../README.md.
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require("kafkajs");
const zstd = require("@bokuweb/zstd-wasm");
const lz4 = require("lz4-napi");

CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
  // A frame need not say how long its content is; the library then makes room for 1 MiB, which a batch may pass.
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer, { defaultHeapSize: 16 << 20 })),
});
const CODECS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 };

const coded = (content) => (content === null || content === undefined ? null : content.toString("base64"));
const decoded = (text) => (text === null ? null : Buffer.from(text, "base64"));
const write = (fields) => process.stdout.write(JSON.stringify(fields) + "\n");
const client = (bootstrap) => new Kafka({ brokers: [bootstrap], clientId: "kafkajs", logLevel: logLevel.ERROR });

async function readLines() {
  const pieces = [];
  for await (const piece of process.stdin) pieces.push(piece);
  return Buffer.concat(pieces).toString().split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

// A repeated name is an array in this library.
function toHeaders(pairs) {
  const headers = {};
  for (const [name, value] of pairs) (headers[name] ??= []).push(decoded(value));
  return headers;
}

function fromHeaders(headers) {
  return Object.entries(headers ?? {}).flatMap(([name, value]) => [value].flat().map((one) => [name, coded(one)]));
}

// TOPIC CODEC or TOPIC COUNT arguments.
function pairs(words) {
  const found = new Map();
  for (let at = 0; at < words.length; at += 2) found.set(words[at], words[at + 1]);
  return found;
}

function writeRecord(partition, message, more = {}) {
  write({ partition, offset: Number(message.offset), key: coded(message.key), value: coded(message.value),
    headers: fromHeaders(message.headers), timestamp: Number(message.timestamp), ...more });
}

async function produce(bootstrap, ...words) {
  const topics = pairs(words);
  const producer = client(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  // A record that names no topic goes to the first.
  const [first] = topics.keys();
  const messages = new Map([...topics.keys()].map((topic) => [topic, []]));
  for (const record of await readLines()) {
    messages.get(record.topic ?? first).push({ partition: record.partition, key: decoded(record.key),
      value: decoded(record.value), headers: toHeaders(record.headers), timestamp: String(record.timestamp) });
  }
  for (const [topic, codec] of topics) {
    for (let rest = messages.get(topic); rest.length > 0; rest = rest.slice(50)) {
      await producer.send({ topic, compression: CODECS[codec], acks: -1, messages: rest.slice(0, 50) });
    }
  }
  await producer.disconnect();
}

async function consume(bootstrap, ...words) {
  const left = new Map([...pairs(words)].map(([topic, count]) => [topic, Number(count)]));
  const more = (topic) => (left.size > 1 ? { topic } : {});
  const consumer = client(bootstrap).consumer({ groupId: `once-${process.pid}`, maxBytesPerPartition: 4_000_000 });
  await consumer.connect();
  await consumer.subscribe({ topics: [...left.keys()], fromBeginning: true });
  const late = setTimeout(() => { console.error("in 60 s these did not come:", left); process.exit(1); }, 60_000);
  await new Promise((resolve) => consumer.run({ autoCommit: false, eachMessage: async ({ topic, partition, message }) => {
    if (left.get(topic) > 0) writeRecord(partition, message, more(topic));
    left.set(topic, left.get(topic) - 1);
    if ([...left.values()].every((count) => count <= 0)) resolve();
  } }));
  clearTimeout(late);
  await consumer.disconnect();
}

async function group(bootstrap, topic, name) {
  const consumer = client(bootstrap).consumer({ groupId: name, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 10_000 });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => write({ assigned: payload.memberAssignment[topic] ?? [] }));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ autoCommit: false, eachMessage: async ({ partition, message }) => {
    writeRecord(partition, message);
    await consumer.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }]);
  } });
  await readLines();
  await consumer.disconnect();
}

async function admin(bootstrap, topic) {
  const admin = client(bootstrap).admin();
  await admin.connect();
  const partitions = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length;
  await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1 }] });
  write({ partitions: await partitions() });
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic };
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "60000" }] }] });
  const described = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
  write({ retention: described.resources[0].configEntries.find((entry) => entry.configName === "retention.ms").configValue });
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
  write({ partitions: await partitions() });
  await admin.deleteTopics({ topics: [topic] });
  write({ gone: !(await admin.listTopics()).includes(topic) });
  await admin.disconnect();
}

(async () => {
  await zstd.init();
  const [verb, ...rest] = process.argv.slice(2);
  await { produce, consume, group, admin }[verb](...rest);
  // What was written to a pipe may still be on its way.
  process.stdout.write("", () => process.exit(0));
})().catch((error) => { console.error(error); process.exit(1); });
