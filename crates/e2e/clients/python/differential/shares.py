"""A member of a share group from its first heartbeat to its last: what it fetches and acknowledges, right and wrong, from a seed.

What it asks depends on what it was given: it is told by Kafka's answers, which are ours where nothing differs.
"""

import random

from batch import batch
from requests import TopicId

HEARTBEAT, DESCRIBE, FETCH, ACKNOWLEDGE, OFFSETS = 76, 77, 78, 79, 90
PRODUCE, FIND_COORDINATOR, INCREMENTAL_ALTER_CONFIGS, METADATA = 0, 10, 44, 3
GROUP, TOPIC, MEMBER = "sharing", "beta", "c2hhcmVtZW1iZXIwMDAwMQ"
SHARE_KEY, GROUP_RESOURCE, SET = 2, 32, 0
ACCEPT, RELEASE, REJECT, RENEW, GAP = 1, 2, 3, 4, 0
# Milliseconds that a fetch waits where there is something, and where there may be nothing.
LONG, SHORT = 5_000, 100


def options(group):
    """A group that starts at the first record."""
    change = {"Name": "share.auto.offset.reset", "ConfigOperation": SET, "Value": "earliest"}
    return INCREMENTAL_ALTER_CONFIGS, 1, {"Resources": [{"ResourceType": GROUP_RESOURCE, "ResourceName": group, "Configs": [change]}]}


def heartbeat(epoch, member=MEMBER, group=GROUP, topics=None):
    return HEARTBEAT, 1, {"GroupId": group, "MemberId": member, "MemberEpoch": epoch, "SubscribedTopicNames": topics}


def describe(group=GROUP):
    return DESCRIBE, 1, {"GroupIds": [group], "IncludeAuthorizedOperations": False}


class Session:
    """A member's share session, as the member knows it."""

    def __init__(self, seed):
        self.random = random.Random(f"{seed} shares")
        self.epoch = 0
        # Ranges of records that the member has: (first, last).
        self.held = []

    def steps(self, count):
        """`count` requests and what comes before them. Each is sent Kafka's answer."""
        yield from self.ask(FETCH, 1, self.fetch_body(wait=LONG, epoch=0))
        for _ in range(count):
            version = self.random.choice([1, 2])
            epoch = self.random.choice([self.epoch] * 8 + [0, -1, self.epoch + 1, 2**31 - 1])
            if self.random.random() < 0.5:
                yield from self.ask(FETCH, version, self.fetch_body(epoch, version))
            else:
                yield from self.ask(ACKNOWLEDGE, version, self.acknowledge_body(epoch, version))
        # All that is left goes back with the session, and comes again.
        yield from self.ask(FETCH, 1, self.fetch_body(-1, wait=0))
        yield from self.ask(FETCH, 2, self.fetch_body(0, 2))
        yield from self.ask(ACKNOWLEDGE, 2, self.acknowledge_body(-1, 2, everything=True))

    def ask(self, key, version, body):
        answer = yield key, version, body
        if not isinstance(answer, dict) or answer["ErrorCode"]:
            return
        self.epoch = 0 if body["ShareSessionEpoch"] == -1 else body["ShareSessionEpoch"] + 1
        if body["ShareSessionEpoch"] == -1:
            self.held = []
        for partition in (one for topic in answer["Responses"] for one in topic["Partitions"]):
            for records in partition.get("AcquiredRecords", ()):
                self.held.append((records["FirstOffset"], records["LastOffset"]))

    def fetch_body(self, epoch=None, version=1, wait=SHORT):
        body = {
            "GroupId": GROUP, "MemberId": MEMBER, "ShareSessionEpoch": self.epoch if epoch is None else epoch,
            "MaxWaitMs": wait, "MinBytes": 1, "MaxRecords": self.random.choice([1, 2, 500]), "BatchSize": self.random.choice([1, 2, 500]),
        }  # fmt: skip
        acknowledged = self.batches((ACCEPT, REJECT, GAP)) if body["ShareSessionEpoch"] != 0 and self.random.random() < 0.4 else []
        body["Topics"] = self.topics(acknowledged)
        if version == 2:
            body["ShareAcquireMode"] = self.random.choice([0, 0, 1])
            body["IsRenewAck"] = False
        return body

    def acknowledge_body(self, epoch, version=1, everything=False):
        kinds = (ACCEPT, RELEASE, RELEASE, REJECT) + ((RENEW,) if version == 2 else ())
        batches = [] if everything else self.batches(kinds)
        body = {"GroupId": GROUP, "MemberId": MEMBER, "ShareSessionEpoch": epoch, "Topics": self.topics(batches)}
        if version == 2:
            body["IsRenewAck"] = any(RENEW in batch["AcknowledgeTypes"] for batch in batches)
        return body

    def topics(self, batches):
        return [{"TopicId": TopicId(TOPIC), "Partitions": [{"PartitionIndex": 0, "AcknowledgementBatches": batches}]}]

    def batches(self, kinds):
        """What becomes of a range that is held; at times of one that is not, or in a wrong form."""
        if not self.held or self.random.random() < 0.15:
            first = self.random.choice([0, 3, 100])
            return [{"FirstOffset": first, "LastOffset": first + self.random.choice([0, 1, -1]), "AcknowledgeTypes": [self.random.choice(kinds)]}]
        first, last = self.held.pop(self.random.randrange(len(self.held)))
        if last > first and self.random.random() < 0.3:
            self.held.append((first + 1, last))
            last = first
        count = last - first + 1
        if self.random.random() < 0.5:
            types = [self.random.choice(kinds)]
        else:
            types = [self.random.choice(kinds) for _ in range(count)]
        if self.random.random() < 0.1:
            types += [self.random.choice([ACCEPT, 9, -1])]
        return [{"FirstOffset": first, "LastOffset": last, "AcknowledgeTypes": types}]


def offsets():
    """What of the group's offsets is asked for."""
    for topics in (None, [], [{"TopicName": TOPIC, "Partitions": [0]}], [{"TopicName": "nope", "Partitions": [0]}]):
        yield {"Groups": [{"GroupId": GROUP, "Topics": topics}]}


def more_records():
    """Records in batches of several sizes, so that there is something to split."""
    for count in (1, 2, 5, 3):
        records = batch([b"s%d" % at for at in range(count)], 1_700_000_000_000)
        yield {"Acks": -1, "TimeoutMs": 30_000, "TopicData": [{"Name": TOPIC, "PartitionData": [{"Index": 0, "Records": records}]}]}
