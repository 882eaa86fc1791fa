//! Cold storage, in a folder and in a real S3 server (moto): a client reads the same bytes and SQL answers the same after the local copies
//! have gone, and from a fresh data folder that is given only the store; and one record moves little out of much.

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Meter, Moto, Node, Record, batches, clients_folder, run_script};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The codings in turn, so that what is cold has all of them.
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const RECORDS_EACH: usize = 2_000;
const TRANSACTIONAL: &str = "transactional.py";

/// Series of `/metrics`.
const GETS: &str = "millstream_tier_requests_total{operation=\"get\"}";
const FETCHED: &str = "kafka_server_brokertopicmetrics_remotefetchbytes_total";

/// What is asked in SQL: counts and sums over all, and records by offset, by partition and by time.
const QUESTIONS: [&str; 4] = [
    "SELECT _partition, count(*) AS n, min(_offset) AS first, max(_offset) AS last, count(_key) AS keys, sum(length(_value)) AS size
     FROM history GROUP BY _partition ORDER BY _partition",
    "SELECT _offset, _key, _value, _timestamp FROM history WHERE _partition = 1 AND _offset BETWEEN 2100 AND 2103 ORDER BY _offset",
    "SELECT _partition, _offset FROM history WHERE _timestamp >= TIMESTAMP '2023-11-14T22:13:27.776Z' ORDER BY _partition, _offset LIMIT 3",
    "SELECT count(DISTINCT _value) AS n FROM history WHERE _key = 'key 3'",
];

fn records(round: usize) -> Vec<Record> {
    let value = |n: usize| json!(STANDARD.encode(format!("{n} {}", "cold ".repeat(n * 7 % 400))));
    let key =
        |n: usize| if n.is_multiple_of(3) { Value::Null } else { json!(STANDARD.encode(format!("key {}", n % 11))) };
    let one = |n: usize| {
        let timestamp = 1_700_000_000_000_u64 + n as u64;
        json!({"partition": n % 2, "key": key(n), "value": value(n), "headers": [["n", null]], "timestamp": timestamp})
    };
    (round * RECORDS_EACH..(round + 1) * RECORDS_EACH).map(one).collect()
}

