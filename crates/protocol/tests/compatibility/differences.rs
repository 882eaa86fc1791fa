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

const LEVELS: &str = "a topic's recompression works at each codec's own default level";
const LETTERS: &str = "dead letters of share groups (KIP-1191), which a later Kafka has";
const BROKERS_ONLY: &str =
    "spoken between brokers alone; Kafka's share coordinator is not there before a client has looked for one";
const COLD: &str = "cold storage is turned on and off by remote.storage.enable alone";
const ELR: &str =
    "Kafka sets it for the cluster when eligible leader replicas are on, which a later issue brings with more nodes";
const HOURS: &str = "Kafka tells the default under the name of the option in hours";
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
        api: "InitializeShareGroupState",
        versions: "all",
        field: "Results[]*",
        what: "a code of its own for each partition, where Kafka says NOT_COORDINATOR or leaves it out",
        why: BROKERS_ONLY,
    },
    Difference {
        api: "ReadShareGroupState",
        versions: "all",
        field: "Results[]*",
        what: "a code of its own for each partition, where Kafka says NOT_COORDINATOR or leaves it out",
        why: BROKERS_ONLY,
    },
    Difference {
        api: "WriteShareGroupState",
        versions: "all",
        field: "Results[]*",
        what: "a code of its own for each partition, where Kafka says NOT_COORDINATOR or leaves it out",
        why: BROKERS_ONLY,
    },
    Difference {
        api: "DeleteShareGroupState",
        versions: "all",
        field: "Results[]*",
        what: "a code of its own for each partition, where Kafka says NOT_COORDINATOR or leaves it out",
        why: BROKERS_ONLY,
    },
    Difference {
        api: "ReadShareGroupStateSummary",
        versions: "all",
        field: "Results[]*",
        what: "a code of its own for each partition, where Kafka says NOT_COORDINATOR or leaves it out",
        why: BROKERS_ONLY,
    },
    Difference {
        api: "DescribeShareGroupOffsets",
        versions: "all",
        field: "*",
        what: "answered, where Kafka fails within (-1) or says nothing",
        why: "Kafka asks its share coordinator, which fails on a request without a group or partitions, and waits for one that is not there",
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[errors.deadletterqueue*",
        what: "an option more",
        why: LETTERS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[*].Configs[errors.deadletterqueue*",
        what: "an option more",
        why: LETTERS,
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[compression.gzip.level]",
        what: "no such option",
        why: LEVELS,
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[compression.lz4.level]",
        what: "no such option",
        why: LEVELS,
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[compression.zstd.level]",
        what: "no such option",
        why: LEVELS,
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
        field: "Topics[].Configs[remote.log.copy.disable]",
        what: "no such option",
        why: COLD,
    },
    Difference {
        api: "CreateTopics",
        versions: "5-7",
        field: "Topics[].Configs[remote.log.delete.on.disable]",
        what: "no such option",
        why: COLD,
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
        field: "Results[2].Configs[compression.gzip.level]",
        what: "no such option",
        why: LEVELS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[compression.lz4.level]",
        what: "no such option",
        why: LEVELS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[compression.zstd.level]",
        what: "no such option",
        why: LEVELS,
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
        field: "Results[2].Configs[remote.log.copy.disable]",
        what: "no such option",
        why: COLD,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[remote.log.delete.on.disable]",
        what: "no such option",
        why: COLD,
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
        field: "Results[2].Configs[retention.ms].Synonyms[]",
        what: "the names of the default",
        why: HOURS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[segment.ms].Synonyms[]",
        what: "the names of the default",
        why: HOURS,
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[segment.jitter.ms].Synonyms[]",
        what: "the names of the default",
        why: HOURS,
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
        field: "Results[4].Configs[log.cleaner.*].ReadOnly",
        what: "are set at start",
        why: "workers of compaction and their memory are made once; Kafka ends its own and makes others when it is told to",
    },
    Difference {
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[4].Configs[max.connection*].ReadOnly",
        what: "are set at start",
        why: "connections that are open already would stay; a listener is begun with its limits",
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
        api: "AlterClientQuotas",
        versions: "all",
        field: "(controller_mutation_rate, connection_creation_rate)",
        what: "are kept and told, and do not throttle",
        why: "they guard a controller of many brokers, and listeners, whose limits come with those",
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
        api: "DescribeConfigs",
        versions: "all",
        field: "Results[2].Configs[flush.ms].Synonyms[]",
        what: "the names of the default",
        why: "Kafka tells the default under the name of its flusher's interval",
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
];
