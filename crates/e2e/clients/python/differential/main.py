"""The same requests to Apache Kafka and to this node, and what of their answers differs.

main.py OURS KAFKAS JARS SEED REQUESTS DOCUMENT    addresses (of a plain listener, and behind a comma of one with SASL), the folder of Kafka's
                                                   jars, a number, requests for each version of each API, and
                                                   docs/kafka-compatibility.md, whose tables explain what may differ

Prints one JSON object a line: {"difference": ...} for each that no row explains, and last {"asked": ..., "answered": ..., "explained": ...}.
"""

import base64
import json
import re
import sys
import time
import uuid

import sasl
import shares
from batch import batch
from compare import differences, joined, merged, normal
from requests import POOLS, Maker, resolved
from wire import API_VERSIONS, Closed, Peer, Wrong, load

# Sent last, in this order: what they change is then behind all others.
CHANGING = [0, 21, 8, 47, 42, 11, 22, 24, 25, 28, 26, 27, 33, 44, 49, 37, 19, 20, 51, 57]
SETTLES = {33, 44, 49, 37, 19, 20, 21}
# What of a transaction may go on after the answer, and what it is asked about then.
ENDS = {22, 26}
METADATA, CREATE_TOPICS, FIND_COORDINATOR, PRODUCE, OFFSET_COMMIT, INIT_PRODUCER_ID = 3, 19, 10, 0, 8, 22
DESCRIBE_TRANSACTIONS, ALTER_SCRAM = 65, 51
# A wait for what a broker does after it answered (seconds).
SETTLE_LIMIT = 10
ANSWER_LIMIT = 10


def fits(pattern, text):
    """`*` stands for any text, but in brackets: there it is one name."""
    parts = re.split(r"(\[\*\]|\*)", pattern)
    return re.fullmatch("".join({"*": ".*", "[*]": r"\[[^\]]*\]"}.get(part, re.escape(part)) for part in parts), text) is not None


class Explained:
    """The rows of the document's table of differences: API, versions, field, what differs, why."""

    def __init__(self, document):
        text = open(document, encoding="utf-8").read()
        apis = re.findall(r"^\| (\d+) \| \w+ \| ([\d-]+) \| ([\d-]+) \|", text, re.MULTILINE)
        self.apis = [{int(key): told[side] for key, *told in apis if told[side] != "-"} for side in (1, 0)]
        self.rows, self.used = [], {}
        for line in text.partition("## Differences")[2].splitlines():
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)]
            if len(cells) == 7 and cells[1] and not cells[1].startswith(("-", "API")):
                self.rows.append((cells[1].strip("`"), cells[2], cells[3].strip("`")))

    def has(self, api, version, path):
        for row in self.rows:
            name, versions, pattern = row
            if name not in ("*", api) or not fits(pattern, path):
                continue
            low, _, high = versions.partition("-")
            if versions == "all" or int(low) <= version <= int(high or low):
                self.used[row] = self.used.get(row, 0) + 1
                return True
        return False


