#!/usr/bin/env python3
"""Measures what TLS costs a broker: Kafka's own Java clients produce and consume over it, at a Millstream node and at Apache Kafka in turn.

    tls.py [--records 1000000] [--passes 3] [--only millstream|kafka]

Both have the same certificate, and the JVM's choice of cipher. Apache Kafka is measured warm: the load runs over it once, uncounted. Each
pass runs every row over both sides; the table has medians. Environment: as for broker.py.
"""
import argparse
import os
import pathlib
import random
import shutil
import statistics
import string
import subprocess
import sys

import pressure
from broker import DIR, Kafka, cpu_s, free_port, variable

PARTITIONS, GIB = 6, 1 << 30
BATCHES = {"default batches": [], "128 KiB batches": ["batch.size=131072", "linger.ms=5"]}


class Secured:
    """What both sides have: a key, and clients that know its certificate."""

    def __init__(self, side, address):
        self.side, self.address = side, address

    def tool(self, name, *args):
        script = variable("PEERS_HOME", "the folder with kafka/kafka.sh") / "kafka" / "kafka.sh"
        libs = pathlib.Path.home() / ".cache/millstream-peers/kafka/libs"
        env = os.environ | {"PEERS_LIBS": os.environ.get("PEERS_LIBS", str(libs))}
        done = subprocess.run([script, "tool", name, "--bootstrap-server", self.address, *map(str, args)], env=env, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"tls.py: {name} {args}: {done.stdout}{done.stderr}")
        return done.stdout

    def topic(self, name):
        self.tool("topics", "--command-config", client_file(), "--create", "--topic", name, "--partitions", PARTITIONS, "--replication-factor", 1)

    def produce(self, topic, records, size, properties):
        self.tool("producer-perf-test", "--topic", topic, "--num-records", records, "--throughput", -1, "--payload-file", payload(size),
                  "--command-config", client_file(), "--command-property", "acks=all", *properties)

    def consume(self, topic, records):
        self.tool("consumer-perf-test", "--topic", topic, "--num-records", records, "--group", f"g-{topic}", "--timeout", 30_000,
                  "--command-config", client_file())

    def pass_over(self, number, records, size=1024):
        """CPU seconds of the broker per GiB of values, of each row."""
        pid, gib, found = self.side.pid(), records * size / GIB, {}

        def row(name, work):
            before = cpu_s(pid)
            work()
            found[name] = (cpu_s(pid) - before) / gib

        for at, (name, properties) in enumerate(BATCHES.items()):
            topic = f"tls-{number}-{at}"
            self.topic(topic)
            row(f"produce 1 KiB, acks=all, {name}", lambda: self.produce(topic, records, size, properties))
            row(f"consume 1 KiB, {name}", lambda: self.consume(topic, records))
            self.tool("topics", "--command-config", client_file(), "--delete", "--topic", topic)
        return found


def client_file():
    path = DIR / "tls-client.properties"
    path.write_text(f"security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={DIR / 'pressure.crt'}\n"
                    "ssl.endpoint.identification.algorithm=\n")
    return path


def payload(size):
    path = DIR / f"payload-{size}"
    if not path.exists():
        draw = random.Random(size)
        path.write_text("".join("".join(draw.choices(string.ascii_letters, k=size)) + "\n" for _ in range(4000)))
    return path


def millstream():
    node = pressure.Node()
    node.make_key()
    return Secured(node, f"127.0.0.1:{node.secure_port}")


def kafka(key):
    side, port = Kafka("tls-kafka"), free_port()
    side.wipe()
    side = Kafka("tls-kafka")
    side.env["KAFKA_EXTRA"] = "\n".join([
        # TLS comes first: kafka.sh looks for the port of a line that begins as its own does.
        f"listeners=SSL://127.0.0.1:{port},PLAINTEXT://{side.bootstrap},CONTROLLER://127.0.0.1:{side.port + 1}",
        f"advertised.listeners=PLAINTEXT://{side.bootstrap},SSL://127.0.0.1:{port}",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL",
        "ssl.keystore.type=PEM",
        f"ssl.keystore.location={key}",
    ])
    return Secured(side, f"127.0.0.1:{port}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--only", choices=["millstream", "kafka"])
    args = parser.parse_args()
    DIR.mkdir(parents=True, exist_ok=True)
    ours = millstream()
    sides = {"kafka": kafka(ours.side.key), "millstream": ours}
    sides = {label: side for label, side in sides.items() if args.only in (None, label)}
    samples = {label: [] for label in sides}
    try:
        for side in sides.values():
            side.side.start()
        if "kafka" in sides:
            sides["kafka"].pass_over("warm", args.records)
        for number in range(args.passes):
            for label, side in sides.items():
                samples[label].append(side.pass_over(number, args.records))
                print(f"# {label} {number}: {samples[label][-1]}", file=sys.stderr)
    finally:
        for side in sides.values():
            side.side.stop()
            side.side.wipe()
        shutil.rmtree(DIR / "tls-kafka", ignore_errors=True)
    print("| row over TLS | " + " | ".join(f"{label} CPU s/GiB" for label in sides) + " | ratio |")
    print("|---|" + "---:|" * (len(sides) + 1))
    for row in next(iter(samples.values()))[0]:
        medians = [statistics.median(sample[row] for sample in samples[label]) for label in sides]
        ratio = f"{medians[-1] / medians[0]:.3f}" if len(medians) == 2 else ""
        print(f"| {row} | " + " | ".join(f"{value:.2f}" for value in medians) + f" | {ratio} |")


if __name__ == "__main__":
    main()
