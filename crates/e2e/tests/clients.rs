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
/// Bytes of the largest value, and what its topic must take for it.
const LARGE: usize = 1 << 20;
const TAKES_LARGE: &str = "max.message.bytes=2000000";

fn coded(content: &[u8]) -> Value {
    json!(STANDARD.encode(content))
}

/// A MiB that no coding makes nothing of, and that all make smaller.
fn large() -> Vec<u8> {
    let noise = |n: u32| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap();
    (0..u32::try_from(LARGE).unwrap()).map(|n| if n / 64 % 2 == 0 { noise(n) } else { b'=' }).collect()
}

/// Null and empty keys and values, header names that repeat, empty and null headers, a record of 1 MiB, old timestamps.
fn records(writer: Family, topic: &str) -> Vec<Record> {
    let headers = json!([["a", coded(b"1")], ["b", coded(&[0, 255])], ["a", coded(b"2")], ["", coded(b"no name")]]);
    let nothing = if writer.sends_records_of_nothing() { json!(null) } else { coded(b"") };
    let absent = if writer.sends_null_headers() { json!(null) } else { coded(b"null") };
    let mut made = vec![
        json!({"key": null, "value": coded(b"null key"), "headers": []}),
        json!({"key": coded(b"tombstone"), "value": null, "headers": []}),
        json!({"key": null, "value": nothing, "headers": [["empty", coded(b"")], ["null", absent]]}),
        json!({"key": coded(b""), "value": coded(b""), "headers": []}),
        json!({"key": coded(b"h"), "value": coded(b"headers"), "headers": headers}),
        json!({"key": coded("caf\u{e9}".as_bytes()), "value": coded(topic.as_bytes()), "headers": [["\u{e9}", coded(b"x")]]}),
        json!({"key": coded(b"large"), "value": coded(&large()), "headers": []}),
    ];
    for n in 0..40 {
        made.push(json!({"key": coded(format!("k{n}").as_bytes()), "value": coded("text ".repeat(n).as_bytes()), "headers": []}));
    }
    for (n, record) in made.iter_mut().enumerate() {
        record["topic"] = json!(topic);
        record["partition"] = json!(n as i64 % PARTITIONS);
        record["timestamp"] = json!(1_700_000_000_000_i64 + n as i64);
    }
    made
}

/// What a reader is to see: by topic and partition, each partition in the order of writing.
fn as_read(written: &[Record]) -> Vec<Record> {
    let mut sorted = written.to_vec();
    sorted.sort_by_cached_key(|record| (record["topic"].as_str().map(str::to_owned), record["partition"].as_i64()));
    sorted
}

/// Headers of one name brought together, in the order in which the names came first.
fn grouped(record: &mut Record) {
    let Some(headers) = record["headers"].as_array_mut() else { return };
    let names: Vec<Value> = headers.iter().map(|header| header[0].clone()).collect();
    headers.sort_by_key(|header| names.iter().position(|name| *name == header[0]));
}

fn create(node: &Node, topic: &str) {
    node.ok(&["topic", "create", topic, "--partitions", "3", "--config", "retention.ms=-1", "--config", TAKES_LARGE]);
}

/// The codings of a topic's batches in the node's own log, by Kafka's numbers.
fn codings_in_log(node: &Node, topic: &str) -> BTreeSet<u8> {
    let mut found = BTreeSet::new();
    for partition in 0..PARTITIONS {
        let log = std::fs::read(node.data().join(format!("{topic}-{partition}/00000000000000000000.log"))).unwrap();
        let mut rest = log.as_slice();
        // Base offset 8 bytes, length 4, then the epoch 4, the magic 1, the CRC 4, and attributes whose low three bits are the coding.
        while rest.len() > 23 {
            let length = u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize;
            found.insert(rest[22] & 7);
            rest = &rest[12 + length..];
        }
    }
    found
}

