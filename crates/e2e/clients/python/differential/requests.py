"""Requests from a seed: each field of a schema gets a value at its edges, or one that means something in the state both brokers are in."""

import random

from batch import batch
from wire import within

TOPICS = ["alpha", "beta", "gamma"]
NAMES = TOPICS * 3 + ["nope", "", "bad name", "a" * 250, ".", "__consumer_offsets"]
UNKNOWN_ID = "11111111-1111-1111-1111-111111111111"
NO_ID = "00000000-0000-0000-0000-000000000000"
PARTITIONS = [0, 0, 0, 1, 2, 3, -1, 2**31 - 1]
OFFSETS = [0, 1, 2, 5, 100, -1, -2, 2**63 - 1, -(2**63)]
EPOCHS = [-1, -1, -1, 0, 1, 7]
TIMES = [-1, -2, -3, -4, -5, -6, -7, -100, 0, 1_700_000_000_000, 1_700_000_000_015, 2**63 - 1, -(2**63)]
EDGES = {
    "bool": [False, True],
    "int8": [0, 1, 2, 3, -1, 127, -128],
    "int16": [0, 1, -1, 32767, -32768],
    "uint16": [0, 1, 65535],
    "int32": [0, 1, -1, 1000, 2**31 - 1, -(2**31)],
    "uint32": [0, 1, 2**32 - 1],
    "int64": [0, 1, -1, 1000, 2**63 - 1, -(2**63)],
    "float64": [0.0, 1.0, -1.0, 0.5, 1000.0, 1e300],
    "string": ["", "x", "name with spaces", "\u00e9\u4e2d", "a" * 300],
    "bytes": [b"", b"x", b"\0" * 100],
    "uuid": [NO_ID, UNKNOWN_ID],
}
CONFIGS = ["retention.ms", "segment.ms", "cleanup.policy", "max.message.bytes", "nope", "", "compression.type", "min.insync.replicas"]
VALUES = ["100000", "2000", "-1", "", "delete", "compact", "1.5", "gzip", "x", "99999999999999999999"]
RESOURCES = [2, 2, 2, 4, 4, 8, 16, 0, 1, 99]
BATCHES = [
    batch([b"a"], 1_700_000_000_000),
    batch([b"a", b"b", b"c"], 1_700_000_000_000),
    batch([b"a"], 1_700_000_000_000, wrong_crc=True),
    batch([b"a"], 1_700_000_000_000, magic=1),
    batch([b"a"], 1_700_000_000_000, magic=3),
    batch([], 1_700_000_000_000),
    batch([b"a"], 2**60),
    batch([b"a"], -5),
    batch([b"a"], 1_700_000_000_000, attributes=16),
    batch([b"a"], 1_700_000_000_000, attributes=32),
    batch([b"a"], 1_700_000_000_000, attributes=5),
    batch([b"a"], 1_700_000_000_000, producer=(-1, 0, 0)),
    batch([b"x" * 2_000_000], 1_700_000_000_000),
    batch([b"a"], 1_700_000_000_000)[:-3],
    batch([b"a"], 1_700_000_000_000) * 2,
    b"",
    b"\0" * 61,
]


class TopicId(str):
    """A topic's id, which each broker has its own of: the name, until it is sent."""


def resolved(value, ids):
    """The body as one broker is sent it. `ids` are its topics' ids by name."""
    if isinstance(value, TopicId):
        return ids.get(str(value), UNKNOWN_ID)
    if isinstance(value, dict):
        return {key: resolved(inner, ids) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, ids) for inner in value]
    return value


