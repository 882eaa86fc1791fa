//! Apache Kafka's own console tools, each against one node, and Kafka Connect standalone with its file source and sink, killed and resumed.

#![allow(clippy::unwrap_used, reason = "a test")]

use millstream_e2e::{Node, eventually, java_program, kafka_tool, kafka_tools};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

/// A call of a tool, and words that it has to print; runs of blanks count as one.
struct Call {
    /// Its class; one of `org.apache.kafka.tools` where it begins with a dot.
    class: &'static str,
    /// `@` stands for the node's address with its option, `{name}` for a file of that name.
    args: &'static str,
    input: &'static str,
    prints: &'static [&'static str],
}

const fn call(class: &'static str, args: &'static str, prints: &'static [&'static str]) -> Call {
    Call { class, args, input: "", prints }
}

const TOPICS: &str = ".TopicCommand";
const GROUPS: &str = ".consumer.group.ConsumerGroupCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const METRICS: &str = ".ClientMetricsCommand";
const QUORUM: &str = ".MetadataQuorumCommand";
const REASSIGN: &str = ".reassign.ReassignPartitionsCommand";
const TRANSACTIONS: &str = ".TransactionsCommand";

/// What the tools read.
const FILES: &[(&str, &str)] = &[
    ("election", r#"{"partitions":[{"topic":"t","partition":0}]}"#),
    ("deletion", r#"{"version":1,"partitions":[{"topic":"t","partition":1,"offset":1}]}"#),
    ("assignment", r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1]}]}"#),
];

