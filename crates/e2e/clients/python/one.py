"""One record, read by an application that wants no more: one.py LIBRARY BOOTSTRAP TOPIC PARTITION OFFSET."""
import sys

from lines import coded, write


def librdkafka(bootstrap, topic, partition, offset):
    from confluent_kafka import Consumer, TopicPartition

    # What it fetches ahead by itself would hide what the broker reads ahead.
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "queued.min.messages": 1})
    consumer.assign([TopicPartition(topic, partition, offset)])
    message = consumer.poll(60)
    if message is None or message.error():
        sys.exit(f"no record at offset {offset}: {message and message.error()}")
    write(offset=message.offset(), key=coded(message.key()), value=coded(message.value()))
    consumer.close()


def kafka_python(bootstrap, topic, partition, offset, **options):
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, **options)
    place = TopicPartition(topic, partition)
    consumer.assign([place])
    consumer.seek(place, offset)
    records = consumer.poll(60_000, max_records=1).get(place)
    if not records:
        sys.exit(f"no record at offset {offset}")
    write(offset=records[0].offset, key=coded(records[0].key), value=coded(records[0].value))
    consumer.close()


def greedy(*place):
    """As kafka_python, but taking as much in one answer as a client may ask for."""
    kafka_python(*place, max_partition_fetch_bytes=100 << 20, fetch_max_bytes=100 << 20)


if __name__ == "__main__":
    library = {"librdkafka": librdkafka, "kafka-python": kafka_python, "greedy": greedy}[sys.argv[1]]
    library(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
