"""confluent-kafka (librdkafka): see ../README.md."""
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType

from lines import Wanted, pairs, read_records, until_input_ends, write, write_record


def produce(bootstrap, *words):
    topics = {topic: Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True,
                               "message.max.bytes": 4_000_000, "linger.ms": 20}) for topic, codec in pairs(words).items()}
    failed = []

    def delivered(error, _):
        if error:
            failed.append(error)

    for topic, partition, key, value, headers, timestamp in read_records(topics):
        topics[topic].produce(topic, value, key, partition, on_delivery=delivered, timestamp=timestamp, headers=headers)
    unanswered = sum(producer.flush(60) for producer in topics.values())
    if failed or unanswered:
        sys.exit(f"not delivered: {failed[:3]} and {unanswered} unanswered")


def consume(bootstrap, *words):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "fetch.message.max.bytes": 4_000_000})
    wanted = Wanted(words)
    known = consumer.list_topics(timeout=30).topics
    consumer.assign([TopicPartition(topic, partition, 0) for topic in wanted.left for partition in known[topic].partitions])
    while wanted:
        message = consumer.poll(30)
        if message is None:
            sys.exit(f"nothing came in 30 s while these were awaited: {wanted.left}")
        if message.error():
            sys.exit(str(message.error()))
        wanted.emit(message.topic(), message.partition(), message.offset(), message.key(), message.value(), message.headers(),
                    message.timestamp()[1])
    consumer.close()


def group(bootstrap, topic, name, protocol="classic"):
    ended = until_input_ends()
    # Of the consumer protocol the server sets the times and assigns.
    classic = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "partition.assignment.strategy": "cooperative-sticky"}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "group.protocol": protocol, **(classic if protocol == "classic" else {})})

    # Kept here: a consumer that is closing can't be asked any more.
    held = set()

    def assigned(consumer, partitions):
        consumer.incremental_assign(partitions)
        held.update(one.partition for one in partitions)
        write(assigned=sorted(held))

    def revoked(consumer, partitions):
        consumer.incremental_unassign(partitions)
        held.difference_update(one.partition for one in partitions)
        write(assigned=sorted(held))

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
