//! The log is Kafka's log: Apache Kafka and this node are sent the same batches and write the same files, Kafka's dump tool passes ours,
//! and each serves a partition's folder that the other wrote, and goes on with it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

#[path = "kafka_format/compaction.rs"]
mod compaction;

use millstream_e2e::{Family, Kafka, Node, Record, batches, kafka_tool};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

/// Small segments, so that there are several of them, and an interval that some batches reach alone and others together.
const CONFIGS: [&str; 3] = ["segment.bytes=1048576", "index.interval.bytes=20000", "retention.ms=-1"];
/// One partition of each internal topic, so that it is known where things are; and compaction soon.
const SETTINGS: [&str; 3] =
    ["offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1", "log.cleaner.backoff.ms=100"];
const STAMPED: &str = "message.timestamp.type=LogAppendTime";
/// Batches of each topic: all five codings, idempotent and plain.
const BATCHES: i64 = 250;
const SEED: &str = "11";
/// The timestamps begin an hour before now: a broker forgets the producers of older records.
static FIRST_TIMESTAMP: LazyLock<String> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    (now.as_millis() - 3_600_000).to_string()
});

/// Sends batches `from..to` and returns the offset that each was given, and the count of records in them.
fn send(bootstrap: &str, topic: &str, from: i64, to: i64) -> (Vec<i64>, usize) {
    let sent = batches(&["send", bootstrap, topic, SEED, &FIRST_TIMESTAMP, &from.to_string(), &to.to_string()]);
    let records = sent.iter().map(|batch| batch["records"].as_u64().unwrap() as usize).sum();
    (sent.iter().map(|batch| batch["offset"].as_i64().unwrap()).collect(), records)
}

/// Makes the topics and fills those that both have, and the one that only this broker gets.
fn write(bootstrap: &str, only: &str) -> (Vec<i64>, Vec<Record>) {
    batches(&[&["create", bootstrap, "plain,ours,theirs"], &CONFIGS[..]].concat());
    batches(&[&["create", bootstrap, "stamped", STAMPED], &CONFIGS[..]].concat());
    send(bootstrap, "plain", 0, BATCHES);
    send(bootstrap, "stamped", 0, BATCHES);
    let (offsets, records) = send(bootstrap, only, 0, BATCHES);
    (offsets, Family::Librdkafka.consume(bootstrap, only, records))
}

/// The files of a folder that end so, by name.
fn files(folder: &Path, ending: &str) -> BTreeMap<String, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = paths.filter(|path| path.extension().is_some_and(|extension| extension == ending));
    wanted.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

fn assert_equal(ours: &Path, theirs: &Path, ending: &str) {
    let (ours, theirs) = (files(ours, ending), files(theirs, ending));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "the segments' names");
    assert!(ours.len() >= 3, "{} segments are too few", ours.len());
    for (name, content) in ours {
        assert!(content == theirs[&name], "{name} differs from Apache Kafka's");
    }
}

/// A log without what only the broker that appended it decides: each batch's leader epoch, and, as it is stamped on append, its largest
/// timestamp and with it the checksum.
fn without_append_times(log: &[u8]) -> Vec<u8> {
    let mut log = log.to_vec();
    let mut at = 0;
    while at < log.len() {
        let length = u32::from_be_bytes(log[at + 8..at + 12].try_into().unwrap()) as usize;
        let attributes = u16::from_be_bytes(log[at + 21..at + 23].try_into().unwrap());
        assert_eq!(attributes & 8, 8, "the batch at {at} does not say that it was stamped on append");
        for field in [12..16, 17..21, 35..43] {
            log[at..][field].fill(0);
        }
        at += 12 + length;
    }
    log
}

fn assert_equal_but_for_append_times(ours: &Path, theirs: &Path) {
    let (ours, theirs) = (files(ours, "log"), files(theirs, "log"));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, content) in ours {
        assert!(without_append_times(&content) == without_append_times(&theirs[&name]), "{name} differs");
    }
}

fn dump(folder: &Path, endings: &[&str], options: &[&str]) -> String {
    let names = endings.iter().flat_map(|ending| files(folder, ending).into_keys());
    let paths: Vec<String> = names.map(|name| folder.join(name).display().to_string()).collect();
    let output =
        kafka_tool("org.apache.kafka.tools.DumpLogSegments", &[&["--files", &paths.join(",")], options].concat());
    output.replace(&folder.display().to_string(), "")
}

