#!/usr/bin/env python3
"""Measures what groups' offsets cost a coordinator: 10,000 groups, each of which commits ten offsets a second.

    groups.py [--groups 10000] [--partitions 10] [--seconds 10] [--only millstream|kafka]

Each side gets the same commits at the same rate over the same connections; then every group is asked how far it is, which has to be its last
commit. Prints a table; Apache Kafka is measured warm: the load runs over it once, uncounted. Environment: as for broker.py.
"""
import argparse
import selectors
import socket
import struct
import sys
import time

from broker import Kafka, Millstream, cpu_s, rss_mib, until

TOPIC, CONNECTIONS, TICK_S = "t", 8, 0.01
OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, CREATE_TOPICS = (8, 2), (9, 1), (10, 1), (19, 4)


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def frame(api, correlation, body):
    content = struct.pack(">hhi", *api, correlation) + text("groups") + body
    return struct.pack(">i", len(content)) + content


def group(number):
    return f"g{number:06d}"


def commit(number, offset, partitions):
    each = b"".join(struct.pack(">iqh", partition, offset, -1) for partition in range(partitions))
    return text(group(number)) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, 1) + text(TOPIC) + struct.pack(">i", partitions) + each


def committed(partitions):
    """The whole answer to a commit that went well, after its correlation id."""
    return struct.pack(">i", 1) + text(TOPIC) + struct.pack(">i", partitions) + b"".join(struct.pack(">ih", at, 0) for at in range(partitions))


class Peer:
    """A connection that has many requests on their way."""

    def __init__(self, bootstrap):
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.came = bytearray()

    def answers(self):
        """The answers that are here whole: correlation ids and what follows them."""
        self.came += self.socket.recv(1 << 20)
        while len(self.came) >= 4 and len(self.came) - 4 >= (size := struct.unpack_from(">i", self.came)[0]):
            content = bytes(self.came[4:4 + size])
            del self.came[:4 + size]
            yield struct.unpack_from(">i", content)[0], content[4:]

    def ask(self, api, body):
        self.socket.sendall(frame(api, 0, body))
        while True:
            for _, content in self.answers():
                return content


def prepare(bootstrap, partitions):
    """Makes the topic, and waits until the coordinator of groups is there."""
    peer = Peer(bootstrap)
    topics = struct.pack(">i", 1) + text(TOPIC) + struct.pack(">ihiiib", partitions, 1, 0, 0, 30_000, 0)
    # A broker that has just begun has no one yet who would take the topic.
    until(lambda: struct.unpack_from(">h", peer.ask(CREATE_TOPICS, topics), 8 + 2 + len(TOPIC))[0] == 0, "the topic")
    until(lambda: struct.unpack_from(">h", peer.ask(FIND_COORDINATOR, text(group(0)) + b"\0"), 4)[0] == 0, "the coordinator of groups")
    until(lambda: peer.ask(OFFSET_COMMIT, commit(0, 0, partitions)) == committed(partitions), "a first commit")


def load(bootstrap, args):
    """Every group commits once a second; the latencies in ms."""
    peers = [Peer(bootstrap) for _ in range(CONNECTIONS)]
    selector = selectors.DefaultSelector()
    for peer in peers:
        selector.register(peer.socket, selectors.EVENT_READ, peer)
    wanted, sent_at, took = committed(args.partitions), {}, []

    def take(wait):
        for key, _ in selector.select(wait):
            now = time.perf_counter()
            for number, content in key.data.answers():
                if content != wanted:
                    sys.exit(f"groups.py: {group(number)} was answered {content.hex()}")
                took.append((now - sent_at.pop(number)) * 1e3)

    ticks = round(1 / TICK_S)
    begin = time.perf_counter()
    for second in range(args.seconds):
        frames = [frame(OFFSET_COMMIT, number, commit(number, second + 1, args.partitions)) for number in range(args.groups)]
        for tick in range(ticks):
            due = begin + second + tick * TICK_S
            while (left := due - time.perf_counter()) > 0:
                take(left)
            for number in range(tick * args.groups // ticks, (tick + 1) * args.groups // ticks):
                while number in sent_at:
                    take(1)
                sent_at[number] = time.perf_counter()
                peers[number % CONNECTIONS].socket.sendall(frames[number])
            take(0)
    while sent_at:
        take(1)
    elapsed = time.perf_counter() - begin
    for number in range(args.groups):
        body = text(group(number)) + struct.pack(">i", 1) + text(TOPIC) + struct.pack(">ii", 1, args.partitions - 1)
        answer = peers[0].ask(OFFSET_FETCH, body)
        offset = struct.unpack_from(">q", answer, 4 + 2 + len(TOPIC) + 4 + 4)[0]
        if offset != args.seconds:
            sys.exit(f"groups.py: {group(number)} is at {offset}, and committed {args.seconds}")
    return sorted(took), elapsed


def measure(side, args):
    side.start()
    try:
        prepare(side.bootstrap, args.partitions)
        if side.label == "kafka":
            load(side.bootstrap, args)
        pid = side.pid()
        cpu, begin = cpu_s(pid), time.perf_counter()
        took, elapsed = load(side.bootstrap, args)
        used = cpu_s(pid) - cpu
        rate = len(took) * args.partitions / elapsed
        at = lambda share: took[min(len(took) - 1, int(len(took) * share))]
        print(f"| {side.label} | {args.groups:,} | {rate:,.0f} | {used / (time.perf_counter() - begin) * 100:.1f} | {used * 1e6 / len(took):.1f} "
              f"| {at(0.5):.2f} | {at(0.99):.2f} | {at(0.999):.2f} | {rss_mib(pid):,.0f} |", flush=True)
    finally:
        side.wipe()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    sides = {"kafka": lambda: Kafka("groups-kafka"), "millstream": lambda: Millstream("groups-millstream")}
    print("| side | groups | offsets/s | CPU % of a core | CPU us/commit | p50 ms | p99 ms | p99.9 ms | resident MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, side in sides.items():
        if args.only in ("", name):
            measure(side(), args)


if __name__ == "__main__":
    main()
