"""The line protocol of the client programs: records as JSON, bytes as base64."""
import base64
import json
import sys
import threading


def coded(content):
    return None if content is None else base64.b64encode(content).decode()


def decoded(text):
    return None if text is None else base64.b64decode(text)


def read_records():
    for line in sys.stdin:
        record = json.loads(line)
        headers = [(name, decoded(value)) for name, value in record["headers"]]
        yield record["partition"], decoded(record["key"]), decoded(record["value"]), headers, record["timestamp"]


def write(**fields):
    print(json.dumps(fields), flush=True)


def write_record(partition, offset, key, value, headers, timestamp):
    write(partition=partition, offset=offset, key=coded(key), value=coded(value),
          headers=[[name, coded(content)] for name, content in headers or []], timestamp=timestamp)


def until_input_ends():
    """An event that is set when standard input ends."""
    ended = threading.Event()

    def wait():
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended
