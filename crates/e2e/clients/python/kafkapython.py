"""kafka-python: see ../README.md."""
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.subscription_state import ConsumerRebalanceListener

from lines import Wanted, pairs, read_records, until_input_ends, write, write_record


def produce(bootstrap, *words):
    topics = {topic: KafkaProducer(bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, acks="all",
                                   max_request_size=4_000_000, linger_ms=20) for topic, codec in pairs(words).items()}
    sends = [topics[topic].send(topic, value, key, headers, partition, timestamp)
             for topic, partition, key, value, headers, timestamp in read_records(topics)]
    for producer in topics.values():
        producer.flush(60)
    for send in sends:
        send.get(60)
    for producer in topics.values():
        producer.close()


def emit(record):
    write_record(record.partition, record.offset, record.key, record.value, record.headers, record.timestamp)


def consume(bootstrap, *words):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest",
                             consumer_timeout_ms=30_000, max_partition_fetch_bytes=4_000_000)
    wanted = Wanted(words)
    partitions = [TopicPartition(topic, partition) for topic in wanted.left for partition in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    for record in consumer:
        wanted.emit(record.topic, record.partition, record.offset, record.key, record.value, record.headers, record.timestamp)
        if not wanted:
            break
    consumer.close()
    if wanted:
        sys.exit(f"nothing came in 30 s while these were awaited: {wanted.left}")


class Listener(ConsumerRebalanceListener):
    def __init__(self):
        self.partitions = set()

    def on_partitions_revoked(self, revoked):
        self.partitions -= {one.partition for one in revoked}
        write(assigned=sorted(self.partitions))

    def on_partitions_assigned(self, assigned):
        self.partitions |= {one.partition for one in assigned}
        write(assigned=sorted(self.partitions))


def group(bootstrap, topic, name):
    ended = until_input_ends()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=name, auto_offset_reset="earliest", session_timeout_ms=6000,
                             heartbeat_interval_ms=500, enable_auto_commit=False)
    consumer.subscribe([topic], listener=Listener())
    while not ended.is_set():
        for records in consumer.poll(200).values():
            for record in records:
                emit(record)
            consumer.commit()
    consumer.close()


def admin(bootstrap, topic):
    from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic

    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    count = lambda: len(client.describe_topics([topic])[0]["partitions"])
    client.create_topics([NewTopic(topic, 3, 1)])
    write(partitions=count())
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "60000"})])
    write(retention=retention(client, ConfigResource(ConfigResourceType.TOPIC, topic)))
    client.create_partitions({topic: NewPartitions(5)})
    write(partitions=count())
    client.delete_topics([topic])
    write(gone=topic not in client.list_topics())
    client.close()


def retention(client, resource):
    """The value of retention.ms, wherever this version of the library puts it in its answer."""
    described = client.describe_configs([resource])

    def search(node):
        if isinstance(node, dict):
            if "retention.ms" in node:
                value = node["retention.ms"]
                return value.get("value") if isinstance(value, dict) else value
            if node.get("name") == "retention.ms" or node.get("config_names") == "retention.ms":
                return node.get("value") or node.get("config_value")
            node = list(node.values())
        if hasattr(node, "to_dict"):
            return search(node.to_dict())
        if hasattr(node, "to_object"):
            return search(node.to_object())
        if isinstance(node, (list, tuple)):
            for item in node:
                if (found := search(item)) is not None:
                    return found
        return None

    return search(described)


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "group": group, "admin": admin}[sys.argv[1]](*sys.argv[2:])
