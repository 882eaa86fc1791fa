"""confluent-kafka (librdkafka) at listeners with TLS and SASL: see ../README.md."""
import json
import sys

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

COUNT = 10


def config(door):
    ssl, sasl = "ca" in door, "mechanism" in door
    made = {"bootstrap.servers": door["bootstrap"], "security.protocol": "_".join(["SASL"] * sasl + ["SSL" if ssl else "PLAINTEXT"]),
            "socket.timeout.ms": 10_000}
    if ssl:
        made["ssl.ca.location"] = door["ca"]
    if "certificate" in door:
        made |= {"ssl.certificate.location": door["certificate"], "ssl.key.location": door["certificate"]}
    if sasl:
        made |= {"sasl.mechanism": door["mechanism"], "sasl.username": door["user"], "sasl.password": door["password"]}
    return made


def through(door):
    failed = []
    producer = Producer(config(door) | {"error_cb": lambda error: failed.append(error), "message.timeout.ms": 8_000})
    if door.get("refused"):
        # The client tries again and again: what it is told is what counts.
        while not any(error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)
                      for error in failed):
            producer.poll(0.1)
        return [str(failed[0])]
    for number in range(COUNT):
        producer.produce(door["topic"], f"librdkafka {number}", partition=0)
    if producer.flush(10):
        sys.exit(f"{door['name']}: not delivered: {failed[:3]}")
    consumer = Consumer(config(door) | {"group.id": "librdkafka " + door["name"], "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(door["topic"], 0, 0)])
    values = []
    while len(values) < COUNT:
        message = consumer.poll(10)
        if message is None or message.error():
            sys.exit(f"{door['name']}: {message and message.error()} after {values}, {failed[:3]}")
        if message.value().startswith(b"librdkafka"):
            values.append(message.value().decode())
    consumer.close()
    return values


for line in sys.stdin:
    one = json.loads(line)
    print(json.dumps({"door": one["name"], "values": through(one)}), flush=True)
