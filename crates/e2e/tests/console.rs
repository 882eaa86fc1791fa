//! Apache Kafka's own command-line tools against our node, as their users type them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use millstream_e2e::{Family, Node, eventually, kafka_tool, kafka_tool_with_input};
use std::time::Duration;

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
const LOG_DIRS: &str = "org.apache.kafka.tools.LogDirsCommand";

/// The tools against one node.
struct Console<'a>(&'a Node);

impl Console<'_> {
    fn run(&self, tool: &str, args: &[&str]) -> String {
        kafka_tool(tool, &[&["--bootstrap-server", &self.0.kafka], args].concat())
    }

    fn produce(&self, args: &[&str], lines: &str) {
        let _ = kafka_tool_with_input(PRODUCER, &[&["--bootstrap-server", &self.0.kafka], args].concat(), lines);
    }

    /// What the console consumer prints of so many records, sorted.
    fn consume(&self, count: usize, args: &[&str]) -> Vec<String> {
        let count = count.to_string();
        let asked = ["--max-messages", &count, "--timeout-ms", "60000", "--from-beginning"];
        let mut lines: Vec<String> = self.run(CONSUMER, &[&asked, args].concat()).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

/// The cells of a line that begins with `first`.
fn line_of(table: &str, first: &[&str]) -> Vec<String> {
    let rows = table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let mut found = rows.filter(|row| row.iter().map(String::as_str).take(first.len()).eq(first.iter().copied()));
    found.next().unwrap_or_else(|| panic!("no line begins with {first:?}:\n{table}"))
}

#[test]
fn topics_and_configs_by_kafkas_tools() {
    let node = Node::start(&[]);
    let console = Console(&node);
    let created = console
        .run(TOPICS, &["--create", "--topic", "orders", "--partitions", "2", "--config", "retention.ms=100000000000"]);
    assert!(created.contains("Created topic orders."), "{created}");
    assert_eq!(console.run(TOPICS, &["--list"]).trim(), "orders");
    let described = console.run(TOPICS, &["--describe", "--topic", "orders"]);
    assert!(described.contains("PartitionCount: 2") && described.contains("ReplicationFactor: 1"), "{described}");
    assert!(described.contains("retention.ms=100000000000") && described.contains("Isr: 1"), "{described}");
    console.run(TOPICS, &["--alter", "--topic", "orders", "--partitions", "3"]);

    let altered = console.run(
        CONFIGS,
        &[
            "--alter",
            "--entity-type",
            "topics",
            "--entity-name",
            "orders",
            "--add-config",
            "segment.bytes=2000000,max.message.bytes=2000000",
            "--delete-config",
            "retention.ms",
        ],
    );
    assert!(altered.contains("Completed updating config for topic orders."), "{altered}");
    let configs = console.run(CONFIGS, &["--describe", "--entity-type", "topics", "--entity-name", "orders"]);
    assert!(configs.contains("segment.bytes=2000000 ") && !configs.contains("retention.ms=100000000000"), "{configs}");
    let broker = console.run(CONFIGS, &["--describe", "--all", "--entity-type", "brokers", "--entity-name", "1"]);
    assert!(broker.contains("num.partitions=1 "), "{broker}");
    console.run(TOPICS, &["--delete", "--topic", "orders"]);
    let left = console.run(TOPICS, &["--list", "--exclude-internal"]);
    assert!(left.trim().is_empty(), "{left}");
}

#[test]
fn records_and_offsets_by_kafkas_tools() {
    let node = Node::start(&[]);
    let console = Console(&node);
    node.ok(&["topic", "create", "orders", "--partitions", "3"]);
    // Keys with one hash decide the partition here and there; a header with each, and keys that are null.
    console.produce(
        &[
            "--topic",
            "orders",
            "--reader-property",
            "parse.key=true",
            "--reader-property",
            "key.separator=:",
            "--reader-property",
            "parse.headers=true",
            "--reader-property",
            "null.marker=NULL",
            "--compression-codec",
            "zstd",
        ],
        "a:1\tada:36\nb:2\tbob:NULL\nc:3\tNULL:cyd\n",
    );
    let shown = console.consume(
        3,
        &["--topic", "orders", "--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"],
    );
    assert_eq!(shown, ["a:1\tada\t36", "b:2\tbob\tnull", "c:3\tnull\tcyd"]);

    let ends = console.run(OFFSETS, &["--topic", "orders"]);
    let total: u64 = ends.lines().map(|line| line.rsplit(':').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!((ends.lines().count(), total), (3, 3), "{ends}");
    let offsets = node.folder().join("offsets.json");
    let until: Vec<String> = ends
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(':').collect();
            format!("{{\"topic\":\"orders\",\"partition\":{},\"offset\":{}}}", cells[1], cells[2])
        })
        .collect();
    std::fs::write(&offsets, format!("{{\"version\":1,\"partitions\":[{}]}}", until.join(","))).unwrap();
    let deleted = console.run(DELETE_RECORDS, &["--offset-json-file", offsets.to_str().unwrap()]);
    assert!(deleted.contains("partition: orders-0\tlow_watermark:"), "{deleted}");
    assert_eq!(
        console.run(OFFSETS, &["--topic", "orders", "--time", "earliest"]),
        ends,
        "nothing is left before the end"
    );

    let folders = console.run(LOG_DIRS, &["--describe", "--topic-list", "orders"]);
    assert!(folders.contains("\"partition\":\"orders-2\""), "{folders}");
}