# Values of fields by "Field" or "Field@Api"; the more exact one counts.
POOLS = {
    "TopicId": [TopicId(name) for name in TOPICS] * 2 + [NO_ID, UNKNOWN_ID],
    "GroupId": ["g", "g", "fresh", "other", "", "g-txn"],
    "TransactionalId": ["tx", "fresh-tx", "", None],
    "TransactionalId@Produce": [None],
    "ProducerId": [-1, 0, 5, 2**62],
    "BrokerId": [1, 0, -1, 7],
    # The only broker of a Kafka cluster can be unregistered, and serves nobody then.
    "BrokerId@UnregisterBroker": [0, -1, 7],
    "BrokerIds": [1, 1, 1, 2, -1],
    "Replicas": [1, 1, 1, 2, -1],
    "ReplicaId": [-1],
    "Acks": [-1, 1, -1, 1, 2, -2],
    # Long: a broker of a machine that is busy tells that time was up.
    "TimeoutMs": [30_000, 60_000],
    "timeoutMs": [30_000, 60_000],
    "MaxWaitMs": [0, 1, 50],
    "MinBytes": [0, 1, -1],
    "MaxBytes": [2**31 - 1, 1, 0, 1000],
    "PartitionMaxBytes": [1_000_000, 1, 0, -1],
    "SessionId": [0],
    "SessionEpoch": [0, -1, -1],
    "SessionEpoch@Fetch": [-1],
    "CurrentLeaderEpoch": EPOCHS,
    "LeaderEpoch": [-1, 0, 1, 7, -2],
    "CommittedLeaderEpoch": EPOCHS,
    "LastFetchedEpoch": [-1],
    "IsolationLevel": [0, 1, 0, 1, 2],
    "Timestamp": TIMES,
    "FetchOffset": OFFSETS,
    "CommittedOffset": [0, 1, 5, 100],
    "Offset@DeleteRecords": [0, 0, 1, -1, 100, -2],
    "LogStartOffset": [-1, 0],
    "RetentionTimeMs": [-1],
    "CommittedMetadata": [None, "", "m", "x" * 5000],
    "Records": BATCHES,
    "NumPartitions": [1, 2, -1, 0, -2, 3],
    "ReplicationFactor": [1, 1, -1, 0, 2, -2],
    "Count@CreatePartitions": [1, 2, 3, 4, 5, 0, -1],
    "KeyType": [0, 1, 0, 1, 2, 3, -1],
    # A member of a share group has its partitions at once here, and after a heartbeat in Kafka: nobody joins.
    "MemberEpoch@ShareGroupHeartbeat": [-1, 0, 1, -2],
    "RackId": [None, "", "r"],
    "GroupId@AlterShareGroupOffsets": ["g", "share", "share", ""],
    "GroupId@DeleteShareGroupOffsets": ["g", "share", "never", ""],
    # Kafka fails within, or never answers, for a group without a name and for several partitions or one that is not there.
    "GroupId@DescribeShareGroupOffsets": ["g", "share", "share", "sharing", "never"],
    "Partitions@DescribeShareGroupOffsets": [0],
    "GroupIds@ShareGroupDescribe": ["g", "share", "sharing", "never", ""],
    "GroupId@ShareFetch": ["g", "sharing", "sharing", "never", ""],
    "GroupId@ShareAcknowledge": ["g", "sharing", "sharing", "never", ""],
    **{f"GroupId@{name}ShareGroupState": ["sharing", "share", "g", ""] for name in ("Initialize", "Read", "Write", "Delete")},
    "GroupId@ReadShareGroupStateSummary": ["sharing", "share", "g", ""],
    "MemberId@ShareFetch": ["c2hhcmVtZW1iZXIwMDAwMQ", "c2hhcmVtZW1iZXIwMDAwMQ", "unknown-member", ""],
    "MemberId@ShareAcknowledge": ["c2hhcmVtZW1iZXIwMDAwMQ", "c2hhcmVtZW1iZXIwMDAwMQ", "unknown-member", ""],
    "ShareSessionEpoch": [0, 0, -1, 1, 2, 7, -2],
    # Kafka fails within for another number.
    "ShareAcquireMode": [0, 1],
    "AcknowledgeTypes": [0, 1, 2, 3, 4, 9, -1],
    "FirstOffset": [0, 1, 3, 5, -1],
    "LastOffset": [0, 1, 3, 5, 6, -1],
    "StateEpoch": [-1, 0, 1, 2],
    "StartOffset": [-1, 0, 1, 5],
    "DeliveryState": [0, 2, 4],
    "DeliveryCount": [0, 1, 5, -1],
    "StartOffset@AlterShareGroupOffsets": [0, 1, 5],
    # A commit of which nothing was taken leaves an empty group behind in Kafka, and none here: groups of their own, then.
    "GroupId@OffsetCommit": ["g", "g", "committed", ""],
    "GroupsNames": ["g", "g", "never", "never-either"],
    "Key@FindCoordinator": ["g", "", "x"],
    "CoordinatorKeys": ["g", "", "x", "g:AAAAAAAAAAAAAAAAAAAAAQ:0", ":AAAAAAAAAAAAAAAAAAAAAQ:0", "g:x:0", "g:AAAAAAAAAAAAAAAAAAAAAQ:x"],
    "ResourceName": TOPICS * 2 + ["nope", "", "bad name", "1", "1", "2"],
    "ResourceName@IncrementalAlterConfigs": ["gamma", "gamma", "nope", "", "bad name", "2", "metrics-1"],
    "ResourceName@AlterConfigs": ["gamma", "gamma", "nope", "", "bad name", "2", "metrics-1"],
    "ResourceType": RESOURCES,
    "ResourceTypes": [2, 4, 8, 16, 32, 1, 99, 0],
    "ConfigurationKeys": CONFIGS,
    "ConfigOperation": [0, 0, 0, 1, 2, 3, 4, -1],
    "Value@IncrementalAlterConfigs": VALUES,
    "Value@AlterConfigs": VALUES,
    "Value@CreateTopics": VALUES,
    "Value@AlterClientQuotas": [1000.0, 5e8, 0.0, -1.0, 1.5, 1e30],
    "Key@AlterClientQuotas": ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate", "connection_creation_rate", "nope", ""],
    "EntityType": ["user", "client-id", "ip", "nope", ""],
    "EntityName": ["quiet", None, "127.9.9.9", ""],
    "Name@DescribeUserScramCredentials": ["sam", "sam", "nope", ""],
    "Name@AlterUserScramCredentials": ["sam", "tim", "tim", "nope", ""],
    "Mechanism": [1, 1, 2, 2, 0, 3, -1],
    "Mechanism@SaslHandshake": ["PLAIN", "SCRAM-SHA-256", "GSSAPI", ""],
    "Iterations": [4096, 8192, 16384, 4095, 16385, 0, -1],
    "Salt": [b"salt", b"s", b""],
    # Kafka fails within for none at all.
    "SaltedPassword": [b"p" * 32, b"p"],
    "MatchType": [0, 1, 2, 3, -1],
    "Match": ["quiet", None, ""],
    "MemberId": ["", "unknown-member"],
    "GroupInstanceId": [None, "instance"],
    "GenerationId": [-1, 0, 1],
    "GenerationIdOrMemberEpoch": [-1, -1, 0, 1],
    "MemberEpoch": [-1, 0],
    # Kafka's own count overflows behind the last number there is.
    "PartitionIndex@DescribeTopicPartitions": PARTITIONS[:-1],
    "ProtocolType": ["consumer", "", "x"],
    "ProtocolName": [None, "range"],
    "SessionTimeoutMs": [10_000, 0, -1, 2**31 - 1],
    "RebalanceTimeoutMs": [1000],
    "ClientSoftwareName": ["a", "", "a b", "x-y.z", "-a"],
    "ClientSoftwareVersion": ["1.0", "", "1 0"],
    "TransactionTimeoutMs": [60_000, 0, -1, 2**31 - 1],
    "ElectionType": [0, 1, 2, -1],
    "EndpointType": [1, 1, 2, 0, 3],
    "Feature": ["metadata.version", "transaction.version", "nope", ""],
    "MaxVersionLevel": [30, 2, 99, -1, 1],
    "UpgradeType": [1, 2, 3, 0, 9],
    "AllowAutoTopicCreation": [False],
    "Path": ["/nowhere", "relative", ""],
    "ResponsePartitionLimit": [2000, 1, 2, 0, -1],
    "StatesFilter": ["Empty", "Stable", "nope", "Ongoing"],
    "TypesFilter": ["classic", "consumer", "share", "nope"],
    "DurationFilter": [-1, 0, 1000],
    "CoordinatorEpoch": [0, -1],
    # Kafka fails within, or says nothing, for a marker of what no producer can be.
    "TransactionVersion": [0, 1, 2],
    "ProducerId@WriteTxnMarkers": [5, 2**62],
    "ProducerEpoch@WriteTxnMarkers": [0, 1, 7],
    "PartitionIndexes@WriteTxnMarkers": [0, 3, -1],
    "TopicId@Fetch": [TopicId(name) for name in TOPICS] * 2 + [UNKNOWN_ID],
}  # fmt: skip
# How many elements a list has; 0 to 3 where nothing is said. A broker of Kafka fails a whole produce request for one batch it can't read.
COUNTS = {
    "TopicData@Produce": [1, 1, 1, 0],
    "PartitionData@Produce": [1, 1, 1, 0],
    "Partitions@AddPartitionsToTxn": [1, 2],
    "Transactions@AddPartitionsToTxn": [1, 2],
    "Topics@WriteTxnMarkers": [1, 2],
    "Topics@DescribeShareGroupOffsets": [1],
    "Partitions@DescribeShareGroupOffsets": [1],
    "SubscribedTopicNames@ShareGroupHeartbeat": [0],
}
# Fields that tell elements of a list apart. What a request names twice is asked about only where Kafka says what comes of it.
DISTINCT = ("Name", "Topic", "TopicName", "TopicId", "PartitionIndex", "Partition", "Index", "GroupId", "TransactionalId", "Feature")
TWICE = {
    "CreateTopics", "ListOffsets", "IncrementalAlterConfigs", "AlterClientQuotas", "AlterUserScramCredentials", "DescribeUserScramCredentials",
}  # fmt: skip
NAME_FIELDS = {"Topic", "TopicName"}
PARTITION_FIELDS = {"PartitionIndex", "Partition", "Partitions", "PartitionIndexes", "PartitionId", "Index", "PartitionIds"}


