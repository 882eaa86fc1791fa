#!/usr/bin/env python3
"""Measures a Millstream node and Apache Kafka in turn, on one machine, under the same clients, and prints the tables of README.md.

    broker.py warm      start Apache Kafka and run the whole load over it once, uncounted: a JVM costs half after its first minutes
    broker.py run       measure Kafka (as warm left it, or started cold), then Millstream; print the tables (about 11 minutes)
    broker.py all       both
    broker.py tables    print the tables again from what the last run left
    broker.py stop      end what warm started

Options: --write puts the tables into README.md; --only REGEX measures only the rows whose names match; --skip-lifecycle leaves out start,
restart and many partitions; --full takes twice the records and seconds; --passes N measures each side N times, and the tables have medians.

Environment: PEERS_HOME (the folder with measure.py, lifecycle.py and kafka/kafka.sh), MILLSTREAM_BINARY (built with --release
--no-default-features), BENCH_DIR (data and results; default ~/.cache/millstream/bench). Nothing else should run meanwhile.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import floors
import tables

HERE = pathlib.Path(__file__).resolve().parent
DIR = pathlib.Path(os.environ.get("BENCH_DIR", pathlib.Path.home() / ".cache/millstream/bench"))
PARTITIONS = 2000
LIMIT_S = 300
HZ = os.sysconf("SC_CLK_TCK")


def variable(name, what):
    if not os.environ.get(name):
        sys.exit(f"broker.py: {name} is not set; it must be {what}")
    return pathlib.Path(os.environ[name]).resolve()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(done, what):
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if result := done():
            return result
        time.sleep(0.01)
    sys.exit(f"broker.py: {what}: not within {LIMIT_S} s")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return sum(map(int, fields[11:13])) / HZ


def rss_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


class Millstream:
    """One node in a folder of its own."""
    label = "millstream"

    def __init__(self, folder="millstream"):
        self.binary = variable("MILLSTREAM_BINARY", "the path of a release build of millstream")
        self.data = DIR / folder
        self.port_file = DIR / f"{folder}.port"
        shutil.rmtree(self.data, ignore_errors=True)
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"

    def command(self):
        return [str(self.binary), "serve", "--data-dir", str(self.data), "--kafka", self.bootstrap, "--http", f"127.0.0.1:{free_port()}",
                "--set", "group.initial.rebalance.delay.ms=0"]

    def start(self):
        DIR.mkdir(parents=True, exist_ok=True)
        with open(DIR / "millstream.out", "ab") as out:
            subprocess.Popen(self.command(), stdout=out, stderr=out, start_new_session=True)
        until(self.accepts, "the node's port")

    def accepts(self):
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def pid(self):
        """The process whose command line names our data folder."""
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if str(self.data).encode() in words and b"serve" in words:
                    return int(entry.name)
        return None

    def lifecycle_command(self):
        return ["--foreground", "--bootstrap", self.bootstrap], self.command()

    def stop(self):
        self.end(signal.SIGTERM)

    def kill(self):
        self.end(signal.SIGKILL)

    def end(self, sign):
        if pid := self.pid():
            os.kill(pid, sign)
            until(lambda: not alive(pid), "the node's end")

    def wipe(self):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)


def alive(pid):
    """Whether any of its threads is left: until the last has ended, its files are open and its folder is locked."""
    process = pathlib.Path(f"/proc/{pid}")
    try:
        return (process / "stat").read_text().rsplit(") ", 1)[1][0] != "Z" or len(os.listdir(process / "task")) > 1
    except OSError:
        return False


class Null:
    """A server that answers the probe and keeps nothing (null_server.rs): what the probe measures of itself and the machine."""
    label = "null"

    def __init__(self):
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"

    def start(self):
        DIR.mkdir(parents=True, exist_ok=True)
        binary = DIR / "null_server"
        subprocess.run(["rustc", "--edition", "2024", "-O", HERE / "null_server.rs", "-o", binary], check=True)
        self.process = subprocess.Popen([binary, str(self.port)])
        until(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) == 0, "the null server's port")

    def pid(self):
        return self.process.pid

    def wipe(self):
        self.process.terminate()
        self.process.wait()


class Kafka:
    """Apache Kafka, one node, by its peer script."""
    label = "kafka"

    def __init__(self, folder="kafka"):
        self.script = variable("PEERS_HOME", "the folder with measure.py and kafka/kafka.sh") / "kafka" / "kafka.sh"
        libs = pathlib.Path.home() / ".cache/millstream-peers/kafka/libs"
        self.env = os.environ | {"PEERS_DIR": str(DIR / folder), "PEERS_LIBS": os.environ.get("PEERS_LIBS", str(libs))}
        port_file = DIR / folder / "nodes"
        self.port = int(port_file.read_text().split()[1]) if port_file.exists() else free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"

    def sh(self, *args):
        done = subprocess.run([self.script, *map(str, args)], env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"broker.py: kafka.sh {args}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def start(self):
        DIR.mkdir(parents=True, exist_ok=True)
        self.sh("start", 1, self.port)

    def pid(self):
        pids = self.sh("pids")
        return int(pids) if pids else None

    def lifecycle_command(self):
        return ["--bootstrap", self.bootstrap], ["env", f"PEERS_DIR={self.env['PEERS_DIR']}", f"PEERS_LIBS={self.env['PEERS_LIBS']}",
                                                 str(self.script), "start-node", "1"]

    def stop(self):
        self.sh("stop")

    def kill(self):
        if pid := self.pid():
            os.kill(pid, signal.SIGKILL)
            until(lambda: not alive(pid), "Kafka's end")

    def wipe(self):
        self.sh("wipe")


def measure(side, options, args):
    """One pass of measure.py over the rows that are asked for; its report."""
    path = DIR / f"{side.label}.json"
    peers = variable("PEERS_HOME", "the folder with measure.py and kafka/kafka.sh")
    command = [sys.executable, peers / "measure.py", "--bootstrap", side.bootstrap, "--pid", str(side.pid()), "--label", side.label,
               "--json", path, "--repeat", str(args.passes), *options, *([] if args.full else ["--quick"]), *(["--only", args.only] if args.only else [])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads(path.read_text())


def lifecycle(*args):
    peers = variable("PEERS_HOME", "the folder with measure.py and kafka/kafka.sh")
    done = subprocess.run([sys.executable, peers / "lifecycle.py", *args], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"broker.py: lifecycle.py {args}: {done.stdout}{done.stderr}")
    print(f"# {done.stdout.strip()}", file=sys.stderr)
    return json.loads(done.stdout)


def idle(side, seconds):
    pid, begin = side.pid(), time.monotonic()
    before = cpu_s(pid)
    time.sleep(seconds)
    return {"cpu_percent": 100 * (cpu_s(pid) - before) / (time.monotonic() - begin), "rss_mib": rss_mib(pid)}


def lifecycles(side):
    """Start, many partitions, restart in order and after kill -9, over a folder that begins empty."""
    options, command = side.lifecycle_command()
    started = lambda *more: lifecycle("start", *options, *more, "--", *command)
    found = {}
    side.start()
    side.stop()
    found["start"] = started()
    time.sleep(5)
    found["idle"] = idle(side, 15)
    found["created"] = lifecycle("partitions", "--bootstrap", side.bootstrap, "--count", str(PARTITIONS))
    time.sleep(10)
    found["idle_many"] = idle(side, 15)
    begin = time.monotonic()
    side.stop()
    found["stop_s"] = round(time.monotonic() - begin, 3)
    found["restart"] = started("--all", str(PARTITIONS))
    side.kill()
    found["killed"] = started("--all", str(PARTITIONS))
    return found


def save(name, content):
    DIR.mkdir(parents=True, exist_ok=True)
    (DIR / name).write_text(json.dumps(content, indent=1))


def warm(args):
    kafka = Kafka()
    if not kafka.pid():
        kafka.wipe()
        kafka = Kafka()
        kafka.start()
    measure(kafka, [], argparse.Namespace(**{**vars(args), "passes": 1}))
    return kafka


def run(args):
    kafka = Kafka()
    if not kafka.pid():
        print("# Apache Kafka is not warm: its figures are those of its first minutes", file=sys.stderr)
        kafka.wipe()
        kafka = Kafka()
        kafka.start()
    save("floors.json", floors.measure())
    measure(kafka, ["--no-warmup"], args)
    kafka.wipe()
    millstream = Millstream()
    millstream.start()
    try:
        measure(millstream, ["--no-warmup"], args)
    finally:
        millstream.wipe()
    null = Null()
    null.start()
    try:
        measure(null, ["--no-warmup", "--keep"], argparse.Namespace(**{**vars(args), "only": "^probe"}))
    finally:
        null.wipe()
    if not args.skip_lifecycle:
        for side in (Kafka("kafka-lifecycle"), Millstream("millstream-lifecycle")):
            side.wipe()
            side = type(side)(f"{side.label}-lifecycle")
            try:
                save(f"{side.label}-lifecycle.json", lifecycles(side))
            finally:
                side.wipe()


def show(args):
    text = tables.text(DIR)
    print(text)
    if args.write:
        readme = HERE / "README.md"
        before, rest = readme.read_text().split(tables.BEGIN)
        after = rest.split(tables.END)[1]
        readme.write_text(f"{before}{tables.BEGIN}\n{text}\n{tables.END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("warm", "run", "all", "tables", "stop"))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", metavar="REGEX")
    parser.add_argument("--skip-lifecycle", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--passes", type=int, default=1, metavar="N")
    args = parser.parse_args()
    if args.what in ("warm", "all"):
        warm(args)
    if args.what in ("run", "all"):
        run(args)
    if args.what == "stop":
        return Kafka().wipe()
    if args.what != "warm":
        show(args)


if __name__ == "__main__":
    main()
