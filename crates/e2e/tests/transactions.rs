//! Transactions by real clients: librdkafka, which adds partitions itself, and Kafka's own, which let the broker do it. What was read, made
//! of it and written in transactions is there exactly once, across aborts, a node that is killed, and Kafka Streams that is.
//!
//! `MILLSTREAM_STREAMS_KILLS` says how often Kafka Streams is killed (1 by default).

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Node, eventually, java_program, kafka_tool, run_script};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Child;
use std::time::Duration;

const PROGRAM: &str = "transactional.py";
const RECORDS: usize = 60;

fn values(node: &Node, topic: &str, isolation: &str) -> Vec<String> {
    let lines = run_script(PROGRAM, &["read", &node.kafka, topic, isolation], &[]);
    lines.iter().map(|line| line["value"].as_str().unwrap().to_owned()).collect()
}

fn numbers() -> Vec<String> {
    (0..RECORDS).map(|number| number.to_string()).collect()
}

/// A node with topics of one partition, and numbers in the one named `in`.
fn node() -> Node {
    let node = Node::start(&[]);
    for topic in ["in", "out"] {
        node.ok(&["topic", "create", topic, "--partitions", "1"]);
    }
    let records: Vec<Value> = numbers()
        .iter()
        .map(|number| json!({"partition": 0, "key": null, "value": STANDARD.encode(number), "headers": [], "timestamp": 1_700_000_000_000_i64}))
        .collect();
    Family::Librdkafka.produce(&node.kafka, "in", "none", &records);
    node
}

fn copied(node: &Node, answer: &Value) {
    assert_eq!(answer, &json!({"committed": 6, "aborted": 2}));
    eventually("the last transaction's markers", Duration::from_secs(30), || {
        (values(node, "out", "read_committed") == numbers()).then_some(())
    });
    let all = values(node, "out", "read_uncommitted");
    assert_eq!(all.len(), RECORDS + 20, "what was aborted is in the log: {all:?}");
    assert!(node.ok(&["group", "describe", "copiers"]).contains(" 60 "), "the offsets of what was aborted are not");
}

#[test]
fn librdkafka_copies_exactly_once() {
    let mut node = node();
    let count = RECORDS.to_string();
    let copy = ["copy", &node.kafka, "in", "out", "copiers", "copier", &count];
    let answers = run_script(PROGRAM, &copy, &[]);
    copied(&node, &answers[0]);

    let leave = |node: &Node| run_script(PROGRAM, &["leave", &node.kafka, "out", "leaver"], &[]);
    assert_eq!(leave(&node), [json!({"left": 10})]);
    assert_eq!(values(&node, "out", "read_committed"), numbers(), "what is open is not read");
    node.kill_and_restart();
    assert_eq!(values(&node, "out", "read_committed"), numbers(), "nor is it after a kill");
    // The same transactional id again: what its predecessor left open is aborted.
    assert_eq!(leave(&node), [json!({"left": 10})]);
    assert_eq!(values(&node, "out", "read_committed"), numbers());
    assert_eq!(values(&node, "out", "read_uncommitted").len(), RECORDS + 40);
}

#[test]
fn kafkas_own_clients_copy_exactly_once() {
    let node = node();
    let printed = kafka_tool("Transactions", &[&node.kafka, "in", "out", "copiers", "copier", &RECORDS.to_string()]);
    copied(&node, &serde_json::from_str(printed.trim()).unwrap());
    let tool = "org.apache.kafka.tools.TransactionsCommand";
    let listed = kafka_tool(tool, &["--bootstrap-server", &node.kafka, "list"]);
    assert!(listed.contains("copier"), "{listed}");
    let described = kafka_tool(tool, &["--bootstrap-server", &node.kafka, "describe", "--transactional-id", "copier"]);
    assert!(described.contains("CompleteCommit"), "{described}");
}

const LINES: u64 = 200;

/// The words of a line.
fn words(line: u64) -> [String; 3] {
    [format!("seven{}", line % 7), format!("nine{}", line % 9), "every".to_owned()]
}

/// Kafka Streams that counts words; it does not outlive the test.
struct Counter(Child);

impl Drop for Counter {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The counts of each word, in their order; those of one word are in one partition.
fn counts(node: &Node) -> BTreeMap<String, Vec<u64>> {
    let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in run_script(PROGRAM, &["read", &node.kafka, "counts", "read_committed", "2"], &[]) {
        let (word, count) = (line["key"].as_str().unwrap(), line["value"].as_str().unwrap());
        counts.entry(word.to_owned()).or_default().push(count.parse().unwrap());
    }
    counts
}

#[test]
fn kafka_streams_counts_every_word_once_though_it_is_killed() {
    let kills = std::env::var("MILLSTREAM_STREAMS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    // What a killed instance left open must not hold its successor up for long.
    let node = Node::start(&["transaction.abort.timed.out.transaction.cleanup.interval.ms=500"]);
    for topic in ["lines", "counts"] {
        node.ok(&["topic", "create", topic, "--partitions", "2"]);
    }
    let state = tempfile::tempdir().unwrap();
    let start =
        || Counter(java_program("WordCount", &[&node.kafka, "lines", "counts", state.path().to_str().unwrap()]));
    let send = |lines: std::ops::Range<u64>| {
        let record = |line: u64| {
            let text = STANDARD.encode(words(line).join(" "));
            json!({"partition": line % 2, "key": null, "value": text, "headers": [], "timestamp": 1_700_000_000_000_i64})
        };
        Family::Librdkafka.produce(&node.kafka, "lines", "none", &lines.map(record).collect::<Vec<_>>());
    };
    let mut counter = start();
    for round in 0..kills {
        send(round * LINES..(round + 1) * LINES);
        let seen = |counts: &BTreeMap<String, Vec<u64>>| counts.get("every").map_or(0, Vec::len) as u64;
        eventually("something is counted", Duration::from_secs(120), || {
            (seen(&counts(&node)) > round * LINES).then_some(())
        });
        // More to do, so that the kill comes into it.
        drop(std::mem::replace(&mut counter, start()));
    }
    send(kills * LINES..(kills + 1) * LINES);
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for word in (0..(kills + 1) * LINES).flat_map(words) {
        let counted = expected.entry(word).or_default();
        counted.push(counted.len() as u64 + 1);
    }
    eventually("every word is counted once", Duration::from_secs(180), || {
        let found = counts(&node);
        for (word, found) in &found {
            let one_by_one = found.iter().zip(1..).all(|(count, wanted)| *count == wanted);
            assert!(one_by_one && found.len() <= expected[word].len(), "{word}: {found:?}");
        }
        (found == expected).then_some(())
    });
}
