//! Six families of real clients: each produces, each reads every other's records, joins groups, administers topics.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Node, Record, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const PARTITIONS: i64 = 3;

fn coded(content: &[u8]) -> Value {
    json!(STANDARD.encode(content))
}

/// Null and empty keys and values, a repeated header name, a null header, a large record, old and recent timestamps.
fn records(tag: &str) -> Vec<Record> {
    let large: Vec<u8> =
        (0..1_048_000u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    let mut made = vec![
        json!({"key": null, "value": coded(b"null key"), "headers": []}),
        json!({"key": coded(b"tombstone"), "value": null, "headers": []}),
        json!({"key": coded(b""), "value": coded(b""), "headers": []}),
        json!({"key": coded(b"h"), "value": coded(b"headers"),
            "headers": [["a", coded(b"1")], ["a", coded(b"2")], ["b", coded(&[0, 255])]]}),
        json!({"key": coded("caf\u{e9}".as_bytes()), "value": coded(tag.as_bytes()), "headers": [["empty", coded(b"")]]}),
    ];
    if tag.ends_with("none") {
        made.push(json!({"key": coded(b"large"), "value": coded(&large[..1_000_000]), "headers": []}));
    }
    for n in 0..40 {
        made.push(json!({"key": coded(format!("k{n}").as_bytes()), "value": coded("text ".repeat(n).as_bytes()), "headers": []}));
    }
    for (n, record) in made.iter_mut().enumerate() {
        record["partition"] = json!(n as i64 % PARTITIONS);
        record["timestamp"] = json!(1_700_000_000_000_i64 + n as i64);
    }
    made
}

fn without_offset(mut record: Record) -> Record {
    record.as_object_mut().unwrap().remove("offset");
    record
}

/// In partition order, as a reader sees them.
fn by_partition(records: &[Record]) -> Vec<Record> {
    let mut sorted = records.to_vec();
    sorted.sort_by_key(|record| record["partition"].as_i64());
    sorted
}

fn create(node: &Node, topic: &str) {
    let _ = node.ok(&["topic", "create", topic, "--partitions", "3", "--config", "retention.ms=-1"]);
}

fn all_families_read_what_it_wrote(writer: Family) {
    let node = Node::start(&[]);
    for codec in CODECS {
        let topic = format!("from-{writer:?}-{codec}");
        create(&node, &topic);
        let written = records(&topic);
        writer.produce(&node.kafka, &topic, codec, &written);
        let readers: &[Family] = if codec == "none" || codec == "zstd" {
            &Family::ALL
        } else {
            &[Family::Librdkafka, Family::FranzGo, writer]
        };
        for reader in readers {
            let read: Vec<Record> =
                reader.consume(&node.kafka, &topic, written.len()).into_iter().map(without_offset).collect();
            let expected = by_partition(&written);
            assert_eq!(read.len(), expected.len());
            for (read, expected) in read.iter().zip(&expected) {
                assert_eq!(read, expected, "{reader:?} read what {writer:?} wrote with {codec}");
            }
        }
    }
}

#[test]
fn what_librdkafka_writes_all_read() {
    all_families_read_what_it_wrote(Family::Librdkafka);
}

#[test]
fn what_kafka_python_writes_all_read() {
    all_families_read_what_it_wrote(Family::KafkaPython);
}

#[test]
fn what_aiokafka_writes_all_read() {
    all_families_read_what_it_wrote(Family::Aiokafka);
}

#[test]
fn what_kafkajs_writes_all_read() {
    all_families_read_what_it_wrote(Family::Kafkajs);
}

#[test]
fn what_franz_go_writes_all_read() {
    all_families_read_what_it_wrote(Family::FranzGo);
}

#[test]
fn what_java_writes_all_read() {
    all_families_read_what_it_wrote(Family::Java);
}

#[test]
fn every_family_administers_topics() {
    let node = Node::start(&[]);
    for family in Family::ALL {
        let seen = family.admin(&node.kafka, &format!("admin-{family:?}"));
        let expected =
            [json!({"partitions": 3}), json!({"retention": "60000"}), json!({"partitions": 5}), json!({"gone": true})];
        assert_eq!(seen, expected, "{family:?}");
    }
}

/// Two members share the partitions; one leaves, the other takes all; a third that comes later goes on where they were.
fn a_group_rebalances_and_resumes(family: Family) {
    let node = Node::start(&[]);
    let (topic, group) = ("shared", "workers");
    create(&node, topic);
    let patience = Duration::from_secs(60);
    let first = family.group(&node.kafka, topic, group);
    eventually("the first member holds all partitions", patience, || (first.assigned() == [0, 1, 2]).then_some(()));
    let second = family.group(&node.kafka, topic, group);
    eventually("both members hold some partitions", patience, || {
        let (a, b) = (first.assigned(), second.assigned());
        let together: BTreeSet<i64> = a.iter().chain(&b).copied().collect();
        (!a.is_empty() && !b.is_empty() && together.len() == 3 && a.len() + b.len() == 3).then_some(())
    });
    let written = records("group");
    Family::FranzGo.produce(&node.kafka, topic, "none", &written);
    eventually("both together have read everything", patience, || {
        (first.records().len() + second.records().len() >= written.len()).then_some(())
    });
    second.leave();
    eventually("the member that stays takes all", patience, || (first.assigned() == [0, 1, 2]).then_some(()));
    first.leave();

    let more: Vec<Record> = records("more").into_iter().take(9).collect();
    Family::FranzGo.produce(&node.kafka, topic, "none", &more);
    let third = family.group(&node.kafka, topic, group);
    let read = eventually("the third member has read what came after", patience, || {
        let read = third.records();
        (read.len() >= more.len()).then_some(read)
    });
    assert_eq!(read.len(), more.len(), "{family:?} read again what was committed");
    third.leave();
}

#[test]
fn a_group_of_librdkafka_rebalances_and_resumes() {
    a_group_rebalances_and_resumes(Family::Librdkafka);
}

#[test]
fn a_group_of_kafka_python_rebalances_and_resumes() {
    a_group_rebalances_and_resumes(Family::KafkaPython);
}

#[test]
fn a_group_of_aiokafka_rebalances_and_resumes() {
    a_group_rebalances_and_resumes(Family::Aiokafka);
}

#[test]
fn a_group_of_kafkajs_rebalances_and_resumes() {
    a_group_rebalances_and_resumes(Family::Kafkajs);
}

#[test]
fn a_group_of_franz_go_rebalances_and_resumes() {
    a_group_rebalances_and_resumes(Family::FranzGo);
}

#[test]
fn a_group_of_java_rebalances_and_resumes() {
    a_group_rebalances_and_resumes(Family::Java);
}
