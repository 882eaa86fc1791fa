"""The CloudEvents SDK for Python.

    events.py post URL MODE     events from standard input, one in the structured form a line, made with the SDK and posted; prints each answer
    events.py read              records of a bus topic from standard input (as ../README.md says); prints each event as the SDK reads it

MODE is structured, binary, or batch.
"""
import base64
import json
import sys
from datetime import datetime

import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from lines import decoded, write


def made(fields):
    """An event as a program makes it: times are datetimes, binary data is bytes."""
    data = fields.pop("data", None)
    if "data_base64" in fields:
        data = base64.b64decode(fields.pop("data_base64"))
    if "time" in fields:
        fields["time"] = datetime.fromisoformat(fields["time"])
    return CloudEvent(fields, data)


def send(url, headers, body):
    answer = requests.post(url, headers=headers, data=body, timeout=30)
    if not answer.ok:
        sys.exit(f"{answer.status_code}: {answer.text}")
    write(**answer.json())


def post(url, mode):
    events = [made(json.loads(line)) for line in sys.stdin]
    if mode == "batch":
        # The SDK writes each event; the array around them is the batch format.
        body = b"[" + b",".join(JSONFormat().write(event) for event in events) + b"]"
        send(url, {"content-type": "application/cloudevents-batch+json"}, body)
        return
    for event in events:
        message = (to_structured_event if mode == "structured" else to_binary_event)(event)
        send(url, message.headers, message.body)


def read():
    for line in sys.stdin:
        record = json.loads(line)
        headers = {name: decoded(value) for name, value in record["headers"]}
        # The record's key orders events; it is no attribute of them.
        event = from_kafka_event(KafkaMessage(headers=headers, key=None, value=decoded(record["value"])))
        print(JSONFormat().write(event).decode(), flush=True)


if __name__ == "__main__":
    {"post": post, "read": read}[sys.argv[1]](*sys.argv[2:])
