//! What differs from Apache Kafka 4.3, each with its reason: the source of `docs/kafka-compatibility.md`.

/// A difference in an API that both serve.
pub struct Difference {
    /// The API; `*` is every one.
    pub api: &'static str,
    /// `all`, one version, or the first and the last.
    pub versions: &'static str,
    /// Where in the answer, `*` standing for any text.
    pub field: &'static str,
    /// What differs.
    pub what: &'static str,
    /// Why it is so.
    pub why: &'static str,
}

const ACLS: &str = "a later issue: access control lists";
const TOKENS: &str = "a later issue: delegation tokens";
const STREAMS: &str = "a later issue: streams groups (KIP-1071)";
const NODES: &str = "a later issue: more than one node";

/// APIs, or versions of them, that Kafka tells clients and we do not serve.
pub const NOT_SERVED: &[(&str, &str)] = &[
    ("DescribeAcls", ACLS),
    ("CreateAcls", ACLS),
    ("DeleteAcls", ACLS),
    ("CreateDelegationToken", TOKENS),
    ("RenewDelegationToken", TOKENS),
    ("ExpireDelegationToken", TOKENS),
    ("DescribeDelegationToken", TOKENS),
    ("AddRaftVoter", NODES),
    ("RemoveRaftVoter", NODES),
    ("StreamsGroupHeartbeat", STREAMS),
    ("StreamsGroupDescribe", STREAMS),
];

const TELEMETRY: &str =
    "Kafka answers it and tells of it only where a plugin takes the metrics; here they go to `/metrics`";

/// APIs that we tell clients and Kafka does not.
pub const NOT_TOLD_BY_KAFKA: &[(&str, &str)] =
    &[("GetTelemetrySubscriptions", TELEMETRY), ("PushTelemetry", TELEMETRY)];

const LETTERS: &str = "dead letters of share groups (KIP-1191), which a later Kafka has";
const EPOCHS: &str = "a member is answered when its partitions have their state; Kafka answers before, and counts once more when they have it";
const CLOSED: &str = "nothing of a request is read before it is known who asks";
const ELR: &str =
    "Kafka sets it for the cluster when eligible leader replicas are on, which a later issue brings with more nodes";
const OPTIONS: &str = "it tells the options that this program has, under Kafka's names; Kafka's others are about its own threads, files and plugins";
const MADE: &str = "Kafka answers before the topic is there, and the client asks again";
const LOGGERS: &str = "loggers are the parts of the program, and this is another program";