#[test]
fn groups_by_kafkas_tools() {
    let node = Node::start(&[]);
    let console = Console(&node);
    node.ok(&["topic", "create", "lines"]);
    console.produce(&["--topic", "lines"], "one\ntwo\nthree\nfour\n");
    assert_eq!(console.consume(3, &["--topic", "lines", "--group", "readers"]), ["one", "three", "two"]);
    assert_eq!(console.run(GROUPS, &["--list"]).trim(), "readers");
    let row = |first: &[&str]| line_of(&console.run(GROUPS, &["--describe", "--group", "readers"]), first);
    assert_eq!(row(&["readers", "lines", "0"])[3..6], ["3", "4", "1"], "offset, end, lag");
    let state = console.run(GROUPS, &["--describe", "--group", "readers", "--state"]);
    assert!(state.contains("Empty"), "{state}");

    let reset = ["--reset-offsets", "--group", "readers", "--topic", "lines", "--to-offset", "1"];
    assert_eq!(
        line_of(&console.run(GROUPS, &[&reset[..], &["--dry-run"]].concat()), &["readers", "lines", "0"])[3],
        "1"
    );
    assert_eq!(row(&["readers", "lines", "0"])[3], "3", "a dry run changes nothing");
    console.run(GROUPS, &[&reset[..], &["--execute"]].concat());
    assert_eq!(row(&["readers", "lines", "0"])[3..6], ["1", "4", "3"]);
    assert_eq!(
        console.consume(3, &["--topic", "lines", "--group", "readers"]),
        ["four", "three", "two"],
        "it goes on from there"
    );

    let member = Family::Librdkafka.group(&node.kafka, "lines", "readers");
    eventually("the member has its partition", Duration::from_secs(60), || (member.assigned() == [0]).then_some(()));
    let members = console.run(GROUPS, &["--describe", "--group", "readers", "--members", "--verbose"]);
    let row = line_of(&members, &["readers"]);
    assert!(
        row[3..].starts_with(&["rdkafka".to_owned(), "1".to_owned()]) && row.contains(&"lines:0".to_owned()),
        "{members}"
    );
    let state = console.run(GROUPS, &["--describe", "--group", "readers", "--state"]);
    assert!(line_of(&state, &["readers"]).contains(&"Stable".to_owned()), "{state}");
    member.leave();
    let gone = console.run(GROUPS, &["--delete-offsets", "--group", "readers", "--topic", "lines"]);
    assert!(gone.contains("Successful"), "{gone}");
    let deleted = console.run(GROUPS, &["--delete", "--group", "readers"]);
    assert!(deleted.contains("successful"), "{deleted}");
    let left = console.run(GROUPS, &["--list"]);
    assert!(left.trim().is_empty(), "{left}");
}
