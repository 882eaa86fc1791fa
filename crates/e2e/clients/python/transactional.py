"""Read, process and write in transactions with confluent-kafka: exactly once from one topic to another.

    transactional.py copy BOOTSTRAP IN OUT GROUP ID COUNT     copies COUNT records of IN's partition 0 in transactions of ten; every third is aborted
                                                              and done again. Prints {"committed": N, "aborted": M}.
    transactional.py leave BOOTSTRAP OUT ID                   writes ten records in a transaction and leaves it open
    transactional.py abort BOOTSTRAP OUT ID                   writes ten records in a transaction and aborts it
    transactional.py read BOOTSTRAP TOPIC ISOLATION [N]       the values from the first to the last that ISOLATION shows of N partitions (1), one
                                                              {"partition": ..., "key": ..., "value": ...} a line
"""
import os
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from lines import write

RECORDS = 10


def begin(bootstrap, name):
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "linger.ms": 5})
    producer.init_transactions(30)
    return producer


def reader(bootstrap, group, topic, isolation, partitions=1):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "isolation.level": isolation, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])
    return consumer


def committed_offset(consumer, topic):
    """Where the group is; a group's coordinator may be just starting, and librdkafka leaves that to its caller."""
    for _ in range(300):
        try:
            return max(consumer.committed([TopicPartition(topic, 0)], 30)[0].offset, 0)
        except KafkaException as error:
            if error.args[0].code() not in (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS):
                raise
            time.sleep(0.1)
    sys.exit("the group has no coordinator")


def copy(bootstrap, source, target, group, name, count):
    producer, consumer = begin(bootstrap, name), reader(bootstrap, group, source, "read_committed")
    committed = aborted = tries = 0
    while committed * RECORDS < int(count):
        start = committed_offset(consumer, source)
        if tries:
            consumer.seek(TopicPartition(source, 0, start))
        producer.begin_transaction()
        seen = 0
        while seen < RECORDS:
            message = consumer.poll(30)
            if message is None:
                sys.exit(f"nothing from {source} in 30 s")
            if message.error():
                continue
            producer.produce(target, message.value(), message.key(), partition=0)
            seen += 1
        producer.send_offsets_to_transaction(consumer.position([TopicPartition(source, 0)]), consumer.consumer_group_metadata(), 30)
        tries += 1
        if tries % 3 == 0:
            producer.flush(30)
            producer.abort_transaction(30)
            aborted += 1
        else:
            producer.commit_transaction(30)
            committed += 1
    write(committed=committed, aborted=aborted)


def opened(bootstrap, target, name):
    producer = begin(bootstrap, name)
    producer.begin_transaction()
    for number in range(RECORDS):
        producer.produce(target, f"left {number}", partition=0)
    if producer.flush(30):
        sys.exit("not delivered")
    return producer


def abort(bootstrap, target, name):
    opened(bootstrap, target, name).abort_transaction(30)
    write(aborted=RECORDS)


def leave(bootstrap, target, name):
    opened(bootstrap, target, name)
    write(left=RECORDS)
    sys.stdout.flush()
    # Not through the client's own end, which would abort the transaction.
    os._exit(0)


def read(bootstrap, topic, isolation, partitions="1"):
    consumer = reader(bootstrap, "unused", topic, isolation, int(partitions))
    ended = set()
    while len(ended) < int(partitions):
        message = consumer.poll(30)
        if message is None:
            sys.exit(f"{topic} has no end")
        if not message.error():
            key = message.key()
            write(partition=message.partition(), key=key and key.decode(), value=message.value().decode())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            sys.exit(str(message.error()))


if __name__ == "__main__":
    {"copy": copy, "abort": abort, "leave": leave, "read": read}[sys.argv[1]](*sys.argv[2:])
