//! Many logs made durable by one call: as durable as each alone, and no log answers for another.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use bytes::Bytes;
use millstream_record::{Batch, BatchBuilder, Codec};
use millstream_runtime::{Disk, Fault, Runtime, SimDisk};
use millstream_storage::{Log, LogId, Recovery};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicConfig, TopicId, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOGS: i32 = 40;

fn id(partition: i32) -> LogId {
    let topic: TopicId = "KIi5gVZMTOuxI9qTbIoNWA".parse().unwrap();
    LogId {
        dir: PathBuf::from("data"),
        topic: "t".into(),
        partition: TopicPartition::new(topic, PartitionIndex(partition)),
    }
}

fn batch() -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(TimestampMs(7), None, Some(&[7; 100]), []);
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

async fn open_all(disk: &Arc<SimDisk>, recovery: Recovery) -> Vec<Log> {
    disk.create_dir_durable(Path::new("data")).await.unwrap();
    let runtime = Runtime::simulated(1, disk.clone());
    let mut logs = Vec::new();
    for partition in 0..LOGS {
        let config = Arc::new(TopicConfig::default());
        logs.push(Log::open(runtime.clone(), id(partition), config, recovery).await.unwrap());
    }
    logs
}

async fn filled() -> (Arc<SimDisk>, Vec<Log>) {
    let disk = Arc::new(SimDisk::new());
    let logs = open_all(&disk, Recovery::CLEAN).await;
    for (number, log) in logs.iter().enumerate() {
        for _ in 0..=number % 3 {
            log.append(&[batch()], LeaderEpoch(4)).await.unwrap();
        }
    }
    (disk, logs)
}

fn ends(logs: &[Log]) -> Vec<(Offset, Option<LeaderEpoch>)> {
    logs.iter().map(|log| (log.log_end(), log.latest_epoch())).collect()
}

#[tokio::test]
async fn a_power_cut_takes_nothing_of_logs_that_were_flushed_together() {
    let (disk, logs) = filled().await;
    let before = ends(&logs);
    assert!(Log::flush_all(&logs).await.into_iter().all(|outcome| outcome.is_ok()));
    assert!(logs.iter().all(|log| log.unflushed_records() == 0));
    disk.crash(|_| 0);
    assert_eq!(ends(&open_all(&disk, Recovery::POWER_LOST).await), before);
}

#[tokio::test]
async fn a_power_cut_takes_what_was_not_flushed() {
    let (disk, _) = filled().await;
    disk.crash(|_| 0);
    let left = open_all(&disk, Recovery::POWER_LOST).await;
    assert!(left.iter().all(|log| log.log_end() == Offset::ZERO));
}

#[tokio::test]
async fn recovery_points_that_were_stored_together_are_those_of_the_next_start() {
    let (disk, logs) = filled().await;
    Log::flush_all(&logs).await.into_iter().for_each(|outcome| outcome.unwrap());
    Log::checkpoint_all(&logs, vec![None; logs.len()]).await.into_iter().for_each(|outcome| outcome.unwrap());
    let points: Vec<Offset> = logs.iter().map(Log::recovery_point).collect();
    assert!(points.iter().all(|point| *point > Offset::ZERO));
    disk.crash(|_| 0);
    let next: Vec<Offset> = open_all(&disk, Recovery::POWER_LOST).await.iter().map(Log::recovery_point).collect();
    assert_eq!(next, points);
}

#[tokio::test]
async fn logs_that_were_closed_together_open_as_clean() {
    let (disk, logs) = filled().await;
    let before = ends(&logs);
    let producers = vec![Bytes::from_static(b"state"); logs.len()];
    Log::close_all(&logs, producers).await.into_iter().for_each(|outcome| outcome.unwrap());
    logs[0].append(&[batch()], LeaderEpoch(4)).await.unwrap_err();
    disk.crash(|_| 0);
    let next = open_all(&disk, Recovery::CLEAN).await;
    assert_eq!(ends(&next), before);
    for log in &next {
        assert_eq!(log.opening().segments_checked, 0, "a clean start scans nothing");
        let (at, content) = log.producer_snapshot(log.log_end()).await.unwrap().unwrap();
        assert_eq!((at, &content[..]), (log.log_end(), &b"state"[..]));
    }
}

#[tokio::test]
async fn a_log_that_was_deleted_does_not_fail_the_others() {
    let (_, logs) = filled().await;
    logs[3].delete().await.unwrap();
    let outcomes = Log::flush_all(&logs).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), number == 3, "log {number}: {outcome:?}");
    }
    assert!(logs.iter().enumerate().all(|(number, log)| number == 3 || log.unflushed_records() == 0));
}

#[tokio::test]
async fn a_sync_that_failed_stops_all_writes() {
    let (disk, logs) = filled().await;
    disk.set_fault(Some(Fault::WriteError));
    assert!(Log::flush_all(&logs).await.iter().all(Result::is_err));
    disk.set_fault(None);
    assert!(logs.iter().all(|log| log.unflushed_records() > 0), "nobody knows what the disk holds");
}