class Pair:
    """Both brokers."""

    def __init__(self, ours, theirs, schemas):
        self.requests = schemas[0]
        self.peers = [Peer(ours, schemas), Peer(theirs, schemas)]
        self.ids = [{}, {}]

    def ask(self, key, version, body, limit=ANSWER_LIMIT):
        """What each answers: values, or a word for why there are none. Both are asked at once."""
        failures = [None, None]
        for place, peer in enumerate(self.peers):
            try:
                peer.send(key, version, resolved(body, self.ids[place]), limit)
            except (Closed, OSError):
                peer.close()
                failures[place] = "closed"
        answers = []
        for place, peer in enumerate(self.peers):
            try:
                answers.append(failures[place] or peer.receive(key, version))
            except Closed:
                answers.append("closed")
            except TimeoutError:
                answers.append("silent")
            except (Wrong, OSError) as error:
                peer.close()
                answers.append(f"broken: {error}")
        return answers

    def ask_each(self, key, version, bodies):
        """The same, with a body for each."""
        answers = []
        for place, peer in enumerate(self.peers):
            try:
                answers.append(peer.ask(key, version, resolved(bodies[place], self.ids[place]), ANSWER_LIMIT))
            except (Closed, OSError, Wrong) as error:
                answers.append(f"{type(error).__name__}")
        return answers

    def topics(self):
        """The topics of each: partitions by name."""
        found = []
        for place, answer in enumerate(self.ask(METADATA, 12, {"Topics": None})):
            self.ids[place].update({topic["Name"]: topic["TopicId"] for topic in answer["Topics"]})
            found.append({topic["Name"]: len(topic["Partitions"]) for topic in answer["Topics"]})
        return found

    def settle(self):
        """Waits until both know the same topics, which a Kafka broker hears of some time after it answered."""
        end = time.monotonic() + SETTLE_LIMIT
        while True:
            ours, theirs = (
                {name: count for name, count in topics.items() if not name.startswith("__")} for topics in self.topics()
            )
            if ours == theirs or time.monotonic() > end:
                return
            time.sleep(0.02)


    def ended(self):
        """Waits until no transaction of either is in the middle of its end."""
        asked = {"TransactionalIds": [name for name in POOLS["TransactionalId"] if name]}
        end = time.monotonic() + SETTLE_LIMIT
        while time.monotonic() < end:
            answers = self.ask(DESCRIBE_TRANSACTIONS, 0, asked)
            if not any(one["TransactionState"].startswith("Prepare") for answer in answers for one in answer["TransactionStates"]):
                return
            time.sleep(0.02)


def until(what, done):
    end = time.monotonic() + 60
    while not done():
        if time.monotonic() > end:
            sys.exit(f"after a minute still not so: {what}")
        time.sleep(0.05)


def is_ready(answer, *path):
    """Whether no error is told at the end of `path`, which leads through lists."""
    if isinstance(answer, str):
        return False
    if not path:
        return answer["ErrorCode"] == 0
    return all(is_ready(inner, *path[1:]) for inner in answer[path[0]])


def ready(pair, what, key, version, body, *path):
    """Asks each broker until it answers without an error: no more often than it needs."""
    for place, peer in enumerate(pair.peers):
        until(f"{what}, at {peer.address}", lambda: is_ready(peer.ask(key, version, resolved(body, pair.ids[place]), 60), *path))


def has_brokers(peer):
    try:
        return peer.ask(METADATA, 12, {"Topics": []}, 60)["Brokers"]
    except (OSError, Closed):
        peer.close()
        return False


def prepare(pair):
    """Puts both into the same state: three topics, records in one, a group with offsets, a transactional id."""
    options = [{"Name": "retention.ms", "Value": "-1"}]
    topics = [
        {"Name": name, "NumPartitions": count, "ReplicationFactor": 1, "Configs": options}
        for name, count in (("alpha", 3), ("beta", 1), ("gamma", 1))
    ]
    # A broker of Kafka listens some time before it takes part in its cluster.
    for peer in pair.peers:
        until(f"the broker at {peer.address} is there", lambda: has_brokers(peer))
    answers = pair.ask(CREATE_TOPICS, 7, {"Topics": topics, "timeoutMs": 30_000}, 60)
    if not all(is_ready(answer, "Topics") for answer in answers):
        sys.exit(f"the topics could not be made: {answers}")
    pair.settle()
    for values, timestamp in (([b"a", b"b"], 0), ([b"c"] * 3, 100), ([b"d"], 50)):
        records = batch(values, 1_700_000_000_000 + timestamp)
        body = {"Acks": -1, "TimeoutMs": 30_000, "TopicData": [{"Name": "beta", "PartitionData": [{"Index": 0, "Records": records}]}]}
        ready(pair, "records are produced", PRODUCE, 9, body, "Responses", "PartitionResponses")
    for kind, name in ((0, "g"), (1, "tx")):
        body = {"KeyType": kind, "CoordinatorKeys": [name]}
        ready(pair, "there is a coordinator", FIND_COORDINATOR, 4, body, "Coordinators")
    partitions = [{"PartitionIndex": 0, "CommittedOffset": 2, "CommittedMetadata": "m"}]
    body = {"GroupId": "g", "GenerationIdOrMemberEpoch": -1, "Topics": [{"Name": name, "Partitions": partitions} for name in ("alpha", "beta")]}
    ready(pair, "offsets are committed", OFFSET_COMMIT, 8, body, "Topics", "Partitions")
    body = {"TransactionalId": "tx", "TransactionTimeoutMs": 60_000}
    ready(pair, "a producer has an id", INIT_PRODUCER_ID, 4, body)
    pair.settle()
    prepare_shares(pair)


