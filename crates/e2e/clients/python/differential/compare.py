"""Two answers, field by field: what differs, by the path of the field.

What can't be the same on two brokers is made the same first; each such rule says why.
"""

import json
import re

# Fields by which an element of a list is found again in the other's list, whose order is nobody's promise: the first of these that it has.
IDENTITY = (
    ("TransactionalId",), ("ApiKey",), ("ResourceType", "ResourceName"), ("EntityType", "EntityName"), ("Name", "Source"),
    ("Name", "TopicId"), ("TopicName",), ("Topic",), ("Name",), ("TopicId",), ("PartitionIndex",), ("Partition",), ("PartitionId",), ("Index",),
    ("GroupId",), ("Key",), ("NodeId",), ("BrokerId",), ("ReplicaId",), ("Feature",), ("User",), ("ProducerId",), ("MemberId",),
    ("BatchIndex",), ("Mechanism",),
)  # fmt: skip

SIGN = "only its sign is compared: "
# A field's name (a pattern) -> what is compared of it, and why not all.
RULES = [
    (r"(Acknowledge)?(Error)?Message|BatchIndexErrorMessage|Documentation", "nothing", "texts are each broker's own words; the code beside them is compared"),
    (r"Host|Port|Rack", "nothing", "each broker has an address of its own"),
    (r"ClusterId", "nothing", "each cluster has an id of its own"),
    (r"LogDir", "nothing", "each broker has a folder of its own"),
    (r"TotalBytes|UsableBytes", "sign", SIGN + "the disk is used by others too"),
    (r"TopicId@CreateTopics", "sign", "ids are random, and this one is new"),
    (r"(TopicId|LeaderRecoveryState)", "topic", "ids are random; they are compared by the topic's name"),
    (r"ProducerId@WriteTxnMarkers", "all", "it is the one that was asked about"),
    (r"ProducerId|NextProducerId|OngoingTxnProducerId", "sign", SIGN + "each broker gives out ids of its own"),
    (r".*TimestampMs|.*Timestamp|LogAppendTimeMs|TransactionStartTimeMs|ExpiryTimestampMs", "sign", SIGN + "clocks go on between two requests"),
    (r"FinalizedFeaturesEpoch|LogEndOffset", "sign", SIGN + "it is a place in the log of metadata, whose records differ"),
    (r"MemberId|LeaderId@JoinGroup|Leader@JoinGroup", "whether", "ids of members are random; whether there is one is compared"),
    (r"SubscriptionId|ClientInstanceId|SessionId", "sign", "ids are random"),
    (r"LeaderEpoch@(Metadata|DescribeTopicPartitions)", "sign", SIGN + "a restarted broker begins an epoch"),
]  # fmt: skip
NOTHING = object()


def rule(name, api):
    for pattern, what, _ in RULES:
        if re.fullmatch(pattern, name) or re.fullmatch(pattern, f"{name}@{api}"):
            return what
    return None


def normal(value, api, topics, name=""):
    """The value as it is compared. `topics` are names by id."""
    if isinstance(value, dict):
        return {key: normal(inner, api, topics, key) for key, inner in value.items() if rule(key, api) != "nothing"}
    if isinstance(value, list):
        # Topics that this program keeps its own things in are no part of what is compared.
        shown = [inner for inner in value if not (isinstance(inner, dict) and str(inner.get("Name")).startswith("__millstream_"))]
        return [normal(inner, api, topics, name) for inner in shown]
    what = rule(name, api)
    if what == "topic" and isinstance(value, str):
        return topics.get(value, value)
    if what == "sign" and isinstance(value, (int, float)):
        return (value > 0) - (value < 0)
    if what == "sign" and isinstance(value, str):
        return value.strip("0-") != ""
    if what == "whether":
        return bool(value)
    if isinstance(value, float) and value != value:
        return "NaN"
    return value


def merged(topics):
    """A fetched topic that is told more than once, as Kafka does for partitions that it looks at apart, as one."""
    found = {}
    for topic in topics:
        key = identity(topic)
        if key in found:
            found[key]["Partitions"] += topic["Partitions"]
        else:
            found[key] = topic
    return list(found.values())


def joined(acquired):
    """Acquired records by what is known of them: Kafka tells neighbours that have been delivered as often in as many ranges as it read them in
    at first, which it forgets when it starts anew."""
    found = []
    for one in acquired:
        if found and found[-1]["LastOffset"] + 1 == one["FirstOffset"] and found[-1]["DeliveryCount"] == one["DeliveryCount"]:
            found[-1] = {**found[-1], "LastOffset": one["LastOffset"]}
        else:
            found.append(one)
    return found


def identity(element):
    if isinstance(element, dict):
        for keys in IDENTITY:
            if all(key in element for key in keys):
                return json.dumps([element[key] for key in keys])
        nested = [identity(inner) for inner in element.get("Entity", [])]
        return json.dumps(sorted(nested)) if nested else ""
    return json.dumps(element)


def place(path, element):
    """The path of an element: options, features, APIs and kinds of resources are told by name, as the document explains them one by one."""
    if isinstance(element, dict):
        if "ResourceType" in element:
            return f"{path}[{element['ResourceType']}]"
        if path == "Results[].Topics" and str(element.get("Name")).startswith("__"):
            return f"{path}[{element['Name']}]"
        for key in ("ApiKey", "Name") if re.search(r"(ApiKeys|Features|Configs)$", path) else ():
            if key in element:
                return f"{path}[{element[key]}]"
    return f"{path}[]"


def differences(ours, theirs, path=""):
    """Yields (path, ours, theirs) for every field that differs. Elements of a list are paired by their identity."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in theirs.keys() | ours.keys():
            inner = f"{path}.{key}" if path else key
            yield from differences(ours.get(key, NOTHING), theirs.get(key, NOTHING), inner)
    elif isinstance(ours, list) and isinstance(theirs, list):
        left = {}
        for element in ours:
            left.setdefault(identity(element), []).append(element)
        for element in theirs:
            same = left.get(identity(element))
            if same:
                yield from differences(same.pop(0), element, place(path, element))
            else:
                yield place(path, element), "missing", element
        for more in left.values():
            for element in more:
                yield place(path, element), element, "missing"
    elif ours != theirs or type(ours) is not type(theirs):
        yield path, "nothing" if ours is NOTHING else ours, "nothing" if theirs is NOTHING else theirs
