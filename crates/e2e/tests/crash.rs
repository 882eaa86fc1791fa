//! kill -9 while a client produces, a stream follows and a connector reads: nothing acknowledged is lost or
//! doubled, no input is skipped.
//!
//! `MILLSTREAM_CRASH_ROUNDS` says how often (3 by default), `MILLSTREAM_CRASH_SEED` when.

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Node, Record, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const RECORDS: usize = 30_000;
const LINES: usize = 20_000;
const PARTITIONS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn records() -> Vec<Record> {
    let value = |n: usize| json!(STANDARD.encode(json!({"n": n, "padding": "x".repeat(200)}).to_string()));
    let one = |n: usize| json!({"partition": n % PARTITIONS, "key": null, "value": value(n), "headers": [], "timestamp": 1_700_000_000_000_u64 + n as u64});
    (0..RECORDS).map(one).collect()
}

fn number(record: &Record) -> u64 {
    let value: Value = serde_json::from_slice(&STANDARD.decode(record["value"].as_str().unwrap()).unwrap()).unwrap();
    value["n"].as_u64().unwrap()
}

fn numbers(node: &Node, topic: &str, field: &str) -> Vec<u64> {
    let lines = node.ok(&["topic", "consume", topic]);
    lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()[field].as_u64().unwrap()).collect()
}

/// SplitMix64: when to kill.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 33
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_and_no_input_is_skipped() {
    let mut node = Node::start(&[]);
    for topic in ["input", "lines"] {
        node.ok(&["topic", "create", topic, "--partitions", "3", "--config", "retention.ms=-1"]);
    }
    let schema = node.folder().join("schema.json");
    std::fs::write(&schema, r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#).unwrap();
    node.ok(&["schema", "register", "input-value", schema.to_str().unwrap()]);
    node.ok(&["stream", "create", "CREATE STREAM followed AS SELECT n FROM input"]);
    let file = node.folder().join("lines.jsonl");
    std::fs::write(&file, (0..LINES).map(|n| format!("{{\"line\":{n}}}\n")).collect::<String>()).unwrap();
    let path = format!("path={}", file.display());
    node.ok(&[
        "connector",
        "create",
        "lines",
        "--type",
        "file",
        "--topic",
        "lines",
        "--set",
        "format=json-lines",
        "--set",
        &path,
    ]);

    let (kafka, written) = (node.kafka.clone(), records());
    let mut seed = from_environment("MILLSTREAM_CRASH_SEED", 1);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| Family::FranzGo.produce(&kafka, "input", "none", &written));
        for _ in 0..from_environment("MILLSTREAM_CRASH_ROUNDS", 3) {
            std::thread::sleep(Duration::from_millis(50 + draw(&mut seed) % 300));
            node.kill_and_restart();
        }
        producer.join().unwrap();
    });

    let read = Family::FranzGo.consume(&node.kafka, "input", RECORDS);
    for partition in 0..PARTITIONS as u64 {
        let of_partition: Vec<u64> =
            read.iter().filter(|record| record["partition"] == partition).map(number).collect();
        let expected: Vec<u64> = (0..RECORDS as u64).filter(|n| n % PARTITIONS as u64 == partition).collect();
        assert_eq!(of_partition, expected, "partition {partition}: once each, in order");
    }
    let all = |topic: &str, field: &str, count: usize| {
        eventually(&format!("{topic} has everything"), PATIENCE, || {
            let seen: BTreeSet<u64> = numbers(&node, topic, field).into_iter().collect();
            (seen.len() == count).then_some(())
        });
    };
    // At least once: a stream or a connector may repeat after a crash, and skips nothing.
    all("followed", "n", RECORDS);
    all("lines", "line", LINES);
}
