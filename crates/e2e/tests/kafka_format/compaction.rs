//! Compaction is Kafka's: the same records sent to both, after both have compacted them the same records are left, in the same batches; and
//! Kafka's dump tool passes what this node's compaction wrote, and reads its internal topics.

use crate::{complaints, dump, files};
use millstream_e2e::{Kafka, Node, eventually, kafka_tool};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const TOPIC: &str = "compacted";
const SEED: &str = "11";
const PATIENCE: Duration = Duration::from_secs(60);

/// Fills the topic; returns where its last segment begins: what is below is compacted.
pub fn write(bootstrap: &str, first_timestamp: &str) -> i64 {
    let printed = kafka_tool("Compacted", &["write", bootstrap, TOPIC, SEED, first_timestamp]);
    printed.trim().parse().unwrap()
}

fn read(bootstrap: &str, isolation: &str) -> Vec<String> {
    kafka_tool("Compacted", &["read", bootstrap, TOPIC, isolation]).lines().map(str::to_owned).collect()
}

/// Both have compacted everything, and give out the same.
pub fn assert_same_records(kafka: &Kafka, node: &Node, end: i64) {
    for data in [kafka.data(), node.data()] {
        let line = format!("{TOPIC} 0 {end}");
        eventually("the topic is compacted", PATIENCE, || {
            let checkpoint = std::fs::read_to_string(data.join("cleaner-offset-checkpoint")).unwrap_or_default();
            checkpoint.lines().any(|stored| stored == line).then_some(())
        });
    }
    for isolation in ["read_committed", "read_uncommitted"] {
        let (theirs, ours) = (read(&kafka.bootstrap, isolation), read(&node.kafka, isolation));
        assert_eq!(ours, theirs, "{isolation}");
        let keys: BTreeSet<&str> =
            ours.iter().map(|line| line.split_once("key ").map_or("last", |(_, key)| key)).collect();
        assert!(ours.len() < 60 && keys.len() > 30, "it was compacted: {ours:?}");
    }
}

/// What is the same of a batch whoever compacted it, by the dump tool.
fn batches(dumped: &str) -> Vec<String> {
    let wanted = [
        "baseOffset",
        "lastOffset",
        "count",
        "baseSequence",
        "lastSequence",
        "isTransactional",
        "isControl",
        "compresscodec",
    ];
    let field = |line: &str, name: &str| {
        line.split_once(&format!("{name}: ")).and_then(|(_, rest)| rest.split(' ').next()).unwrap_or("?").to_owned()
    };
    let lines = dumped.lines().filter(|line| line.starts_with("baseOffset: "));
    let described = lines.map(|line| {
        let mut fields: Vec<String> = wanted.iter().map(|name| field(line, name)).collect();
        // When a marker gets its horizon depends on how often its topic was compacted.
        if field(line, "isControl") == "false" {
            fields.push((field(line, "deleteHorizonMs") == "OptionalLong.empty").to_string());
        }
        fields.join(" ")
    });
    described.collect()
}

/// The files of both, after they were stopped in order.
pub fn assert_files_pass(ours: &Path, theirs: &Path) {
    let folder = format!("{TOPIC}-0");
    let (ours_folder, theirs_folder) = (ours.join(&folder), theirs.join(&folder));
    let options = ["--deep-iteration", "--print-data-log"];
    let [dumped, wanted] =
        [&ours_folder, &theirs_folder].map(|folder| dump(folder, &["log", "index", "timeindex"], &options));
    assert_eq!(batches(&dumped), batches(&wanted));
    assert!(batches(&dumped).iter().any(|batch| batch.contains(" 0 ") && batch.contains("true false")), "an empty one");
    for complaint in ["Mismatches", "isvalid: false", "not monotonically", "timestamp mismatch", "Found"] {
        assert!(!dumped.contains(complaint), "the dump tool complains:\n{}", complaints(&dumped, complaint));
    }
    let checked = dump(&ours_folder, &["index", "timeindex"], &["--index-sanity-check"]);
    let indexes = files(&ours_folder, "index").len() + files(&ours_folder, "timeindex").len();
    // The active segment's index has nothing yet, which the tool says in other words.
    let passed = checked.matches("passed sanity check").count() + checked.matches("is empty").count();
    assert_eq!(passed, indexes, "{checked}");
    // The last transaction of each codec was aborted, and its producer's last batch is kept, empty: so is its abort.
    let aborted = dump(&ours_folder, &["txnindex"], &[]);
    assert!(aborted.matches("producerId: ").count() >= 5, "{aborted}");
}

/// Kafka's decoders read our internal topics.
pub fn assert_internal_topics_decode(ours: &Path) {
    let offsets = dump(&ours.join("__consumer_offsets-0"), &["log"], &["--offsets-decoder"]);
    assert!(offsets.contains("compacted-readers") && offsets.contains(r#""topic":"compacted""#), "{offsets}");
    let transactions = dump(&ours.join("__transaction_state-0"), &["log"], &["--transaction-log-decoder"]);
    // 4: complete commit; 5: complete abort.
    for what in ["compacted-zstd", r#""transactionStatus":4"#, r#""transactionStatus":5"#] {
        assert!(transactions.contains(what), "{what} is not in\n{transactions}");
    }
    for dumped in [offsets, transactions] {
        assert!(!dumped.contains("isvalid: false") && !dumped.contains("Exception"), "{dumped}");
    }
}