fn rows(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn answers(node: &Node) -> Vec<Vec<Value>> {
    let answers = QUESTIONS.map(|question| rows(&node.ok(&["sql", "-o", "json", "-c", question])));
    assert!(answers.iter().all(|answer| !answer.is_empty()), "{answers:?}");
    answers.into()
}

/// Bytes of logs in a partition's folder.
fn local_bytes(node: &Node, partition: &str) -> u64 {
    let files = std::fs::read_dir(node.data().join(partition)).unwrap().map(|entry| entry.unwrap());
    let logs = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
    logs.map(|log| log.metadata().unwrap().len()).sum()
}

fn create(node: &Node, topic: &str, segment_bytes: &str) {
    let config = ["retention.ms=-1", "remote.storage.enable=true", segment_bytes];
    let config: Vec<&str> = config.iter().flat_map(|setting| ["--config", setting]).collect();
    node.ok(&[&["topic", "create", topic, "--partitions", "2"], config.as_slice()].concat());
}

/// `system.segments` and `tier status` tell the same of a topic's segments; which states there are.
fn states_of_segments(node: &Node) -> Vec<String> {
    let question = "SELECT partition, state, count(*) AS segments, sum(bytes) AS bytes, min(base_offset) AS first, max(next_offset) AS last,
                           count(object) AS objects
                    FROM system.segments WHERE topic = 'history' GROUP BY partition, state ORDER BY state, partition";
    let groups = rows(&node.ok(&["sql", "-o", "json", "-c", question]));
    for status in rows(&node.ok(&["tier", "status", "history", "-o", "json"])) {
        let of_it: Vec<&Value> = groups.iter().filter(|group| group["partition"] == status["partition"]).collect();
        let sum = |field: &str, only: &str| -> u64 {
            let counted = of_it.iter().filter(|group| group["state"] == only || group["state"] == "both");
            counted.map(|group| group[field].as_u64().unwrap()).sum()
        };
        assert_eq!(status["bytes_hot"], sum("bytes", "hot"), "{status} {groups:?}");
        assert_eq!(status["bytes_cold"], sum("bytes", "cold"), "{status} {groups:?}");
        assert_eq!(status["segments_cold"], sum("segments", "cold"), "{status} {groups:?}");
        assert_eq!(status["segments_cold"], sum("objects", "cold"), "what is cold has an object: {groups:?}");
        let last = of_it.iter().map(|group| group["last"].as_i64()).max();
        assert_eq!(status["high_watermark"].as_i64(), last.unwrap(), "{status} {groups:?}");
    }
    let mut states: Vec<String> = groups.iter().map(|group| group["state"].as_str().unwrap().to_owned()).collect();
    states.dedup();
    states
}

/// The store is asked for what the local folder has no byte of, and the client reads `before`.
fn assert_read_from_the_store(node: &Node, before: &[Record]) {
    assert_eq!((local_bytes(node, "history-0"), local_bytes(node, "history-1")), (0, 0));
    let gets = node.metric(GETS);
    assert!(Family::Librdkafka.consume(&node.kafka, "history", before.len()) == before);
    assert!(node.metric(GETS) > gets, "the store was not asked");
}

/// What was read before is followed by more, as in an ordinary topic, and can be offloaded again. All of it, and its answers.
fn goes_on(node: &Node, before: Vec<Record>) -> (Vec<Record>, Vec<Vec<Value>>) {
    let more = &records(CODECS.len())[..10];
    Family::FranzGo.produce(&node.kafka, "history", "none", more);
    node.ok(&["tier", "offload", "history", "--drop-local"]);
    let all = Family::Librdkafka.consume(&node.kafka, "history", before.len() + more.len());
    let last = |partition: &Value| {
        let of_it = before.iter().filter(|record| record["partition"] == *partition);
        of_it.map(|record| record["offset"].as_u64()).max().flatten()
    };
    let ends = [last(&json!(0)), last(&json!(1))];
    let is_earlier =
        |record: &&Record| record["offset"].as_u64() <= ends[record["partition"].as_u64().unwrap() as usize];
    let earlier = all.iter().filter(is_earlier);
    assert!(earlier.eq(&before), "what was there before is there as it was");
    (all, answers(node))
}

fn assert_cold_is_the_same_topic(settings: &[String]) {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut node = Node::start(&settings);
    create(&node, "history", "segment.bytes=1048588");
    create(&node, "unwanted", "segment.bytes=1048588");
    Family::FranzGo.produce(&node.kafka, "unwanted", "none", &records(0)[..10]);
    for (round, codec) in CODECS.into_iter().enumerate() {
        Family::FranzGo.produce(&node.kafka, "history", codec, &records(round));
    }
    let count = RECORDS_EACH * CODECS.len();
    let _ = run_script(TRANSACTIONAL, &["abort", &node.kafka, "history", "undone"], &[]);
    let before = Family::Librdkafka.consume(&node.kafka, "history", count);
    let answered = answers(&node);

    node.ok(&["tier", "offload", "unwanted"]);
    node.ok(&["tier", "offload", "history"]);
    // The open segment is empty and hot.
    assert_eq!(states_of_segments(&node), ["both", "hot"]);
    node.ok(&["tier", "offload", "history", "--drop-local"]);
    assert_eq!(states_of_segments(&node), ["cold", "hot"]);
    let status = rows(&node.ok(&["tier", "status", "history", "-o", "json"]));
    assert!(status.iter().all(|row| row["local_start"] == row["high_watermark"]), "{status:?}");
    assert!(status.iter().all(|row| row["segments_cold"].as_u64() > Some(1) && row["bytes_hot"] == 0), "{status:?}");
    assert_read_from_the_store(&node, &before);
    assert_eq!(answers(&node), answered);
    assert!(!node.log().contains("not-to-be-logged"));
    // A disk that lost the partitions' folders: nothing is read from them, and their offsets are not given to others.
    assert!(node.stop(), "{}", node.log());
    for partition in 0..2 {
        std::fs::remove_dir_all(node.data().join(format!("history-{partition}"))).unwrap();
    }
    std::fs::remove_dir_all(node.data().join("cold-cache")).unwrap();
    node.restart();
    assert_read_from_the_store(&node, &before);
    assert_eq!(answers(&node), answered);
    let (before, answered) = goes_on(&node, before);
    drop(node);

    let fresh = Node::start(&settings);
    assert_eq!(fresh.ok(&["tier", "recover", "history"]), "history: recovered 2 partitions\n");
    assert_read_from_the_store(&fresh, &before);
    assert_eq!(answers(&fresh), answered);
    // The transaction that was aborted is in the bucket, and so is that it was.
    let read =
        |isolation: &str| run_script(TRANSACTIONAL, &["read", &fresh.kafka, "history", isolation, "2"], &[]).len();
    assert_eq!((read("read_committed"), read("read_uncommitted")), (before.len(), before.len() + 10));
    assert!(!fresh.ok(&["topic", "list"]).contains("unwanted"), "only what was asked for is recovered");
    goes_on(&fresh, before);
}

#[test]
fn what_is_cold_in_a_folder_is_read_as_before_and_recovered_from_it_alone() {
    let store = tempfile::tempdir().unwrap();
    assert_cold_is_the_same_topic(&[format!("tier.url={}", store.path().display())]);
}

#[test]
fn what_is_cold_in_s3_is_read_as_before_and_recovered_from_it_alone() {
    let moto = Moto::start();
    assert_cold_is_the_same_topic(&Moto::settings(&moto.address));
}

/// One record, as a client that wants no more reads it.
fn one_record(library: &str, node: &Node, offset: u64) -> Value {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/one.py");
    let output = Command::new(clients_folder().join("python/bin/python"))
        .arg(program)
        .args([library, &node.kafka, "archive", "0", &offset.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{library}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a read moved: by the node's own count of the topic's bytes, and on the wire from the store.
fn moved(node: &Node, store: &Meter, read: impl FnOnce()) -> (u64, u64) {
    let before = (node.metric(FETCHED), store.sent());
    read();
    (node.metric(FETCHED) - before.0, store.sent() - before.1)
}

#[test]
fn one_record_of_a_cold_gibibyte_moves_at_most_8_mebibytes() {
    const GIBIBYTE: u64 = 1 << 30;
    const MOST: u64 = 8 << 20;
    let moto = Moto::start();
    let meter = Meter::before(&moto.address);
    let settings = Moto::settings(&meter.address);
    let mut node = Node::start(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let config = ["segment.bytes=134217728", "retention.ms=-1", "remote.storage.enable=true"];
    batches(&[&["create", &node.kafka, "archive"], &config[..]].concat());
    let written = batches(&["fill", &node.kafka, "archive", "5", &GIBIBYTE.to_string()]);
    let records = written[0]["records"].as_u64().unwrap();
    // In different segments, so that each read needs all that a first one needs.
    let [first, second, third, fourth] = [2, 4, 6, 7].map(|eighth| records * eighth / 8 + 1_234);
    let hot = [first, second, third].map(|offset| one_record("kafka-python", &node, offset));

    node.ok(&["tier", "offload", "archive", "--drop-local"]);
    let status = &rows(&node.ok(&["tier", "status", "archive", "-o", "json"]))[0];
    assert!(status["bytes_cold"].as_u64() >= Some(GIBIBYTE) && status["segments_cold"].as_u64() >= Some(8), "{status}");
    assert_eq!((status["bytes_hot"].as_u64(), local_bytes(&node, "archive-0")), (Some(0), 0));
    // Nothing is known of what is cold but what a start finds out.
    assert!(node.stop(), "{}", node.log());
    node.restart();

    let readers = [("kafka-python", first), ("librdkafka", second), ("greedy", third)];
    for ((library, offset), hot) in readers.into_iter().zip(hot) {
        let (topic, wire) = moved(&node, &meter, || assert_eq!(one_record(library, &node, offset), hot));
        println!("{library}: one record moved {topic} bytes of the topic, {wire} on the wire");
        assert!(
            topic > 0 && topic <= wire && wire <= MOST,
            "{library} moved {topic} bytes of the topic, {wire} on the wire"
        );
    }
    let question = format!("SELECT _key, length(_value) AS n FROM archive WHERE _offset = {fourth}");
    let (topic, wire) = moved(&node, &meter, || {
        let answer = rows(&node.ok(&["sql", "-o", "json", "-c", &question]));
        assert_eq!(answer.len(), 1);
        assert_eq!(answer[0]["_key"], fourth.to_string());
    });
    println!("SQL: one record moved {topic} bytes of the topic, {wire} on the wire");
    assert!(topic > 0 && topic <= wire && wire <= MOST, "SQL moved {topic} bytes of the topic, {wire} on the wire");
}