def distinct(elements):
    found = {}
    for element in elements:
        keys = [element[key] for key in DISTINCT if key in element] if isinstance(element, dict) else [element]
        found.setdefault(str(keys) if keys else str(len(found)), element)
    return list(found.values())


class Maker:
    """Makes bodies of one API from a seed."""

    def __init__(self, seed, api, message):
        self.random = random.Random(f"{seed} {api}")
        self.api, self.message = api, message
        self.made = 0

    def body(self, version):
        self.made += 1
        body = self.fields(self.message.fields, version)
        # A join that is refused leaves an empty group behind in Kafka, and none here, which is told to who says to be a member of it.
        if self.api == "JoinGroup" and body["MemberId"]:
            body["ProtocolType"] = body["ProtocolType"] or "x"
            body["Protocols"] = body["Protocols"] or [{"Name": "x", "Metadata": b""}]
        # So does a commit of which nothing is taken: only of that group is too much asked to be kept.
        if self.api == "OffsetCommit" and body["GroupId"] == "committed":
            for partition in (one for topic in body["Topics"] for one in topic["Partitions"]):
                partition["CommittedMetadata"] = "m"
        # Kafka stores records of a share partition that end before they begin, or are in no state, and can't read them then.
        if self.api == "WriteShareGroupState":
            for partition in (one for topic in body["Topics"] for one in topic["Partitions"]):
                for records in partition["StateBatches"]:
                    records["FirstOffset"] = max(records["FirstOffset"], 0)
                    records["LastOffset"] = max(records["LastOffset"], records["FirstOffset"])
        # Kafka fails within where partitions of a topic are named, and none of them is there.
        if self.api == "AlterShareGroupOffsets":
            for topic in body["Topics"] or []:
                if topic["Partitions"] and all(partition["PartitionIndex"] != 0 for partition in topic["Partitions"]):
                    topic["Partitions"][0]["PartitionIndex"] = 0
        # What a cluster is set to when it is made can't be taken away in Kafka, and is not set here.
        if self.api == "AlterConfigs":
            for resource in body["Resources"]:
                if resource["ResourceType"] == 4:
                    resource["ResourceName"] = resource["ResourceName"] or "2"
        return body

    def fields(self, fields, version):
        return {field.name: self.value(field, version) for field in fields if within(version, field.versions)}

    def value(self, field, version):
        nullable = within(version, field.nullable)
        if nullable and (field.is_array or field.fields) and self.random.random() < 0.15:
            return None
        if field.is_array:
            counts = COUNTS.get(f"{field.name}@{self.api}", (0, 1, 1, 1, 2, 3))
            elements = [self.single(field, version, False) for _ in range(self.random.choice(counts))]
            keeps_all = self.api in TWICE and self.random.random() < 0.1
            return elements if keeps_all else distinct(elements)
        return self.single(field, version, nullable)

    def single(self, field, version, nullable):
        if field.fields is not None:
            return self.fields(field.fields, version)
        pool = [value for value in self.pool(field) if nullable or value is not None]
        return self.random.choice(pool)

    def pool(self, field):
        for name in (f"{field.name}@{self.api}", field.name):
            if name in POOLS:
                return POOLS[name]
        is_topic = field.entity == "topicName" or field.name in NAME_FIELDS
        if is_topic and self.api == "CreateTopics":
            return NAMES + [f"made-{self.random.randrange(4)}"] * 6
        if is_topic and self.api == "DeleteTopics":
            return ["nope", "", "bad name"] + [f"made-{self.random.randrange(4)}"] * 3
        if is_topic or field.name in ("ResourceName", "Topics"):
            return NAMES + ["1", "2"] if field.name == "ResourceName" else NAMES
        if field.name == "Name" and self.api in ("IncrementalAlterConfigs", "AlterConfigs", "CreateTopics"):
            return CONFIGS
        if field.name in PARTITION_FIELDS and field.element == "int32":
            return PARTITIONS
        if field.element == "records":
            return BATCHES
        return EDGES[field.element] + ([None] if field.element in ("string", "bytes") else [])