/// What differs in APIs that both serve.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        api: "ApiVersions",
        versions: "all",
        field: "ApiKeys[*]*",
        what: "APIs and versions",
        why: "those of the table above, for its reasons",
    },
    Difference {
        api: "ApiVersions",
        versions: "3-4",
        field: "*Features[eligible.leader.replicas.version]*",
        what: "not known",
        why: NODES,
    },
    Difference {
        api: "ApiVersions",
        versions: "3-4",
        field: "*Features[kraft.version]*",
        what: "not known",
        why: NODES,
    },
    Difference {
        api: "ApiVersions",
        versions: "3-4",
        field: "*Features[streams.version]*",
        what: "not known",
        why: STREAMS,
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[follower.replication.throttled.replicas]",
        what: "no such option",
        why: NODES,
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[leader.replication.throttled.replicas]",
        what: "no such option",
        why: NODES,
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[min.insync.replicas].ConfigSource",
        what: "a default",
        why: ELR,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[follower.replication.throttled.replicas]",
        what: "no such option",
        why: NODES,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[leader.replication.throttled.replicas]",
        what: "no such option",
        why: NODES,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[min.insync.replicas].ConfigSource",
        what: "a default",
        why: ELR,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[min.insync.replicas].Synonyms[]",
        what: "a default",
        why: ELR,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[*]",
        what: "a broker has fewer options, and some of its own",
        why: OPTIONS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[queued.max.request.bytes]*",
        what: "256 MiB by default",
        why: "Kafka has no limit by default: what its clients send at once is then its memory's only bound",
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[log.dirs]*",
        what: "another list of folders",
        why: "each broker has folders of its own",
    },
    Difference {
        api: "AlterReplicaLogDirs",
        versions: "all",
        field: "(a replica, and another folder of this broker)",
        what: "is refused with INVALID_REQUEST",
        why: "not yet: moving a replica between folders while it is served; with the node stopped, its folder may be moved by hand",
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[min.insync.replicas]*",
        what: "a default",
        why: ELR,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[8].Configs[*]*",
        what: "other loggers",
        why: LOGGERS,
    },
    Difference {
        api: "Metadata",
        versions: "0-3",
        field: "Topics[].ErrorCode",
        what: "a topic that is made because it was named is told at once",
        why: MADE,
    },
    Difference { api: "Metadata", versions: "0-3", field: "Topics[].Partitions[]", what: "the same", why: MADE },
    Difference {
        api: "CreateTopics",
        versions: "all",
        field: "(segment.bytes below 1 MiB)",
        what: "is accepted",
        why: "small segments make offload and retention fine-grained; Kafka refuses them since 4.0",
    },
    Difference {
        api: "Produce",
        versions: "all",
        field: "(null records)",
        what: "are refused with INVALID_RECORD",
        why: "Kafka never answers such a request",
    },
    Difference {
        api: "Produce",
        versions: "all",
        field: "(a transactional batch of no producer)",
        what: "is refused with INVALID_TXN_STATE",
        why: "Kafka appends it, and its transaction never ends",
    },
    Difference {
        api: "UnregisterBroker",
        versions: "all",
        field: "(a broker that runs)",
        what: "is refused with INVALID_REQUEST",
        why: "Kafka forgets it, and a cluster of one then serves nobody",
    },
    Difference {
        api: "AlterClientQuotas",
        versions: "all",
        field: "(NaN)",
        what: "is refused",
        why: "Kafka keeps it, and it limits nothing",
    },
    Difference {
        api: "UpdateFeatures",
        versions: "all",
        field: "(another level)",
        what: "is refused with INVALID_UPDATE_VERSION",
        why: "this version works at one level of each feature",
    },
    Difference {
        api: "IncrementalAlterConfigs",
        versions: "all",
        field: "(a broker option that nobody knows)",
        what: "is refused with INVALID_CONFIG",
        why: "Kafka keeps it for plugins, which there are none of here; a mistyped name is told",
    },
    Difference {
        api: "Fetch",
        versions: "all",
        field: "(a client above its quota)",
        what: "gets its records, and its next request waits",
        why: "Kafka sends an empty answer and has it ask again, which moves the same bytes a second",
    },
    Difference {
        api: "OffsetCommit",
        versions: "all",
        field: "(a commit of which nothing is taken)",
        what: "makes no group",
        why: "Kafka keeps an empty one, which goes when offsets expire",
    },
    Difference {
        api: "AlterConfigs",
        versions: "all",
        field: "(answered, and there silent)",
        what: "is answered",
        why: "Kafka never answers a request that names a resource twice",
    },
    Difference {
        api: "AlterConfigs",
        versions: "all",
        field: "(all options of all brokers, by naming none)",
        what: "go back to their defaults",
        why: ELR,
    },
    Difference {
        api: "DescribeTopicPartitions",
        versions: "0",
        field: "(a cursor at partition 2147483647)",
        what: "goes on with the next topic",
        why: "Kafka's count overflows, and tells of none",
    },
    Difference {
        api: "JoinGroup",
        versions: "all",
        field: "(a join that is refused)",
        what: "makes no group",
        why: "Kafka keeps an empty one, which goes when offsets expire",
    },
    Difference {
        api: "AddPartitionsToTxn",
        versions: "4-5",
        field: "(no transactions)",
        what: "is answered",
        why: "Kafka never answers such a request",
    },
    Difference {
        api: "WriteTxnMarkers",
        versions: "all",
        field: "(answered, and there silent)",
        what: "is answered",
        why: "Kafka never answers where one marker of several is for no partition that is there, or has a transaction version that is none",
    },
    Difference {
        api: "Fetch",
        versions: "13-18",
        field: "(the zero topic id)",
        what: "is unknown, like any other that is not there",
        why: "Kafka fails the whole request within",
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[errors.deadletterqueue.group.enable]",
        what: "an option more",
        why: LETTERS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[errors.deadletterqueue.group.enable]",
        what: "an option more",
        why: LETTERS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[32].Configs[errors.deadletterqueue.copy.record.enable]",
        what: "an option more",
        why: LETTERS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[32].Configs[errors.deadletterqueue.topic.name]",
        what: "an option more",
        why: LETTERS,
    },
    Difference { api: "ShareGroupHeartbeat", versions: "all", field: "MemberEpoch", what: "is one less", why: EPOCHS },
    Difference {
        api: "ShareGroupDescribe",
        versions: "all",
        field: "Groups[].GroupEpoch",
        what: "is one less",
        why: EPOCHS,
    },
    Difference {
        api: "ShareGroupDescribe",
        versions: "all",
        field: "Groups[].AssignmentEpoch",
        what: "is one less",
        why: EPOCHS,
    },
    Difference {
        api: "ShareGroupDescribe",
        versions: "all",
        field: "Groups[].Members[].MemberEpoch",
        what: "is one less",
        why: EPOCHS,
    },
    Difference {
        api: "ShareFetch",
        versions: "2",
        field: "(an acquire mode that there is not, a negative max.bytes)",
        what: "are taken for batches, and for none",
        why: "Kafka fails within",
    },
    Difference {
        api: "WriteShareGroupState",
        versions: "all",
        field: "(records in a state that is none, or that end before they begin)",
        what: "are refused with INVALID_REQUEST",
        why: "Kafka stores them, and its share partition can't be read any more",
    },
    Difference {
        api: "DescribeShareGroupOffsets",
        versions: "all",
        field: "(a group without a name, several partitions, one that is not there)",
        what: "are answered",
        why: "Kafka fails within, or never answers",
    },
    Difference {
        api: "AlterShareGroupOffsets",
        versions: "all",
        field: "(partitions of a topic, none of which is there)",
        what: "are answered, each with its error",
        why: "Kafka fails within",
    },
    Difference {
        api: "DescribeLogDirs",
        versions: "all",
        field: "Results[].Topics[__consumer_offsets].Partitions[].PartitionSize",
        what: "fewer bytes",
        why: "what is decided about a share group at once is one batch of records here, and in Kafka several, each with a header",
    },
    Difference {
        api: "SaslAuthenticate",
        versions: "all",
        field: "(SCRAM-*, nobody's name*",
        what: "fails at the proof",
        why: "it is told to nobody which users there are; Kafka says so at once",
    },
    Difference {
        api: "SaslAuthenticate",
        versions: "all",
        field: "(SCRAM-*, an upper case name*",
        what: "fails at the proof",
        why: "it is told to nobody which users there are; Kafka says so at once",
    },
    Difference {
        api: "SaslAuthenticate",
        versions: "all",
        field: "(SCRAM-*m=x*",
        what: "is refused",
        why: "RFC 5802 asks for that where an extension that has to be understood is not; Kafka goes on",
    },
    Difference {
        api: "SaslAuthenticate",
        versions: "all",
        field: "(SCRAM-*with a short proof*",
        what: "is told that it is not let in",
        why: "Kafka fails within, and closes the connection",
    },
    Difference {
        api: "SaslAuthenticate",
        versions: "all",
        field: "(SCRAM-*with an extension*",
        what: "counts as part of what the proof is over",
        why: "RFC 5802 says so; Kafka leaves it out",
    },
    Difference {
        api: "*",
        versions: "all",
        field: "(SCRAM-*m=x*",
        what: "is closed",
        why: "RFC 5802 asks for that where an extension that has to be understood is not; Kafka goes on",
    },
    Difference {
        api: "*",
        versions: "all",
        field: "(SCRAM-*with an extension*",
        what: "is closed",
        why: "RFC 5802 says that the proof is over it too; Kafka leaves it out",
    },
    Difference {
        api: "ApiVersions",
        versions: "all",
        field: "(what is served, twice*",
        what: "is answered again",
        why: "to tell again what is served harms nobody; Kafka closes the connection",
    },
    Difference {
        api: "Metadata",
        versions: "all",
        field: "(a request * in again*",
        what: "is closed without an answer",
        why: CLOSED,
    },
    Difference {
        api: "Metadata",
        versions: "all",
        field: "(a request after the handshake*",
        what: "is closed without an answer",
        why: CLOSED,
    },
    Difference {
        api: "SaslAuthenticate",
        versions: "all",
        field: "(in again by another mechanism*",
        what: "is told why it is closed",
        why: "Kafka closes the connection without a word",
    },
    Difference {
        api: "SaslHandshake",
        versions: "all",
        field: "(in again by one that there is not*",
        what: "is told why it is closed",
        why: "Kafka closes the connection without a word",
    },
    Difference {
        api: "AlterUserScramCredentials",
        versions: "all",
        field: "(an empty salted password)",
        what: "is taken, and lets nobody in",
        why: "Kafka fails within",
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[*listeners].*",
        what: "those of this node",
        why: "each broker has addresses of its own",
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[listener.security.protocol.map].*",
        what: "those of this node",
        why: "a broker of Kafka has a listener more, for its controller",
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[*sasl.enabled.mechanisms].*",
        what: "SCRAM by default, set at start",
        why: "Kafka's default is GSSAPI, which needs Kerberos",
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[ssl.*store.type].*",
        what: "PEM by default",
        why: "key stores of Java are not read",
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[ssl.*].ReadOnly",
        what: "are set at start",
        why: "the files that they name are read again when they change, without being asked",
    },
    Difference {
        api: "*",
        versions: "all",
        field: "(a request that came in part)",
        what: "is let go when nothing more of it comes for 30 seconds, or less than 4 KiB a second",
        why: "Kafka holds the whole of its memory until the connection has been idle for ten minutes; its clients give up a request after 30 seconds",
    },
];