def prepare_shares(pair):
    """More records, a share coordinator, and a share group with a member that has its partition; nothing of it is compared."""
    for body in shares.more_records():
        ready(pair, "records are produced", PRODUCE, 9, body, "Responses", "PartitionResponses")
    for ids, peer in zip(pair.ids, pair.peers):
        topic = base64.urlsafe_b64encode(uuid.UUID(ids[shares.TOPIC]).bytes).decode().rstrip("=")
        body = {"KeyType": shares.SHARE_KEY, "CoordinatorKeys": [f"{shares.GROUP}:{topic}:0"]}
        until("there is a share coordinator", lambda: is_ready(peer.ask(FIND_COORDINATOR, 6, body, 60), "Coordinators"))
    ready(pair, "a share group has options", *shares.options(shares.GROUP), "Responses")
    epochs = []
    for peer in pair.peers:
        told = {"epoch": 0}

        def has_partition():
            answer = peer.ask(*shares.heartbeat(told["epoch"], topics=None if told["epoch"] else [shares.TOPIC]), 60)
            told["epoch"] = answer["MemberEpoch"]
            return answer["ErrorCode"] == 0 and answer["Assignment"] and answer["Assignment"]["TopicPartitions"]

        until("a member of a share group has its partition", has_partition)
        epochs.append(told["epoch"])
    pair.epochs = epochs


def served(pair):
    body = {"ClientSoftwareName": "differential", "ClientSoftwareVersion": "1"}
    answers = pair.ask(API_VERSIONS, 4, body)
    return [{api["ApiKey"]: (api["MinVersion"], api["MaxVersion"]) for api in answer["ApiKeys"]} for answer in answers]


def main():
    ours, theirs, jars, seed, count, document = sys.argv[1:]
    schemas = load(jars)
    (ours, our_door), (theirs, their_door) = ours.split(","), theirs.split(",")
    pair, explained = Pair(ours, theirs, schemas), Explained(document)
    prepare(pair)
    apis = served(pair)
    totals = {"asked": 0, "answered": 0, "versions": 0}
    for place, whose in enumerate(("ours", "Kafka's")):
        told = {key: f"{low}-{high}" if low < high else str(low) for key, (low, high) in apis[place].items()}
        if told != explained.apis[place]:
            wrong = {key: (explained.apis[place].get(key), told.get(key)) for key in told.keys() | explained.apis[place].keys()}
            wrong = {key: pair for key, pair in wrong.items() if pair[0] != pair[1]}
            print(json.dumps({"difference": f"the document's versions of {whose} APIs are not those told", "versions": wrong}))
    share(pair, explained, (seed, int(count)), totals)
    log_in(pair, explained, ([our_door, their_door], schemas), totals)
    common = sorted(apis[0].keys() & apis[1].keys(), key=lambda key: (key in CHANGING, CHANGING.index(key) if key in CHANGING else key))
    for key in common:
        compare_api(pair, explained, key, apis, (seed, int(count)), totals)
    totals["explained"] = [[*row, times] for row, times in explained.used.items()]
    totals["unused"] = [row for row in explained.rows if row not in explained.used]
    print(json.dumps(totals))


