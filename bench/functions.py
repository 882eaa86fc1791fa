#!/usr/bin/env python3
"""Measures functions against Kafka Streams: the same filter over the same events, engine by engine, on one machine.

    functions.py all       load both sides, run every engine in turn, compare what came out, print and keep the table (about 5 minutes)
    functions.py table     print the table again from what the last run left

The filter is that of PEERS_HOME/streams: 6.5 M JSON events of 105 bytes, of which 3,249,978 pass with five fields. Kafka Streams counts the
CPU of its application and the broker's while it runs, ours the whole node's; both from the first 1.5 M records on.

Options: --rounds N (2): each round runs every engine once; --records N and --warm N for a smaller try; --engines a,b of streams, rust, js;
--guarantee exactly-once (the default, as functions have it) or at-least-once, for both sides; --write puts the table of that guarantee
into functions.md.

Environment: PEERS_HOME (the folder with kafka/kafka.sh and streams/streams.sh), MILLSTREAM_BINARY (built with --release
--no-default-features --features functions), BENCH_DIR and PEERS_LIBS as for broker.py. Needs Java 17 or later. Nothing else should run meanwhile.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

import broker

INPUT, PARTITIONS, SEED = "small", 4, 1
FUNCTIONS = pathlib.Path(__file__).resolve().parent.parent / "functions"
COMPONENTS = {"rust": "filter/filter.wasm", "js": "filter-js/filter-js.wasm"}
# What Kafka Streams calls them (processing.guarantee).
STREAMS_GUARANTEES = {"at-least-once": "at_least_once", "exactly-once": "exactly_once_v2"}
NAMES = {"streams": "Kafka Streams", "rust": "Rust function", "js": "JavaScript function"}
RUN_LIMIT_S = 420
LOOK_S = 0.05
# Around the table of a guarantee in functions.md.
MARKS = "<!-- {} -->", "<!-- end of {} -->"


def say(text):
    print(f"# {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Java:
    """The peers' programs, and ours beside them, with Kafka's own jars."""

    def __init__(self, peer):
        streams = broker.variable("PEERS_HOME", "the folder with kafka/kafka.sh and streams/streams.sh") / "streams" / "streams.sh"
        libs = pathlib.Path(peer.env["PEERS_DIR"]) / "libs"
        libs.parent.mkdir(parents=True, exist_ok=True)
        libs.unlink(missing_ok=True)
        libs.symlink_to(peer.env["PEERS_LIBS"])
        # One line of events: the script compiles its programs on the way.
        subprocess.run([streams, "lines", "SMALL", "1", str(SEED)], env=peer.env, check=True, stdout=subprocess.DEVNULL)
        self.path = f"{peer.env['PEERS_DIR']}/streams-classes:{peer.env['PEERS_LIBS']}/*"

    def run(self, *words, heap="-Xmx1g"):
        command = ["java", heap, "-cp", self.path, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"functions.py: {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def load(self, bootstrap, records):
        self.run("Events", "produce", "SMALL", records, SEED, bootstrap, INPUT, PARTITIONS)

    def digest(self, bootstrap, topic):
        records, in_bytes, in_meaning = self.run(pathlib.Path(__file__).with_name("Digest.java"), bootstrap, topic).split()
        return {"records": int(records), "bytes": in_bytes, "meaning": in_meaning}


class Node(broker.Millstream):
    """Our node, spoken to over HTTP."""

    def __init__(self):
        super().__init__("functions-millstream")
        self.http = f"127.0.0.1:{broker.free_port()}"

    def command(self):
        return [str(self.binary), "serve", "--data-dir", str(self.data), "--kafka", self.bootstrap, "--http", self.http]

    def call(self, method, path, body=None):
        component = isinstance(body, bytes)
        data = body if component or body is None else json.dumps(body).encode()
        kind = "application/wasm" if component else "application/json"
        request = urllib.request.Request(f"http://{self.http}{path}", data, {"content-type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            sys.exit(f"functions.py: {method} {path}: {error.code} {error.read().decode()}")
        return json.loads(text) if text else None


def run_streams(java, kafka, topic, args):
    state = broker.DIR / f"{topic}-state"
    out = java.run("Transform", "filter", STREAMS_GUARANTEES[args.guarantee], kafka.bootstrap, kafka.pid(), INPUT, args.records, args.warm, topic, 1, state, heap="-Xmx2g")
    shutil.rmtree(state, ignore_errors=True)
    whole = next(line for line in out.splitlines() if line.startswith("whole"))
    figure = lambda name: float(re.search(rf"{name} ([\d.]+)", whole)[1])
    return {"us": figure("app_us/rec") + figure("broker_us/rec"), "app_us": figure("app_us/rec"), "broker_us": figure("broker_us/rec"),
            "records_s": figure("rec/s"), "rss_mib": figure("peak_rss_mib")}


def run_function(node, name, component, topic, args):
    pid = node.pid()
    # The events are older than any retention.
    node.call("POST", "/v1/topics", {"name": topic, "partitions": PARTITIONS, "configs": {"retention.ms": "-1"}})
    begin = broker.cpu_s(pid)
    uploaded = node.call("PUT", "/v1/components", component.read_bytes())
    node.call("POST", "/v1/functions", {"name": name, "spec": {"component": uploaded["hash"], "inputs": [INPUT], "outputs": [topic],
                                                                  "processing_guarantee": args.guarantee}})
    marks = {}
    deadline = time.monotonic() + RUN_LIMIT_S
    while "end" not in marks:
        status = node.call("GET", f"/v1/functions/{name}")
        read, now = status["records_in"], (time.monotonic(), broker.cpu_s(pid))
        if status["state"] == "failed" or time.monotonic() > deadline:
            sys.exit(f"functions.py: {name} read {read} records and did not end: {json.dumps(status)}")
        if read >= args.warm:
            marks.setdefault("warm", (read, *now))
        if read >= args.records:
            marks["end"] = (read, *now)
        time.sleep(LOOK_S)
    (from_read, from_s, from_cpu), (to_read, to_s, to_cpu) = marks["warm"], marks["end"]
    rss = broker.rss_mib(pid)
    node.call("DELETE", f"/v1/functions/{name}")
    return {"us": (to_cpu - from_cpu) * 1e6 / (to_read - from_read), "records_s": (to_read - from_read) / (to_s - from_s), "rss_mib": rss,
            "us_with_start": (to_cpu - begin) * 1e6 / to_read}


def run(args):
    kafka, node = broker.Kafka("functions-kafka"), Node()
    kafka.wipe()
    kafka = broker.Kafka("functions-kafka")
    runs, digests = [], {}
    try:
        java = Java(kafka)
        kafka.start()
        node.start()
        for side in (kafka, node):
            say(f"loading {args.records} events into {side.label}")
            java.load(side.bootstrap, args.records)
        for number in range(args.rounds):
            for engine in args.engines:
                topic = f"passed-{engine}-{number}"
                say(f"round {number + 1}: {NAMES[engine]}")
                if engine == "streams":
                    side, figures = kafka, run_streams(java, kafka, topic, args)
                else:
                    side, figures = node, run_function(node, f"filter-{engine}-{number}", FUNCTIONS / COMPONENTS[engine], topic, args)
                say(json.dumps(figures))
                runs.append({"engine": engine, **figures})
                if number == 0:
                    digests[engine] = java.digest(side.bootstrap, topic)
                    say(json.dumps(digests[engine]))
        return {"records": args.records, "warm": args.warm, "runs": runs, "digests": digests, "component_bytes": {
            engine: (FUNCTIONS / path).stat().st_size for engine, path in COMPONENTS.items()}}
    finally:
        node.wipe()
        kafka.wipe()


def spread(values, digits=2):
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(report):
    engines = list(dict.fromkeys(run["engine"] for run in report["runs"]))
    of = lambda engine, name: [run[name] for run in report["runs"] if run["engine"] == engine]
    lines = ["| engine | CPU, us/record | of Kafka Streams | records/s | records out | same records |", "|---|---|---|---|---|---|"]
    streams, truth = of("streams", "us"), report["digests"].get("streams")
    for engine in engines:
        found, us = report["digests"][engine], of(engine, "us")
        # Neighbours in time are compared: the machine is not the same from one minute to the next.
        ratio = spread([one / base for one, base in zip(us, streams)]) if streams else "-"
        same = "-" if not truth else "yes, byte for byte" if found == truth else \
            "yes, numbers printed otherwise" if found["meaning"] == truth["meaning"] else "NO"
        rate = f"{statistics.median(of(engine, 'records_s')) / 1e3:.0f} k"
        lines.append(f"| {NAMES[engine]} | {spread(us)} | {ratio} | {rate} | {found['records']:,} | {same} |")
    if streams:
        app, share = statistics.median(of("streams", "app_us")), statistics.median(of("streams", "broker_us"))
        lines += ["", f"Kafka Streams: the application {app:.2f}, its broker {share:.2f}. {report['records']:,} events, {report['warm']:,} of them warm-up; "
                      f"{len(streams)} runs of each engine, in turn."]
    started = [f"{NAMES[engine]} {statistics.median(of(engine, 'us_with_start')):.2f}" for engine in engines if engine != "streams"]
    if started:
        lines.append(f"With upload, compilation and warm-up, over all records: {', '.join(started)} us/record.")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", "table"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--records", type=int, default=6_500_000)
    parser.add_argument("--warm", type=int, default=1_500_000)
    parser.add_argument("--engines", type=lambda text: text.split(","), default=list(NAMES))
    parser.add_argument("--guarantee", choices=list(STREAMS_GUARANTEES), default="exactly-once")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    kept = broker.DIR / f"functions-{args.guarantee}.json"
    if args.what == "all":
        report = run(args)
        kept.write_text(json.dumps(report, indent=1))
    text = table(json.loads(kept.read_text()))
    print(text)
    if args.write:
        page = pathlib.Path(__file__).with_name("functions.md")
        begin, end = (mark.format(args.guarantee) for mark in MARKS)
        before, rest = page.read_text().split(begin)
        page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
