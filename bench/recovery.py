#!/usr/bin/env python3
"""Measures how long a node takes after a kill until every one of its partitions has acknowledged a record, and what it read for that.

    recovery.py [--partitions 10000] [--gb 10] [--batch-kib 64] [--seconds 0]

Fills that many partitions with that many GB (10^9 bytes) as fast as the node takes them, goes on writing for the given seconds, kills the node
(SIGKILL) with a request unanswered, starts it again and sends one record to each partition. The data is deleted at the end. Environment:
MILLSTREAM_BINARY (built with --release --no-default-features), BENCH_DIR (data; default ~/.cache/millstream/bench).
"""
import argparse
import pathlib
import socket
import struct
import sys
import time

from broker import DIR, Millstream, free_port, until
from pressure import PRODUCE, create_topic, frame, text

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "crates/e2e/clients/python/differential"))
import batch  # noqa: E402

TOPICS = 10
REQUEST_BYTES = 16 << 20
PATIENCE_S = 120


class Client:
    """One connection that has one request under way."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(PATIENCE_S)

    def send(self, topic, partitions, records):
        """A produce request of the same records for each partition."""
        one = struct.pack(">i", len(records)) + records
        body = struct.pack(">hhii", -1, 1, 60_000, 1) + text(topic) + struct.pack(">i", len(partitions))
        self.socket.sendall(frame(PRODUCE, 3, body + b"".join(struct.pack(">i", number) + one for number in partitions)))

    def answer(self):
        """The error code of each partition."""
        size = struct.unpack(">i", self.exactly(4))[0]
        rest = self.exactly(size)
        at = 4 + 4
        at += 2 + struct.unpack_from(">h", rest, at)[0]
        count = struct.unpack_from(">i", rest, at)[0]
        rows = (struct.unpack_from(">ihqq", rest, at + 4 + 22 * place) for place in range(count))
        return {number: code for number, code, _, _ in rows}

    def exactly(self, size):
        parts = bytearray()
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise ConnectionError("the node closed the connection")
            parts += part
        return bytes(parts)


def names(count):
    return [(f"recovery-{topic}", list(range(count // TOPICS))) for topic in range(TOPICS)]


def chunks(partitions, records):
    at_once = max(1, REQUEST_BYTES // len(records))
    return [partitions[at:at + at_once] for at in range(0, len(partitions), at_once)]


def fill(client, topics, records, total, seconds):
    """Writes round and round; returns the bytes acknowledged. The last request is left unanswered."""
    written, end = 0, None
    while True:
        for topic, partitions in topics:
            for some in chunks(partitions, records):
                client.send(topic, some, records)
                if written >= total:
                    end = end or time.monotonic() + seconds
                    if time.monotonic() >= end:
                        return written
                codes = client.answer()
                if any(codes.values()):
                    sys.exit(f"recovery.py: a partition refused: {set(codes.values())}")
                written += len(some) * len(records)


def first_records(node, topics, record):
    """Sends one record to each partition until each has acknowledged it."""
    until(node.accepts, "the node's port")
    client, accepted = Client(node.port), time.monotonic()
    for topic, partitions in topics:
        missing = partitions
        while missing:
            client.send(topic, missing, record)
            codes = client.answer()
            missing = [number for number in missing if codes.get(number, -1) != 0]
            if missing and time.monotonic() > accepted + PATIENCE_S:
                sys.exit(f"recovery.py: {len(missing)} partitions of {topic} refuse: {set(codes.values())}; see {DIR}/millstream.out")
            if missing:
                time.sleep(0.01)
    return accepted


def read_bytes(pid):
    fields = dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["rchar"]), int(fields["read_bytes"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=10_000)
    parser.add_argument("--gb", type=float, default=10)
    parser.add_argument("--batch-kib", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=0, help="go on writing for so long before the kill")
    options = parser.parse_args()
    records = batch.batch([b"x" * 1000] * options.batch_kib, int(time.time() * 1000))
    topics = names(options.partitions)
    node = Millstream("recovery")
    try:
        node.start()
        client = Client(node.port)
        for topic, partitions in topics:
            create_topic(client.socket, topic, len(partitions))
        begun = time.monotonic()
        written = fill(client, topics, records, options.gb * 1e9, options.seconds)
        took = time.monotonic() - begun
        print(f"{options.partitions} partitions, {written / 1e9:.1f} GB acknowledged in {took:.0f} s; killed with a request unanswered", flush=True)
        node.kill()
        client.socket.close()
        # The old port may have become some other connection's.
        node.port = free_port()
        node.bootstrap = f"127.0.0.1:{node.port}"
        started = time.monotonic()
        node.start()
        accepted = first_records(node, topics, batch.batch([b"first"], int(time.time() * 1000)))
        done = time.monotonic()
        read, from_disk = read_bytes(node.pid())
        print(f"| {options.partitions} | {written / 1e9:.1f} | {accepted - started:.2f} | {done - started:.2f} | {read / 1e6:.0f} | {from_disk / 1e6:.0f} |")
        print("(partitions, GB, s to the port, s to a record on every partition, MB read by the node by then, MB of them from the disk)")
    finally:
        node.wipe()


if __name__ == "__main__":
    DIR.mkdir(parents=True, exist_ok=True)
    main()