def compare_api(pair, explained, key, apis, plan, totals):
    message = pair.requests[key]
    api = message.name.removesuffix("Request")
    low, high = (pick(apis[0][key][end], apis[1][key][end]) for end, pick in ((0, max), (1, min)))
    maker = Maker(plan[0], api, message)
    for version in range(max(low, message.versions[0]), high + 1):
        totals["versions"] += 1
        for _ in range(plan[1]):
            body = maker.body(version)
            totals["asked"] += 1
            answers = pair.ask(key, version, body)
            totals["answered"] += isinstance(answers[1], dict)
            report(pair, explained, (api, version), body, answers)
            if key in SETTLES:
                pair.settle()
            if key in ENDS:
                pair.ended()


def share(pair, explained, plan, totals):
    """What a member of a share group does."""

    def ask(key, version, *bodies):
        """Where both are not asked the same, there are two bodies."""
        answers = pair.ask(key, version, bodies[0]) if len(bodies) == 1 else pair.ask_each(key, version, bodies)
        totals["asked"] += 1
        totals["answered"] += isinstance(answers[1], dict)
        report(pair, explained, (pair.requests[key].name.removesuffix("Request"), version), bodies[0], answers)
        return answers[1]

    ask(*shares.describe())
    steps, answer = shares.Session(plan[0]).steps(12 * plan[1]), None
    while True:
        try:
            answer = ask(*steps.send(answer))
        except StopIteration:
            break
    ask(shares.HEARTBEAT, 1, *(shares.heartbeat(epoch)[2] for epoch in pair.epochs))
    for body in shares.offsets():
        for version in (0, 1):
            ask(shares.OFFSETS, version, body)
    ask(*shares.heartbeat(-1))
    ask(*shares.heartbeat(-1))
    ask(*shares.describe())


def log_in(pair, explained, doors, totals):
    """What clients and brokers say on a listener with SASL."""
    for body in sasl.credentials():
        report(pair, explained, ("AlterUserScramCredentials", 0), body, pair.ask(ALTER_SCRAM, 0, body))
    # A broker of Kafka hears of users some time after it answered.
    addresses, schemas = doors
    for address in addresses:
        for mechanism in sasl.HASHES:
            until(f"{address} knows a user of {mechanism}", lambda: sasl.lets_in((address, schemas), sasl.with_scram(mechanism, 2)))
    for what, conversation in sasl.conversations():
        for step, answers in sasl.talk(addresses, schemas, conversation):
            totals["asked"] += 1
            totals["answered"] += isinstance(answers[1], dict)
            key, version = (sasl.AUTHENTICATE, 0) if isinstance(step, sasl.Bare) else step[:2]
            call = (pair.requests[key].name.removesuffix("Request"), version)
            report(pair, explained, call, f"{what}: {step}", answers, f"({what}) ")


def report(pair, explained, call, body, answers, situation=""):
    """`situation` is told before the path of each difference, where there is more to it than the API."""
    if call[0] == "Metadata":
        pair.topics()
    names = [{id: name for name, id in ids.items()} for ids in pair.ids]
    if all(isinstance(answer, dict) for answer in answers):
        answers = [normal(answer, call[0], names[place]) for place, answer in enumerate(answers)]
        if call[0] == "Fetch":
            for answer in answers:
                answer["Responses"] = merged(answer["Responses"])
        if call[0] == "ShareFetch":
            for partition in (one for answer in answers for topic in answer["Responses"] for one in topic["Partitions"]):
                partition["AcquiredRecords"] = joined(partition["AcquiredRecords"])
        found = differences(*answers)
    else:
        words = [answer if isinstance(answer, str) else "answered" for answer in answers]
        found = [] if words[0] == words[1] else [(f"({words[0]}, and there {words[1]})", *words)]
    for path, ours, theirs in found:
        if not any(explained.has(*call, told) for told in {situation + path, path}):
            difference = {"api": call[0], "version": call[1], "field": situation + path, "ours": ours, "kafkas": theirs}
            print(json.dumps({"difference": difference, "request": str(body)[:2000]}), flush=True)


if __name__ == "__main__":
    main()
