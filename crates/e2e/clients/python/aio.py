"""aiokafka: see ../README.md."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from lines import Wanted, pairs, read_records, until_input_ends, write, write_record


async def produce(bootstrap, *words):
    topics = {topic: AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec,
                                      enable_idempotence=True, max_request_size=4_000_000, linger_ms=20)
              for topic, codec in pairs(words).items()}
    for producer in topics.values():
        await producer.start()
    sends = [await topics[topic].send(topic, value, key, partition, timestamp, headers)
             for topic, partition, key, value, headers, timestamp in read_records(topics)]
    for send in sends:
        await send
    for producer in topics.values():
        await producer.stop()


def emit(record):
    write_record(record.partition, record.offset, record.key, record.value, record.headers, record.timestamp)


async def consume(bootstrap, *words):
    wanted = Wanted(words)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest",
                                max_partition_fetch_bytes=4_000_000) as consumer:
        known = await consumer._client.fetch_all_metadata()
        assigned = [TopicPartition(topic, partition) for topic in wanted.left for partition in known.partitions_for_topic(topic)]
        consumer.assign(assigned)
        await consumer.seek_to_beginning(*assigned)
        while wanted:
            record = await asyncio.wait_for(consumer.getone(), 30)
            wanted.emit(record.topic, record.partition, record.offset, record.key, record.value, record.headers, record.timestamp)


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        write(assigned=[])

    async def on_partitions_assigned(self, assigned):
        write(assigned=sorted(one.partition for one in assigned))


async def group(bootstrap, topic, name):
    ended = until_input_ends()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=name, auto_offset_reset="earliest", session_timeout_ms=6000,
                                heartbeat_interval_ms=500, enable_auto_commit=False)
    consumer.subscribe([topic], listener=Listener())
    async with consumer:
        while not ended.is_set():
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    emit(record)
                await consumer.commit()


async def admin(bootstrap, topic):
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.create_topics([NewTopic(topic, 3, 1)])
        write(partitions=len((await client.describe_topics([topic]))[0]["partitions"]))
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "60000"})])
        answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        entries = [entry for answer in answers for resource in answer.resources for entry in resource[4]]
        write(retention=next(entry[1] for entry in entries if entry[0] == "retention.ms"))
        await client.create_partitions({topic: NewPartitions(5)})
        write(partitions=len((await client.describe_topics([topic]))[0]["partitions"]))
        await client.delete_topics([topic])
        write(gone=topic not in await client.list_topics())
    finally:
        await client.close()


if __name__ == "__main__":
    asyncio.run({"produce": produce, "consume": consume, "group": group, "admin": admin}[sys.argv[1]](*sys.argv[2:]))
