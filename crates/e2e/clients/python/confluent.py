"""confluent-kafka (librdkafka): see ../README.md."""
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType

from lines import read_records, until_input_ends, write, write_record


def produce(bootstrap, topic, codec):
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True,
                         "message.max.bytes": 4_000_000, "linger.ms": 20})
    failed = []

    def delivered(error, _):
        if error:
            failed.append(error)

    for partition, key, value, headers, timestamp in read_records():
        producer.produce(topic, value, key, partition, on_delivery=delivered, timestamp=timestamp, headers=headers)
    producer.flush(60)
    if failed or len(producer):
        sys.exit(f"not delivered: {failed[:3]} and {len(producer)} unanswered")


def consume(bootstrap, topic, count):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "fetch.message.max.bytes": 4_000_000})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    seen = 0
    while seen < int(count):
        message = consumer.poll(30)
        if message is None:
            sys.exit(f"saw {seen} of {count} records in 30 s")
        if message.error():
            sys.exit(str(message.error()))
        write_record(message.partition(), message.offset(), message.key(), message.value(), message.headers(), message.timestamp()[1])
        seen += 1
    consumer.close()


def group(bootstrap, topic, name):
    ended = until_input_ends()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": name, "auto.offset.reset": "earliest", "session.timeout.ms": 6000,
                         "heartbeat.interval.ms": 500, "partition.assignment.strategy": "cooperative-sticky", "enable.auto.commit": False})

    def changed(consumer, _):
        write(assigned=sorted(one.partition for one in consumer.assignment()))

    def assigned(consumer, partitions):
        consumer.incremental_assign(partitions)
        changed(consumer, None)

    def revoked(consumer, partitions):
        consumer.incremental_unassign(partitions)
        changed(consumer, None)

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked)
    while not ended.is_set():
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            write_record(message.partition(), message.offset(), message.key(), message.value(), message.headers(), message.timestamp()[1])
            consumer.commit(message, asynchronous=False)
    consumer.close()


def admin(bootstrap, topic):
    client = AdminClient({"bootstrap.servers": bootstrap})
    client.create_topics([NewTopic(topic, 3, 1)])[topic].result(30)
    write(partitions=len(client.list_topics(topic, timeout=30).topics[topic].partitions))
    resource = ConfigResource(ResourceType.TOPIC, topic)
    resource.add_incremental_config(ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET))
    client.incremental_alter_configs([resource])[resource].result(30)
    wanted = ConfigResource(ResourceType.TOPIC, topic)
    write(retention=client.describe_configs([wanted])[wanted].result(30)["retention.ms"].value)
    client.create_partitions([NewPartitions(topic, 5)])[topic].result(30)
    write(partitions=len(client.list_topics(topic, timeout=30).topics[topic].partitions))
    client.delete_topics([topic])[topic].result(30)
    write(gone=topic not in client.list_topics(timeout=30).topics)


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "group": group, "admin": admin}[sys.argv[1]](*sys.argv[2:])
