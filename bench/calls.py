#!/usr/bin/env python3
"""Counts the system calls of a node per request, and the bytes that it copies, while Kafka's own Java clients produce and consume.

    calls.py [--records 200000]

ARCHITECTURE.md ("How a byte travels") says what they should be. A request is counted where its answer is: `frames` of the node's metrics.
strace slows the node down, so that more requests come together than usually do, but at a pace.
Needs strace. Environment: PEERS_HOME and MILLSTREAM_BINARY, as for broker.py.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

from broker import DIR, Millstream, free_port, variable

CALLS = ["epoll_wait", "recvfrom", "pwritev", "pwrite64", "preadv2", "sendmsg", "sendfile", "setsockopt", "futex"]
LARGE = ["batch.size=131072", "linger.ms=5"]
#       name                                   bytes  records a second, properties
PRODUCE = [("one record per request, 500 a second", 100, 500, ["linger.ms=0", "batch.size=1"]),
           ("one record per request, as many as it can", 100, -1, ["linger.ms=0", "batch.size=1"]),
           ("default batches", 1024, -1, []),
           ("128 KiB batches", 1024, -1, LARGE)]


class Counted(Millstream):
    """A node whose metrics can be read."""

    def command(self):
        self.http = f"127.0.0.1:{free_port()}"
        words = super().command()
        words[words.index("--http") + 1] = self.http
        return words

    def metric(self, pattern):
        with urllib.request.urlopen(f"http://{self.http}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(pattern, line))


def tool(node, name, *args):
    script = variable("PEERS_HOME", "the folder with kafka/kafka.sh") / "kafka" / "kafka.sh"
    libs = pathlib.Path.home() / ".cache/millstream-peers/kafka/libs"
    env = os.environ | {"PEERS_LIBS": os.environ.get("PEERS_LIBS", str(libs))}
    done = subprocess.run([script, "tool", name, "--bootstrap-server", node.bootstrap, *map(str, args)], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"calls.py: {name} {args}: {done.stdout}{done.stderr}")


def counted(node, request, work):
    """The calls per request of a kind while `work` is done."""
    with tempfile.NamedTemporaryFile("r") as table:
        tracer = subprocess.Popen(["strace", "-f", "-c", "-e", "trace=" + ",".join(CALLS), "-p", str(node.pid()), "-o", table.name],
                                  stderr=subprocess.PIPE, text=True)
        tracer.stderr.readline()  # It has attached.
        requests = f'kafka_network_requestmetrics_requests_total{{request="{request}"}}'
        before = node.metric(re.escape(requests))
        work()
        answered = node.metric(re.escape(requests)) - before
        tracer.terminate()
        tracer.wait()
        rows = (line.split() for line in table.read().splitlines())
        calls = {row[-1]: int(row[3]) for row in rows if row and row[-1] in CALLS}
    return answered, {name: count / answered for name, count in calls.items()}


def payload(folder, size):
    path = pathlib.Path(folder) / f"{size}.txt"
    path.write_text("\n".join(os.urandom(size // 2).hex() for _ in range(500)))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    records = parser.parse_args().records
    node = Counted("calls")
    node.start()
    rows = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, size, pace, properties in PRODUCE:
                topic = name.replace(" ", "-").replace(",", "")
                partitions = 1 if size == 100 else 6
                tool(node, "topics", "--create", "--topic", topic, "--partitions", partitions)
                many = records if pace < 0 and size > 100 else records // 20

                def produce():
                    tool(node, "producer-perf-test", "--topic", topic, "--num-records", many, "--throughput", pace,
                         "--payload-file", payload(folder, size), "--command-property", "acks=1", *properties)
                rows.append((f"produce {size} B, {name}", *counted(node, "Produce", produce)))
        time.sleep(1)
        rows.append(("consume 1,024 B, default batches", *counted(node, "Fetch", lambda: tool(
            node, "consumer-perf-test", "--topic", "default-batches", "--num-records", records, "--group", "calls", "--timeout", 20_000))))
    finally:
        node.wipe()
    print("| calls per request | requests | " + " | ".join(CALLS) + " |\n|---|---:|" + "---:|" * len(CALLS))
    for name, requests, calls in rows:
        print(f"| {name} | {requests:,.0f} | " + " | ".join(f"{calls.get(call, 0):.2f}" for call in CALLS) + " |")


if __name__ == "__main__":
    main()