/// In their order: each finds what those before it have left.
const CALLS: &[Call] = &[
    call(TOPICS, "@ --create --topic t --partitions 2 --config retention.ms=-1", &["Created topic t."]),
    call(TOPICS, "@ --list", &["t verified"]),
    call(TOPICS, "@ --alter --topic t --partitions 3", &[]),
    call(
        TOPICS,
        "@ --describe --topic t",
        &["PartitionCount: 3", "Configs: retention.ms=-1", "Partition: 2 Leader: 1 Replicas: 1 Isr: 1"],
    ),
    Call {
        class: ".ConsoleProducer",
        args: "@ --topic t --reader-property parse.key=true --reader-property key.separator=:",
        input: "a:1\nb:2\nc:3\n",
        prints: &[],
    },
    call(
        ".consumer.ConsoleConsumer",
        "@ --topic t --from-beginning --max-messages 3 --group g --formatter-property print.key=true --timeout-ms 60000",
        &["a 1", "b 2", "c 3", "Processed a total of 3 messages"],
    ),
    call(
        CONFIGS,
        "@ --alter --entity-type groups --entity-name s --add-config share.auto.offset.reset=earliest",
        &["Completed updating"],
    ),
    call(
        ".consumer.ConsoleShareConsumer",
        "@ --topic t --group s --max-messages 3 --formatter-property print.key=true --timeout-ms 60000",
        &["a 1", "b 2", "c 3", "Processed a total of 3 messages"],
    ),
    call(".consumer.group.ShareGroupCommand", "@ --describe --group s --state", &["Empty 0"]),
    call(".GetOffsetShell", "@ --topic t", &["t:0:0", "t:1:2", "t:2:1"]),
    call(".GetOffsetShell", "@ --topic t --time earliest", &["t:0:0", "t:1:0", "t:2:0"]),
    call(".GetOffsetShell", "@ --topic t --time max-timestamp", &["t:1:1", "t:2:0"]),
    call(GROUPS, "@ --list", &["g"]),
    call(GROUPS, "@ --describe --group g", &["has no active members", "g t 1 2 2 0 - - -"]),
    call(GROUPS, "@ --describe --group g --members", &["has no active members"]),
    call(GROUPS, "@ --describe --group g --state", &["Empty 0"]),
    call(GROUPS, "@ --group g --topic t --reset-offsets --to-earliest --execute", &["g t 1 0"]),
    call(GROUPS, "@ --describe --group g", &["g t 1 0 2 2 - - -"]),
    call(".GroupsCommand", "@ --list", &["g Classic consumer"]),
    call(GROUPS, "@ --group g --topic t --delete-offsets", &["t 1 Successful"]),
    call(GROUPS, "@ --delete --group g", &["Deletion of requested consumer groups ('g') was successful."]),
    call(
        CONFIGS,
        "@ --alter --entity-type topics --entity-name t --add-config max.message.bytes=2000000",
        &["Completed updating"],
    ),
    call(
        CONFIGS,
        "@ --describe --entity-type topics --entity-name t",
        &["synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=2000000, DEFAULT_CONFIG:message.max.bytes=1048588}"],
    ),
    call(
        CONFIGS,
        "@ --describe --entity-type brokers --entity-name 1 --all",
        &["num.partitions=1 sensitive=false synonyms={DEFAULT_CONFIG:num.partitions=1}"],
    ),
    call(
        CONFIGS,
        "@ --alter --entity-type clients --entity-name c --add-config producer_byte_rate=90000",
        &["Completed updating"],
    ),
    call(
        CONFIGS,
        "@ --describe --entity-type clients --entity-name c",
        &["client-id 'c' are producer_byte_rate=90000.0"],
    ),
    call(
        CONFIGS,
        "@ --alter --entity-type users --entity-name ann --add-config SCRAM-SHA-256=[password=pw]",
        &["Completed updating"],
    ),
    call(CONFIGS, "@ --describe --entity-type users --entity-name ann", &["'ann' are SCRAM-SHA-256=iterations=4096"]),
    call(
        METRICS,
        "@ --alter --name m --metrics org.apache.kafka.producer. --interval 5000",
        &["Altered client metrics config for m."],
    ),
    call(METRICS, "@ --describe --name m", &["interval.ms=5000", "metrics=org.apache.kafka.producer."]),
    call(METRICS, "@ --delete --name m", &["Deleted client metrics config for m."]),
    call(".ClusterTool", "cluster-id @", &["Cluster ID: "]),
    call(".ClusterTool", "list-endpoints @", &["unfenced broker"]),
    call(".BrokerApiVersionsCommand", "@", &["Produce(0): 0 to 13 [usable: 13]", "Fetch(1): 4 to 18 [usable: 18]"]),
    call(
        ".FeatureCommand",
        "@ describe",
        &[
            "metadata.version",
            "transaction.version SupportedMinVersion: 0 SupportedMaxVersion: 2 FinalizedVersionLevel: 2",
        ],
    ),
    call(QUORUM, "@ describe --status", &["LeaderId: 1", "MaxFollowerLag: 0"]),
    call(QUORUM, "@ describe --replication", &["Leader"]),
    call(
        ".LogDirsCommand",
        "@ --describe --topic-list t",
        &[r#""partition":"t-2""#, r#""offsetLag":0,"isFuture":false"#],
    ),
    call(
        ".LeaderElectionCommand",
        "@ --election-type preferred --path-to-json-file {election}",
        &["Valid replica already elected for partitions t-0"],
    ),
    call(".DeleteRecordsCommand", "@ --offset-json-file {deletion}", &["partition: t-1 low_watermark: 1"]),
    call(
        REASSIGN,
        "@ --reassignment-json-file {assignment} --execute",
        &["Successfully started partition reassignment for t-0"],
    ),
    call(
        REASSIGN,
        "@ --reassignment-json-file {assignment} --verify",
        &["Reassignment of partition t-0 is completed."],
    ),
    call(REASSIGN, "@ --list", &["No partition reassignments found."]),
    call(
        ".ProducerPerformance",
        "@ --topic t --num-records 2000 --record-size 100 --throughput -1 --transactional-id p --transaction-duration-ms 1000",
        &["2000 records sent"],
    ),
    call(".ConsumerPerformance", "@ --topic t --num-records 2000 --timeout 60000", &[", 2000, "]),
    call(
        ".VerifiableConsumer",
        "@ --topic verified --group-id v --max-messages 5 --reset-policy earliest",
        &[r#""name":"records_consumed""#, r#""success":true"#],
    ),
    call(
        ".EndToEndLatency",
        "@ --topic t --num-records 20 --producer-acks all --record-size 100",
        &["Percentiles: 50th = "],
    ),
    call(TRANSACTIONS, "@ list", &["p 1 ", " CompleteCommit"]),
    call(TRANSACTIONS, "@ describe --transactional-id p", &["CompleteCommit 60000"]),
    call(TRANSACTIONS, "@ describe-producers --topic t --partition 0", &["ProducerId ProducerEpoch", "None"]),
    call(TRANSACTIONS, "@ find-hanging --broker-id 1", &["Topic Partition ProducerId"]),
    call(
        "org.apache.kafka.tools.StreamsResetter",
        "@ --application-id v --input-topics verified --force",
        &["Topic: verified Partition: 0 Offset: 0", "Deleting inferred internal topics []"],
    ),
    call(TOPICS, "@ --delete --topic t", &[]),
];

#[test]
fn kafkas_console_tools_do_their_work() {
    let node = Node::start(&["group.initial.rebalance.delay.ms=0"]);
    let address = format!("--bootstrap-server {}", node.kafka);
    let mut filled = vec![("@".to_owned(), address)];
    for (name, content) in FILES {
        let path = node.folder().join(name);
        std::fs::write(&path, content).unwrap();
        filled.push((format!("{{{name}}}"), path.to_str().unwrap().to_owned()));
    }
    // What it was told, this one prints when its process ends: it has one of its own.
    node.ok(&["topic", "create", "verified"]);
    let produced = kafka_tool(
        "org.apache.kafka.tools.VerifiableProducer",
        &["--bootstrap-server", &node.kafka, "--topic", "verified", "--max-messages", "5"],
    );
    assert!(produced.contains(r#""sent":5,"acked":5"#), "{produced}");
    let calls: Vec<(String, Vec<String>, &str)> = CALLS
        .iter()
        .map(|call| {
            let class = if call.class.starts_with('.') {
                format!("org.apache.kafka.tools{}", call.class)
            } else {
                call.class.to_owned()
            };
            let args = filled.iter().fold(call.args.to_owned(), |args, (name, value)| args.replace(name, value));
            (class, args.split(' ').map(str::to_owned).collect(), call.input)
        })
        .collect();
    let calls: Vec<(&str, Vec<String>, &str)> =
        calls.iter().map(|(class, args, input)| (class.as_str(), args.clone(), *input)).collect();
    let ended = kafka_tools(&calls);
    assert_eq!(ended.len(), CALLS.len());
    for (call, (status, printed)) in CALLS.iter().zip(ended) {
        assert_eq!(status, 0, "{} {}:\n{printed}", call.class, call.args);
        let found = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in call.prints {
            assert!(found.contains(words), "{} {} does not print {words:?}:\n{printed}", call.class, call.args);
        }
    }
    assert!(!node.ok(&["topic", "list"]).contains(" t "), "the last tool deleted it");
}

/// Kafka Connect; it does not outlive the test.
struct Connect(Child);

impl Connect {
    fn start(settings: &[PathBuf]) -> Self {
        let settings: Vec<&str> = settings.iter().map(|path| path.to_str().unwrap()).collect();
        Self(java_program("org.apache.kafka.connect.cli.ConnectStandalone", &settings))
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Settings of a worker, a source that reads `in` into the topic `lines`, and a sink that writes the topic into `out`.
fn settings(folder: &Path, bootstrap: &str) -> Vec<PathBuf> {
    let place = folder.display();
    let worker = format!(
        "bootstrap.servers={bootstrap}\nlisteners=HTTP://127.0.0.1:0\n\
         offset.storage.file.filename={place}/offsets\noffset.flush.interval.ms=200\n\
         key.converter=org.apache.kafka.connect.storage.StringConverter\nvalue.converter=org.apache.kafka.connect.storage.StringConverter\n\
         plugin.discovery=SERVICE_LOAD\nconsumer.session.timeout.ms=6000\n"
    );
    let connector = |kind: &str, rest: &str| {
        format!(
            "name={kind}\nconnector.class=org.apache.kafka.connect.file.FileStream{kind}Connector\ntasks.max=1\n{rest}\n"
        )
    };
    let files = [
        ("worker", worker),
        ("source", connector("Source", &format!("file={place}/in\ntopic=lines"))),
        ("sink", connector("Sink", &format!("file={place}/out\ntopics=lines"))),
    ];
    files
        .into_iter()
        .map(|(name, text)| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        })
        .collect()
}

#[test]
fn kafka_connect_carries_a_file_through_the_node_though_both_are_killed() {
    let mut node = Node::start(&["group.initial.rebalance.delay.ms=0"]);
    node.ok(&["topic", "create", "lines", "--partitions", "1"]);
    let folder = node.folder().to_owned();
    let lines = |numbers: std::ops::Range<u32>| numbers.map(|number| format!("line {number}\n")).collect::<String>();
    let mut input = std::fs::File::create(folder.join("in")).unwrap();
    let mut add = |numbers| input.write_all(lines(numbers).as_bytes()).unwrap();
    add(0..500);
    let settings = settings(&folder, &node.kafka);
    let has_come = |count: u32| {
        eventually("the sink has every line", Duration::from_secs(120), || {
            let out = std::fs::read_to_string(folder.join("out")).unwrap_or_default();
            // At least once: a worker that was killed may write what it had not yet committed again.
            (0..count).all(|number| out.contains(&format!("line {number}\n"))).then_some(out)
        })
    };
    let worker = Connect::start(&settings);
    assert_eq!(has_come(500), lines(0..500), "in order, each once");
    node.kill_and_restart();
    add(500..1_000);
    has_come(1_000);
    drop(worker);
    add(1_000..1_500);
    let _worker = Connect::start(&settings);
    has_come(1_500);
    let topic = node.ok(&["topic", "consume", "lines"]);
    let mut seen: Vec<u32> = topic.lines().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..1_500).collect::<Vec<_>>(), "the topic has every line");
}
