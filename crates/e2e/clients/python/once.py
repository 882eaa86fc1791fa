"""once.py BOOTSTRAP TOPIC BYTES: sends one record of so many bytes once, and prints what the client (librdkafka) was told."""
import json
import sys

from confluent_kafka import Producer

bootstrap, topic, size = sys.argv[1:]
told = []
producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "retries": 0, "linger.ms": 0})
producer.produce(topic, b"x" * int(size), partition=0, on_delivery=lambda error, message: told.append(error and error.name()))
if producer.flush(30):
    sys.exit("not told of the record in 30 s")
print(json.dumps({"told": told[0]}))
