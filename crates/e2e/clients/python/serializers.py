"""confluent-kafka's Avro and JSON Schema serializers, with the schema registry they ask.

    serializers.py write KIND BOOTSTRAP REGISTRY TOPIC SCHEMA OPTIONS    values from standard input, one JSON object a line; prints each one's bytes
    serializers.py read  KIND BOOTSTRAP REGISTRY TOPIC COUNT [SCHEMA]    the first COUNT values of partition 0, read by SCHEMA where it is given

KIND is avro or json; SCHEMA is a file; OPTIONS is the serializer's configuration in JSON. A refusal of the registry is printed as
{"status": 409, "code": 409, "message": "..."}.
"""
import base64
import json
import pathlib
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from lines import write


def refusal(error):
    """The registry's answer behind an error, which libraries wrap."""
    while error is not None and not isinstance(error, SchemaRegistryError):
        error = error.__cause__ or error.__context__
    return error


def produce(kind, bootstrap, registry, topic, schema, options):
    client = SchemaRegistryClient({"url": registry})
    text = pathlib.Path(schema).read_text()
    options = json.loads(options)
    serializer = AvroSerializer(client, text, conf=options) if kind == "avro" else JSONSerializer(text, client, conf=options)
    context = SerializationContext(topic, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": bootstrap})
    failed = []
    for line in sys.stdin:
        try:
            value = serializer(json.loads(line), context)
        except Exception as error:
            if (refused := refusal(error)) is None:
                raise
            write(status=refused.http_status_code, code=refused.error_code, message=refused.error_message)
            continue
        producer.produce(topic, value, partition=0, on_delivery=lambda error, _: error and failed.append(error))
        write(bytes=base64.b64encode(value).decode())
    if producer.flush(60) or failed:
        sys.exit(f"not delivered: {failed}")


def consume(kind, bootstrap, registry, topic, count, schema=None):
    client = SchemaRegistryClient({"url": registry})
    text = schema and pathlib.Path(schema).read_text()
    deserializer = AvroDeserializer(client, text) if kind == "avro" else JSONDeserializer(text, schema_registry_client=client)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    for seen in range(int(count)):
        message = consumer.poll(30)
        if message is None or message.error():
            sys.exit(f"saw {seen} of {count} records: {message and message.error()}")
        write(value=deserializer(message.value(), SerializationContext(topic, MessageField.VALUE)))
    consumer.close()


if __name__ == "__main__":
    {"write": produce, "read": consume}[sys.argv[1]](*sys.argv[2:])