/// Where what was read differs from what was written, in words; one line for each reader, writer and coding.
fn differences(reader: Family, topics: &[(Family, String)], written: &[Record], read: &[Record]) -> Vec<String> {
    let of = |records: &[Record], topic: &str, group: bool| -> Vec<Record> {
        let mut found: Vec<Record> = records.iter().filter(|record| record["topic"] == topic).cloned().collect();
        for record in &mut found {
            record.as_object_mut().unwrap().remove("offset");
            if group {
                grouped(record);
            }
        }
        found
    };
    let mut lines = Vec::new();
    for (writer, topic) in topics {
        let group = !(reader.keeps_header_order() && writer.keeps_header_order());
        let (expected, seen) = (of(written, topic, group), of(read, topic, group));
        let first = expected.iter().zip(&seen).find(|(expected, seen)| expected != seen);
        if let Some((expected, seen)) = first {
            let cut = |record: &Record| record.to_string().chars().take(300).collect::<String>();
            lines.push(format!("{reader:?} read in {topic} {} where {} was written", cut(seen), cut(expected)));
        } else if expected.len() != seen.len() {
            lines.push(format!("{reader:?} read {} records of {topic}; {} were written", seen.len(), expected.len()));
        }
    }
    lines
}

/// Does `work` for every family, two at a time: each is a process of its own, and a Java or a Python one for much of a second only starts.
fn for_every_family<T: Send>(work: impl Fn(Family) -> T + Sync) -> Vec<T> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        while let Some(family) = Family::ALL.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            done.push(work(*family));
        }
        done
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(run), scope.spawn(run)];
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn every_family_reads_what_every_family_wrote_in_every_coding() {
    let node = Node::start(&[]);
    let topic_of = |writer: Family, codec: &str| format!("{writer:?}-{codec}");
    let topics: Vec<(Family, String)> =
        Family::ALL.iter().flat_map(|writer| CODECS.map(|codec| (*writer, topic_of(*writer, codec)))).collect();
    for (_, topic) in &topics {
        create(&node, topic);
    }
    for_every_family(|writer| {
        let names = CODECS.map(|codec| topic_of(writer, codec));
        let coded: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(CODECS).collect();
        let written: Vec<Record> = names.iter().flat_map(|topic| records(writer, topic)).collect();
        writer.produce_each(&node.kafka, &coded, &written);
    });
    for writer in Family::ALL {
        for (number, codec) in (0..).zip(CODECS) {
            // A client may leave a batch that does not get smaller as it is; the large one gets smaller.
            let found = codings_in_log(&node, &topic_of(writer, codec));
            assert!(
                found.contains(&number) && found.iter().all(|one| [0, number].contains(one)),
                "{writer:?} was to write {codec} ({number}) and wrote {found:?}"
            );
        }
    }
    let written: Vec<Record> =
        as_read(&topics.iter().flat_map(|(writer, topic)| records(*writer, topic)).collect::<Vec<_>>());
    let each = written.len() / topics.len();
    let listed = node.ok(&["topic", "list", "-o", "json"]);
    let sizes: Vec<u64> =
        listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["records"].as_u64().unwrap()).collect();
    assert_eq!(sizes, vec![each as u64; topics.len()], "no record is there twice");
    let asked: Vec<(&str, usize)> = topics.iter().map(|(_, topic)| (topic.as_str(), each)).collect();
    let wrong =
        for_every_family(|reader| differences(reader, &topics, &written, &reader.consume_each(&node.kafka, &asked)));
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of 180 differ:\n{}", wrong.len(), wrong.join("\n"));
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
    let written = records(Family::FranzGo, topic);
    Family::FranzGo.produce(&node.kafka, topic, "none", &written);
    eventually("both together have read everything", patience, || {
        (first.records().len() + second.records().len() >= written.len()).then_some(())
    });
    second.leave();
    eventually("the member that stays takes all", patience, || (first.assigned() == [0, 1, 2]).then_some(()));
    first.leave();

    let more: Vec<Record> = records(Family::FranzGo, topic).into_iter().take(9).collect();
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