/// Kafka's dump tool finds nothing wrong with our files, and in them what it finds in Kafka's.
fn assert_dump_passes(ours: &Path, theirs: &Path) {
    let checked = dump(ours, &["index", "timeindex"], &["--index-sanity-check"]);
    let indexes = files(ours, "index").len() + files(ours, "timeindex").len();
    assert_eq!(checked.matches("passed sanity check").count(), indexes, "{checked}");
    let options = ["--deep-iteration", "--print-data-log"];
    let (dumped, wanted) = [ours, theirs].map(|folder| dump(folder, &["log", "index", "timeindex"], &options)).into();
    assert!(dumped == wanted, "the dump tool sees other records than in Apache Kafka's files");
    for complaint in ["Mismatches", "isvalid: false", "not monotonically", "timestamp mismatch", "Found"] {
        assert!(!dumped.contains(complaint), "the dump tool complains:\n{}", complaints(&dumped, complaint));
    }
    assert!(dumped.matches("isvalid: true").count() >= BATCHES as usize, "{}", complaints(&dumped, "isvalid"));
}

/// The snapshots of producers have the same entries. Their order is that of a hash map in Apache Kafka, and by id here.
fn assert_same_producers(ours: &Path, theirs: &Path) {
    let [ours, theirs] = [ours, theirs].map(|folder| {
        let dumped = dump(folder, &["snapshot"], &[]);
        let mut lines: Vec<String> = dumped.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    });
    assert!(ours.iter().filter(|line| line.starts_with("producerId: ")).count() >= 9, "{ours:?}");
    assert_eq!(ours, theirs);
}

fn complaints(dumped: &str, about: &str) -> String {
    dumped.lines().filter(|line| line.contains(about)).take(10).collect::<Vec<_>>().join("\n")
}

/// Puts one broker's closed folder in the place of the other's empty one. The topic's id is the other cluster's own, and stays.
fn hand_over(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap().map(|entry| entry.unwrap().path()) {
        if !entry.ends_with("partition.metadata") {
            fs::remove_file(entry).unwrap();
        }
    }
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        if !path.ends_with("partition.metadata") {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// All of a folder that the other wrote is read; a batch that was sent to the other before is known to be a duplicate; and more is appended.
fn assert_served(bootstrap: &str, topic: &str, (offsets, written): &(Vec<i64>, Vec<Record>)) {
    for family in [Family::Librdkafka, Family::Java] {
        assert!(family.consume(bootstrap, topic, written.len()) == *written, "{family:?} reads other records");
    }
    // The last batches with a producer's id: its sequences are in the folder's snapshot of producers.
    let last = BATCHES - 6;
    let (again, _) = send(bootstrap, topic, last, last + 1);
    assert_eq!(again, offsets[last as usize..][..1], "a duplicate is told from its sequence");
    let (more, records) = send(bootstrap, topic, BATCHES, BATCHES + 10);
    assert_eq!(more[0], written.len() as i64, "the next batch follows what the other wrote");
    let all = Family::Librdkafka.consume(bootstrap, topic, written.len() + records);
    assert!(all[..written.len()] == **written);
}

fn folder(data: &Path, topic: &str) -> PathBuf {
    data.join(format!("{topic}-0"))
}

#[test]
fn apache_kafka_and_this_node_write_the_same_files_and_serve_each_others() {
    let (mut kafka, mut node) = (Kafka::start(), Node::start(&SETTINGS));
    let fill = |bootstrap: &str, only: &str| (write(bootstrap, only), compaction::write(bootstrap, &FIRST_TIMESTAMP));
    let ((ours, end), (theirs, their_end)) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| fill(&kafka.bootstrap, "theirs"));
        (fill(&node.kafka, "ours"), theirs.join().unwrap())
    });
    assert_eq!(end, their_end);
    compaction::assert_same_records(&kafka, &node, end);
    kafka.stop();
    assert!(node.stop(), "{}", node.log());

    let both = |topic: &str| [node.data(), kafka.data()].map(|data| folder(&data, topic));
    let [plain, kafkas_plain] = both("plain");
    for ending in ["log", "index", "timeindex"] {
        assert_equal(&plain, &kafkas_plain, ending);
    }
    let checkpoint = |folder: &Path| fs::read_to_string(folder.join("leader-epoch-checkpoint")).unwrap();
    assert_eq!(checkpoint(&plain), checkpoint(&kafkas_plain));
    let [stamped, kafkas_stamped] = both("stamped");
    assert_equal(&stamped, &kafkas_stamped, "index");
    assert_equal_but_for_append_times(&stamped, &kafkas_stamped);
    assert_dump_passes(&plain, &kafkas_plain);
    assert_same_producers(&plain, &kafkas_plain);
    compaction::assert_files_pass(&node.data(), &kafka.data());
    compaction::assert_internal_topics_decode(&node.data());

    let [our_folder, kafkas_place] = both("ours");
    hand_over(&our_folder, &kafkas_place);
    let [our_place, kafkas_folder] = both("theirs");
    hand_over(&kafkas_folder, &our_place);
    kafka.restart();
    node.restart();
    assert_served(&kafka.bootstrap, "ours", &ours);
    assert_served(&node.kafka, "theirs", &theirs);
}
