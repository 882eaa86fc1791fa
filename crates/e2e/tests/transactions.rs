//! Transactions by real clients: librdkafka, which adds partitions itself, and Kafka's own, which let the broker do it. What was read, made
//! of it and written in transactions is there exactly once, across aborts and a node that is killed.

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Node, eventually, kafka_tool, run_script};
use serde_json::{Value, json};
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
