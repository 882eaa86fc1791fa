//! Apache Kafka's own folders: the same batches give the same files, byte for byte; and its folders are served as they are.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use millstream_record::{Batch, Limits, split};
use millstream_runtime::Runtime;
use millstream_storage::{Log, LogId, Recovery, decode_producer_snapshot, encode_producer_snapshot};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicConfig, TopicId, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn config(topic: &str) -> Arc<TopicConfig> {
    let (index_interval_bytes, segment_ms) = if topic == "small" { (1024, 604_800_000) } else { (0, 4000) };
    Arc::new(TopicConfig {
        segment_bytes: 30_000,
        segment_index_bytes: 1_000_000,
        index_interval_bytes,
        segment_ms,
        retention_ms: -1,
        ..TopicConfig::default()
    })
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == ending)).collect();
    files.sort();
    files
}

/// The topic's id as Kafka wrote it.
fn id(dir: &Path, topic: &str) -> LogId {
    let metadata = std::fs::read_to_string(golden().join(format!("{topic}-0/partition.metadata"))).unwrap();
    let topic_id: TopicId = metadata.rsplit_once(' ').unwrap().1.parse().unwrap();
    LogId { dir: dir.to_owned(), topic: topic.to_owned(), partition: TopicPartition::new(topic_id, PartitionIndex(0)) }
}

fn batches(topic: &str) -> Vec<Batch> {
    let logs = files(&golden().join(format!("{topic}-0")), "log");
    assert!(logs.len() >= 3);
    logs.iter().flat_map(|log| split(std::fs::read(log).unwrap().into()).unwrap()).collect()
}

fn copy_of_golden(topic: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(format!("{topic}-0"));
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(golden().join(format!("{topic}-0"))).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    dir
}

fn assert_same_files(ours: &Path, topic: &str) {
    let theirs = golden().join(format!("{topic}-0"));
    for ending in ["log", "index", "timeindex"] {
        let wanted = files(&theirs, ending);
        let names =
            |files: &[PathBuf]| files.iter().map(|file| file.file_name().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&files(ours, ending)), names(&wanted));
        for file in wanted {
            let name = file.file_name().unwrap();
            let same = std::fs::read(ours.join(name)).unwrap() == std::fs::read(&file).unwrap();
            assert!(same, "{topic}: {} differs from Kafka's", name.display());
        }
    }
    for name in ["partition.metadata", "leader-epoch-checkpoint"] {
        assert_eq!(std::fs::read(ours.join(name)).unwrap(), std::fs::read(theirs.join(name)).unwrap(), "{name}");
    }
}

#[tokio::test]
async fn the_same_batches_give_the_same_files() {
    for topic in ["small", "timed"] {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(Runtime::real(), id(dir.path(), topic), config(topic), Recovery::CLEAN).await.unwrap();
        for batch in batches(topic) {
            let appended = log.append(std::slice::from_ref(&batch), LeaderEpoch(0)).await.unwrap();
            assert_eq!(appended.base_offset, batch.base_offset());
        }
        log.close(None).await.unwrap();
        assert_same_files(log.folder(), topic);
    }
}

#[tokio::test]
async fn kafkas_folder_is_served_after_its_clean_stop() {
    for topic in ["small", "timed"] {
        let dir = copy_of_golden(topic);
        let log = Log::open(Runtime::real(), id(dir.path(), topic), config(topic), Recovery::CLEAN).await.unwrap();
        assert_eq!(log.opening().segments_checked, 0);
        let wanted = batches(topic);
        let end = wanted.last().unwrap().next_offset();
        assert_eq!(log.log_end(), end);
        for batch in &wanted {
            let slice = log.read(batch.last_offset(), end, 1, true).await.unwrap();
            assert_eq!(slice.records.unwrap().read().await.unwrap(), batch.bytes());
        }
        let times: Vec<(i64, i64)> = wanted
            .iter()
            .flat_map(|batch| {
                let columns = batch.records(&Limits::default()).unwrap();
                columns.offsets.into_iter().zip(columns.timestamps)
            })
            .collect();
        for time in (times[0].1..times[times.len() - 1].1).step_by(997) {
            let found = log.offset_for_time(TimestampMs(time)).await.unwrap();
            assert_eq!(found.map(|(offset, at)| (offset.0, at.0)), times.iter().copied().find(|(_, at)| *at >= time));
        }
        log.close(None).await.unwrap();
        assert_same_files(log.folder(), topic);
    }
}

#[tokio::test]
async fn indexes_that_recovery_makes_are_kafkas() {
    for topic in ["small", "timed"] {
        let dir = copy_of_golden(topic);
        let folder = dir.path().join(format!("{topic}-0"));
        for index in files(&folder, "index").iter().chain(&files(&folder, "timeindex")) {
            std::fs::write(index, [0xff; 100]).unwrap();
        }
        std::fs::remove_file(folder.join("leader-epoch-checkpoint")).unwrap();
        let log = Log::open(Runtime::real(), id(dir.path(), topic), config(topic), Recovery::KILLED).await.unwrap();
        assert!(log.opening().segments_checked >= 3);
        assert_eq!(log.opening().bytes_cut, 0);
        log.close(None).await.unwrap();
        assert_same_files(log.folder(), topic);
    }
}

#[test]
fn kafkas_producer_snapshots_round_trip() {
    let mut entries = 0;
    for snapshot in files(&golden().join("small-0"), "snapshot") {
        let content = std::fs::read(&snapshot).unwrap().into();
        let read = decode_producer_snapshot(&content, &snapshot).unwrap();
        entries += read.len();
        assert!(read.iter().all(|entry| entry.last_offset > Offset(0)
            && entry.coordinator_epoch == -1
            && entry.current_txn_first_offset.is_none()));
        assert_eq!(encode_producer_snapshot(&read), content);
    }
    assert!(entries > 5);
}
