"""The line protocol of the client programs: records as JSON, bytes as base64."""
import base64
import json
import sys
import threading


def coded(content):
    return None if content is None else base64.b64encode(content).decode()


def decoded(text):
    return None if text is None else base64.b64decode(text)


def pairs(words):
    """TOPIC CODEC or TOPIC COUNT arguments as a dict."""
    return dict(zip(words[::2], words[1::2], strict=True))


def read_records(topics):
    """The records of standard input; one that names no topic goes to the first."""
    for line in sys.stdin:
        record = json.loads(line)
        headers = [(name, decoded(value)) for name, value in record["headers"]]
        topic = record.get("topic", next(iter(topics)))
        yield topic, record["partition"], decoded(record["key"]), decoded(record["value"]), headers, record["timestamp"]


class Wanted:
    """How many records of each topic are still to be printed."""

    def __init__(self, words):
        self.left = {topic: int(count) for topic, count in pairs(words).items()}
        self.several = len(self.left) > 1

    def __bool__(self):
        return any(self.left.values())

    def emit(self, topic, partition, offset, key, value, headers, timestamp):
        if self.left[topic] > 0:
            self.left[topic] -= 1
            write_record(partition, offset, key, value, headers, timestamp, **({"topic": topic} if self.several else {}))


def write(**fields):
    print(json.dumps(fields), flush=True)


def write_record(partition, offset, key, value, headers, timestamp, **more):
    write(partition=partition, offset=offset, key=coded(key), value=coded(value),
          headers=[[name, coded(content)] for name, content in headers or []], timestamp=timestamp, **more)


def until_input_ends():
    """An event that is set when standard input ends."""
    ended = threading.Event()

    def wait():
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended
