#!/usr/bin/env python3
"""Measures what a node costs under pressure: many connections, many long polls, more requests at once than there is memory for, large answers.

    pressure.py [--connections 10000] [--polls 1000] [--crowd 1000] [--seconds 20] [--no-tls] [--only PART]

Prints a table. Environment: MILLSTREAM_BINARY (built with --release --no-default-features), BENCH_DIR (data; default
~/.cache/millstream/bench). Needs as many open files as connections, for itself and for the node, and openssl for TLS.
"""
import argparse
import contextlib
import pathlib
import re
import resource
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import time

from broker import DIR, Millstream, cpu_s, free_port, rss_mib, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "crates/e2e/clients/python/differential"))
import batch  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
PRODUCE, FETCH, METADATA, API_VERSIONS, CREATE_TOPICS = 0, 1, 3, 18, 19


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def frame(api, version, body=b""):
    request = struct.pack(">hhi", api, version, 7) + text("pressure") + body
    return struct.pack(">i", len(request)) + request


def create_topic(connection, name, partitions):
    """A node that has just started takes its first connections before it takes topics."""
    request = frame(CREATE_TOPICS, 2, struct.pack(">i", 1) + text(name) + struct.pack(">ihiii?", partitions, 1, 0, 0, 60_000, False))
    done = struct.pack(">i", 1) + text(name) + struct.pack(">h", 0)
    until(lambda: done in ask(connection, request), f"the topic {name}")


def metadata(topic):
    return frame(METADATA, 1, struct.pack(">i", 1) + text(topic))


def produce(topic, records):
    head = struct.pack(">hhii", -1, -1, 60_000, 1) + text(topic)
    return frame(PRODUCE, 3, head + struct.pack(">iii", 1, 0, len(records)) + records)


def fetch(topic, partition, wait_ms, bytes_max):
    head = struct.pack(">iiiibi", -1, wait_ms, 1, bytes_max, 0, 1) + text(topic)
    return frame(FETCH, 4, head + struct.pack(">iiqi", 1, partition, 0, bytes_max))


def exactly(connection, size):
    parts = []
    while size:
        part = connection.recv(min(size, MIB))
        if not part:
            raise ConnectionError("closed by the node")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def answer(connection):
    return exactly(connection, struct.unpack(">i", exactly(connection, 4))[0])


def ask(connection, request):
    connection.sendall(request)
    return answer(connection)


def peak_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def forget_peak(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


class Node(Millstream):
    """A node with a listener of each kind."""

    def __init__(self, options=()):
        super().__init__("pressure")
        self.options, self.secure_port = options, free_port()
        self.key = DIR / "pressure.pem"

    def command(self):
        options = ["fetch.max.bytes=200000000", *self.options]
        if self.secure_port:
            options += [f"listeners=PLAINTEXT://{self.bootstrap},SSL://127.0.0.1:{self.secure_port}", f"ssl.keystore.location={self.key}"]
        else:
            options += [f"listeners=PLAINTEXT://{self.bootstrap}"]
        words = super().command()
        at = words.index("--kafka")
        return words[:at] + words[at + 2:] + [word for option in options for word in ("--set", option)]

    def start(self):
        if stale := self.pid():
            sys.exit(f"pressure.py: process {stale} has the folder {self.data} already; end it")
        super().start()

    def make_key(self):
        if self.key.exists():
            return
        whole = [DIR / "pressure.key", DIR / "pressure.crt"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                        "/CN=localhost", "-keyout", whole[0], "-out", whole[1]], check=True, capture_output=True)
        self.key.write_text("".join(path.read_text() for path in whole))

    def connect(self, secure=False):
        connection = socket.create_connection(("127.0.0.1", self.secure_port if secure else self.port))
        if not secure:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(connection)


@contextlib.contextmanager
def running(node):
    node.start()
    try:
        yield node.pid()
    finally:
        node.stop()


def report(name, **figures):
    told = ", ".join(f"{key.replace('_', ' ')} {value:,.3f}" if isinstance(value, float) else f"{key.replace('_', ' ')} {value:,}"
                     for key, value in figures.items())
    print(f"{name}: {told}", flush=True)


def idle_connections(node, pid, count, secure):
    """Connections that asked ApiVersions and Metadata, and then nothing."""
    with node.connect() as first:
        create_topic(first, "connections", 3)
    before, cpu = rss_mib(pid), cpu_s(pid)
    forget_peak(pid)
    connections = []
    for _ in range(count):
        connection = node.connect(secure)
        ask(connection, frame(API_VERSIONS, 0))
        ask(connection, metadata("connections"))
        connections.append(connection)
    cpu, after = cpu_s(pid) - cpu, rss_mib(pid)
    begin = cpu_s(pid)
    time.sleep(10)
    rest = cpu_s(pid) - begin
    rested, peak = rss_mib(pid), peak_mib(pid)
    # All are still served.
    for connection in connections[:: max(1, count // 100)]:
        ask(connection, frame(API_VERSIONS, 0))
    for connection in connections:
        connection.close()
    report(f"{count:,} connections, {'TLS' if secure else 'plaintext'}, most idle", resident_MiB_before=before, after=after,
           ten_seconds_later=rested, peak=peak, KiB_each=(rested - before) * 1024 / count, CPU_ms_each=cpu * 1000 / count,
           CPU_percent_of_a_core_at_rest=rest * 10)


def long_polls(node, pid, count, seconds):
    """A consumer on each partition, to which nothing comes."""
    with node.connect() as first:
        create_topic(first, "polled", count)
    before = rss_mib(pid)
    connections = [node.connect() for _ in range(count)]
    for wait_ms in ((seconds + 20) * 1000, 500):
        requests = [fetch("polled", partition, wait_ms, MIB) for partition in range(count)]
        with selectors.DefaultSelector() as selector:
            for connection, request in zip(connections, requests):
                connection.sendall(request)
                selector.register(connection, selectors.EVENT_READ, request)
            time.sleep(2)
            begin, cpu, answers = time.monotonic(), cpu_s(pid), 0
            while time.monotonic() - begin < seconds:
                for key, _ in selector.select(0.1):
                    answer(key.fileobj)
                    key.fileobj.sendall(key.data)
                    answers += 1
            took = time.monotonic() - begin
            cpu = cpu_s(pid) - cpu
        if wait_ms > seconds * 1000 and answers:
            sys.exit(f"pressure.py: {answers} polls were answered though nothing came")
        report(f"{count:,} partitions, {count:,} long polls of {wait_ms:,} ms", CPU_percent_of_a_core=cpu * 100 / took,
               answers_a_second=answers / took, resident_MiB_before=before, with_them=rss_mib(pid))
        for connection in connections:
            answer(connection)
    for connection in connections:
        connection.close()


def fill(node, topic, total):
    record = batch.batch([bytes(900 * KIB)], 1_700_000_000_000)
    request = produce(topic, record)
    with node.connect() as connection:
        create_topic(connection, topic, 1)
        for _ in range(total // len(record) + 1):
            ask(connection, request)


def large_fetch(node, pid, secure):
    """One answer of 100 MB."""
    with node.connect(secure) as connection:
        ask(connection, frame(API_VERSIONS, 0))
        before = rss_mib(pid)
        forget_peak(pid)
        cpu, begin = cpu_s(pid), time.monotonic()
        connection.sendall(fetch("large", 0, 0, 100_000_000))
        left = size = struct.unpack(">i", exactly(connection, 4))[0]
        while left:
            left -= len(exactly(connection, min(left, MIB)))
        took = time.monotonic() - begin
        report(f"a fetch of 100 MB, {'TLS' if secure else 'plaintext'}", bytes=size, resident_MiB_before=before, peak_while_it_was_sent=peak_mib(pid),
               MiB_a_second=size / MIB / took, CPU_s=cpu_s(pid) - cpu)


def crowd(node, pid, count):
    """More bytes of requests at once than there is memory for, and a client beside them that asks little."""
    request = produce("crowd", batch.batch([bytes(900 * KIB)], 1_700_000_000_000))
    beside = node.connect()
    create_topic(beside, "crowd", 1)
    before, slowest, answered = rss_mib(pid), 0.0, 0
    forget_peak(pid)
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            connection = node.connect()
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, memoryview(request))
        # All but the last byte of each first: so many requests are under way at once.
        hold, begin = True, time.monotonic()
        still = begin
        while answered < count:
            for key, events in selector.select(0.05):
                connection, rest = key.fileobj, key.data
                if events & selectors.EVENT_WRITE and len(rest) > hold:
                    with contextlib.suppress(BlockingIOError):
                        sent = connection.send(rest[:len(rest) - hold])
                        selector.modify(connection, selectors.EVENT_READ | (selectors.EVENT_WRITE if len(rest) - sent > hold else 0), rest[sent:])
                        still = time.monotonic()
                elif events & selectors.EVENT_READ:
                    connection.setblocking(True)
                    answer(connection)
                    answered += 1
                    selector.unregister(connection)
                    connection.close()
            asked = time.monotonic()
            ask(beside, frame(API_VERSIONS, 0))
            slowest = max(slowest, time.monotonic() - asked)
            if hold and time.monotonic() - still > 1:
                hold = False
                for key in list(selector.get_map().values()):
                    selector.modify(key.fileobj, selectors.EVENT_READ | selectors.EVENT_WRITE, key.data)
    beside.close()
    report(f"{count:,} produce requests of 900 KiB at once", seconds=time.monotonic() - begin, MiB_in_all=count * len(request) / MIB,
           resident_MiB_before=before, peak=peak_mib(pid), slowest_small_request_beside_them_ms=slowest * 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--polls", type=int, default=1_000)
    parser.add_argument("--crowd", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--no-tls", action="store_true")
    parser.add_argument("--only", choices=("connections", "polls", "large", "crowd"))
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    DIR.mkdir(parents=True, exist_ok=True)
    kinds = (False,) if options.no_tls else (False, True)

    def connections(secure):
        return lambda node, pid: idle_connections(node, pid, options.connections, secure)

    def large(node, pid):
        fill(node, "large", 110_000_000)
        for secure in kinds:
            large_fetch(node, pid, secure)

    parts = [("connections", connections(secure)) for secure in kinds]
    parts.append(("polls", lambda node, pid: long_polls(node, pid, options.polls, options.seconds)))
    parts.append(("large", large))
    parts.append(("crowd", lambda node, pid: crowd(node, pid, options.crowd)))
    for name, part in parts:
        if options.only in (None, name):
            # A fresh node each: what one part left in its memory is not the next one's.
            node = Node()
            node.make_key()
            with running(node) as pid:
                part(node, pid)


if __name__ == "__main__":
    main()
