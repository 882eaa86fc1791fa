"""The tables of README.md out of the reports that broker.py keeps."""
import json
import statistics

BEGIN, END = "<!-- broker.py: begin -->", "<!-- broker.py: end -->"
# Of each row of measure.py: what is compared, in which unit, and the ratio to Kafka that is the goal.
CPU, REQUEST = ("broker_cpu_s_per_gib", "CPU s/GiB", 2), ("broker_cpu_us_per_request", "CPU us/request", 1)
LATENCIES = (("p50_ms", "p50 ms", 3), ("p99_ms", "p99 ms", 3), ("p999_ms", "p99.9 ms", 3), ("broker_cpu_percent", "CPU % of a core", 2))
TO_CONSUMER = (("e2e_p50_ms", "p50 ms to the consumer", 3), ("e2e_p99_ms", "p99 ms to the consumer", 3), ("e2e_p999_ms", "p99.9 ms to the consumer", 3))
IDLE = (("broker_cpu_percent", "CPU % of a core", 3), ("rss_mib", "resident MiB", 0))
GOALS = ((r"produce 100 B", (CPU,), 1 / 5), (r"produce 1 KiB, .*default", (CPU,), 1 / 4), (r"produce 1 KiB, .*128 KiB", (CPU,), 1 / 3),
         (r"lz4, acks", (CPU,), 1 / 6), (r"consume 1 KiB, ", (CPU,), None), (r"consume", (CPU,), 1 / 2), (r"one record", (REQUEST,), 1 / 5),
         (r"probe", (*LATENCIES, *TO_CONSUMER), 1 / 5), (r"rate|e2e", LATENCIES, 1 / 5), (r"idle", IDLE, None))


def goal_of(name):
    import re
    for pattern, metrics, goal in GOALS:
        if re.search(pattern, name):
            return metrics, goal
    return (), None


def median(samples, key):
    values = [sample[key] for sample in samples if key in sample]
    return statistics.median(values) if values else None


def samples_of(report):
    return {row["name"]: row["samples"] for row in report["rows"]}


def rows(kafka, ours, null):
    """(row, unit, Kafka's, ours, the null server's or 0, goal as a ratio, digits)"""
    other, nothing = samples_of(ours), samples_of(null)
    for row in kafka["rows"]:
        metrics, goal = goal_of(row["name"])
        for key, unit, digits in metrics:
            a, b = median(row["samples"], key), median(other.get(row["name"], []), key)
            n = median(nothing.get(row["name"], []), key) if " ms" in unit else None
            if a is not None and b is not None:
                yield row["name"], unit, a, b, n or 0.0, goal, digits
    peaks = [max(median(row["samples"], "peak_rss_mib") or 0 for row in report["rows"]) for report in (kafka, ours)]
    yield "peak over all rows", "resident MiB", *peaks, 0.0, 1 / 10, 0


def throughput(kafka, ours):
    other = samples_of(ours)
    for row in kafka["rows"]:
        for key, unit in (("mib_per_s", "MiB/s"),):
            a, b = median(row["samples"], key), median(other.get(row["name"], []), key)
            if a and b and not row["name"].startswith("rate"):
                yield row["name"], unit, a, b


LIFE = (("start to first acknowledged record, s", lambda found: found["start"]["first_ack_s"], 2),
        (" 2,000 partitions: a record on each after creation, s", lambda found: found["created"]["all_acked_s"], 2),
        (" ... after a restart, s", lambda found: found["restart"]["all_acked_s"], 2),
        (" ... after kill -9, s", lambda found: found["killed"]["all_acked_s"], 2),
        ("stop in order with 2,000 partitions, s", lambda found: found["stop_s"], 2),
        ("idle, fresh: CPU % of a core", lambda found: found["idle"]["cpu_percent"], 2),
        ("idle, fresh: resident MiB", lambda found: found["idle"]["rss_mib"], 0),
        ("idle, 2,000 partitions: CPU % of a core", lambda found: found["idle_many"]["cpu_percent"], 2),
        ("idle, 2,000 partitions: resident MiB", lambda found: found["idle_many"]["rss_mib"], 0))
BARS = (0.1, 0.5, 0.3, 0.5, None, 0.1, 30, 0.3, None)


def ratio(a, b):
    return f"{b / a:.3f}" if a else ""


def beyond(a, b, n):
    """What a broker takes more than a server that does nothing, as a ratio to Kafka's. None where that server took longer than one of them:
    what it was measured with, or the machine, changed by more than there is to tell apart."""
    return (b - n) / (a - n) if n <= b and n < a else None


def verdict(b, bar):
    return "" if bar is None else "held" if b <= bar else "missed"


def text(folder):
    load = lambda name: json.loads((folder / name).read_text())
    kafka, ours = load("kafka.json"), load("millstream.json")
    null = load("null.json") if (folder / "null.json").exists() else {"rows": []}
    machine = ours["machine"]
    lines = [f"Taken {ours['date']} on {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}.", "",
             "| row | unit | Apache Kafka | Millstream | ratio | goal | |", "|---|---|---:|---:|---:|---:|---|"]
    worse = []
    for name, unit, a, b, n, goal, digits in rows(kafka, ours, null):
        told = f"{goal:.2f}" if goal else ""
        share = beyond(a, b, n) if n else None
        unit += f" (the null server's: {n:.{digits}f})" if n else ""
        how = f"{share:.3f}" if share is not None else ratio(a, b)
        held = verdict(share, goal) if share is not None else "not told apart" if n else verdict(b, goal and goal * a)
        lines.append(f"| {name} | {unit} | {a:,.{digits}f} | {b:,.{digits}f} | {how} | {told} | {held} |")
        if b > a:
            worse.append(f"{name} ({unit}: {b:,.{digits}f} against {a:,.{digits}f})")
    lines += ["", "| throughput, client and broker sharing the cores | Apache Kafka MiB/s | Millstream MiB/s | ratio |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {a:,.1f} | {b:,.1f} | {ratio(a, b)} |" for name, _, a, b in throughput(kafka, ours)]
    lives = [folder / f"{side}-lifecycle.json" for side in ("kafka", "millstream")]
    if all(path.exists() for path in lives):
        theirs, mine = (json.loads(path.read_text()) for path in lives)
        lines += ["", "| start, memory, many partitions | Apache Kafka | Millstream | ratio | goal | |", "|---|---:|---:|---:|---:|---|"]
        for (name, value, digits), bar in zip(LIFE, BARS):
            a, b = value(theirs), value(mine)
            lines.append(f"| {name.strip()} | {a:,.{digits}f} | {b:,.{digits}f} | {ratio(a, b)} | {bar if bar else ''} | {verdict(b, bar)} |")
            if b > a:
                worse.append(f"{name.strip()} ({b:,.{digits}f} against {a:,.{digits}f})")
    floors = folder / "floors.json"
    if floors.exists():
        found = json.loads(floors.read_text())
        lines += ["", "The machine itself in this run, CPU s/GiB: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()) + "."]
    lines += ["", "Worse than Kafka: " + ("; ".join(worse) if worse else "no row") + "."]
    return "\n".join(lines)
