//! A log's other doings: rolling by time, retention, replication, snapshots, the object store's share, deletion.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use bytes::Bytes;
use millstream_record::{Batch, BatchBuilder, Codec, TimestampType, split};
use millstream_runtime::{Disk, Runtime, SimDisk};
use millstream_storage::{EpochEnd, Error, Log, LogId, Recovery, remove_deleted};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicConfig, TopicId, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn id() -> LogId {
    let topic: TopicId = "KIi5gVZMTOuxI9qTbIoNWA".parse().unwrap();
    LogId { dir: PathBuf::from("data"), topic: "t".into(), partition: TopicPartition::new(topic, PartitionIndex(0)) }
}

fn batch(timestamp: i64) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(TimestampMs(timestamp), None, Some(&[7; 100]), []);
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

fn config() -> TopicConfig {
    TopicConfig { segment_bytes: 1000, index_interval_bytes: 200, ..TopicConfig::default() }
}

async fn open(config: TopicConfig) -> (Arc<SimDisk>, Runtime, Log) {
    let disk = Arc::new(SimDisk::new());
    let runtime = Runtime::simulated(1, disk.clone());
    let log = Log::open(runtime.clone(), id(), Arc::new(config), Recovery::CLEAN).await.unwrap();
    (disk, runtime, log)
}

async fn append(log: &Log, timestamps: impl IntoIterator<Item = i64>) {
    for timestamp in timestamps {
        log.append(&[batch(timestamp)], LeaderEpoch(0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_segment_is_closed_when_its_first_batch_is_segment_ms_old() {
    let (_, _, log) = open(TopicConfig { segment_ms: 1000, segment_bytes: 1 << 20, ..config() }).await;
    append(&log, [0, 500, 1000]).await;
    assert_eq!(log.segment_count(), 1);
    assert_eq!(log.rolls_before(&[batch(1001)]), Some(Offset(3)));
    append(&log, [1001]).await;
    assert_eq!(log.segment_count(), 2);
    assert_eq!(log.rolls_before(&[batch(1002)]), None);
}

#[tokio::test]
async fn old_segments_go_and_the_start_survives_a_restart() {
    let (_, runtime, log) = open(TopicConfig { retention_ms: 1000, ..config() }).await;
    append(&log, (0..30).map(|number| number * 100)).await;
    let closed = log.closed_segments().await.unwrap();
    let now = TimestampMs(closed[1].max_timestamp.0 + 1001);
    // Nothing goes that is not below the high watermark.
    assert_eq!(log.retain(now, Offset(3)).await.unwrap(), 0);
    assert_eq!(log.retain(now, Offset(30)).await.unwrap(), 2);
    assert_eq!((log.log_start(), log.local_start()), (closed[2].base, closed[2].base));
    assert!(matches!(log.read(Offset(0), Offset(30), 100, true).await, Err(Error::OutOfRange { .. })));
    log.close(None).await.unwrap();
    let log = Log::open(runtime, id(), Arc::new(config()), Recovery::CLEAN).await.unwrap();
    assert_eq!((log.log_start(), log.log_end()), (closed[2].base, Offset(30)));
    assert_eq!(log.epochs().iter().collect::<Vec<_>>(), [(LeaderEpoch(0), closed[2].base)]);
}

#[tokio::test]
async fn when_all_is_old_an_empty_segment_keeps_the_end() {
    let (disk, runtime, log) = open(TopicConfig { retention_ms: 1000, ..config() }).await;
    append(&log, 0..20).await;
    log.retain(TimestampMs(1_000_000), Offset(20)).await.unwrap();
    assert_eq!((log.log_start(), log.log_end(), log.size(), log.segment_count()), (Offset(20), Offset(20), 0, 1));
    drop((log, runtime));
    let log = Log::open(Runtime::simulated(2, disk), id(), Arc::new(config()), Recovery::KILLED).await.unwrap();
    assert_eq!((log.log_start(), log.log_end()), (Offset(20), Offset(20)));
}

#[tokio::test]
async fn what_is_more_than_retention_bytes_goes() {
    let (_, _, log) = open(TopicConfig { retention_bytes: 2500, retention_ms: -1, ..config() }).await;
    append(&log, 0..40).await;
    let before = log.size();
    log.retain(TimestampMs(0), Offset(40)).await.unwrap();
    let largest = log.closed_segments().await.unwrap().iter().map(|closed| closed.size).max().unwrap();
    assert!(log.size() >= 2500 && log.size() < 2500 + largest && before > log.size(), "{} of {before}", log.size());
}

#[tokio::test]
async fn a_compacted_topic_keeps_what_is_old() {
    let (_, _, log) = open(TopicConfig { delete: false, compact: true, retention_ms: 1, ..config() }).await;
    append(&log, 0..20).await;
    assert_eq!(log.retain(TimestampMs(1_000_000), Offset(20)).await.unwrap(), 0);
}

#[tokio::test]
async fn the_local_segments_are_all_of_the_log_and_the_last_is_written() {
    let (_, _, log) = open(config()).await;
    append(&log, 0..20).await;
    let (all, closed) = (log.local_segments().await.unwrap(), log.closed_segments().await.unwrap());
    assert_eq!(all.len(), closed.len() + 1);
    for (segment, closed) in all.iter().zip(&closed) {
        let told = (segment.base, segment.next, segment.size, segment.max_timestamp);
        assert_eq!(told, (closed.base, closed.next, closed.size, closed.max_timestamp));
    }
    assert_eq!(all.iter().map(|segment| segment.size).sum::<u64>(), log.size());
    assert_eq!(all.last().unwrap().next, log.log_end());
}

#[tokio::test]
async fn segments_in_the_object_store_go_from_the_disk_and_not_from_the_log() {
    let (_, runtime, log) = open(TopicConfig { remote_storage_enable: true, retention_ms: 1, ..config() }).await;
    append(&log, 0..20).await;
    assert_eq!(log.retain(TimestampMs(1_000_000), Offset(20)).await.unwrap(), 0);
    let closed = log.closed_segments().await.unwrap();
    assert_eq!(log.delete_local_before(closed[1].next).await.unwrap(), 2);
    assert_eq!((log.log_start(), log.local_start()), (Offset(0), closed[2].base));
    assert!(matches!(log.read(Offset(0), Offset(20), 100, true).await, Err(Error::NotLocal { .. })));
    log.close(None).await.unwrap();
    let config = TopicConfig { remote_storage_enable: true, ..config() };
    let log = Log::open(runtime, id(), Arc::new(config), Recovery::CLEAN).await.unwrap();
    assert_eq!((log.log_start(), log.local_start()), (Offset(0), closed[2].base));
    // DeleteRecords may name an offset that is only in the object store.
    assert_eq!(log.delete_before(Offset(1)).await.unwrap(), Offset(1));
    assert_eq!(log.local_start(), closed[2].base);
}

#[tokio::test]
async fn what_is_not_copied_any_more_is_kept_for_as_long_as_the_topic_says() {
    let config =
        TopicConfig { remote_storage_enable: true, remote_log_copy_disable: true, retention_ms: 1, ..config() };
    let (_, _, log) = open(config).await;
    append(&log, 0..20).await;
    let closed = log.closed_segments().await.unwrap();
    assert!(log.retain(TimestampMs(1_000_000_000_000_000), Offset(20)).await.unwrap() >= closed.len());
    assert!(log.log_start() >= closed.last().unwrap().next, "nobody else would ever delete it");
}

#[tokio::test]
async fn a_follower_takes_batches_as_they_are() {
    let (_, _, leader) = open(config()).await;
    let (_, _, follower) = open(config()).await;
    append(&leader, 0..3).await;
    leader.append(&[batch(3)], LeaderEpoch(4)).await.unwrap();
    let slice = leader.read(Offset(0), Offset(4), 1 << 20, true).await.unwrap();
    let batches = split(slice.records.unwrap().read().await.unwrap()).unwrap();
    follower.append_replicated(&batches).await.unwrap();
    assert_eq!(follower.epochs(), leader.epochs());
    assert_eq!(follower.epoch_end(LeaderEpoch(2)), Some(EpochEnd { epoch: LeaderEpoch(0), end_offset: Offset(3) }));
    let again = follower.append_replicated(&batches).await.unwrap_err();
    assert!(matches!(again, Error::OutOfOrder { expected: Offset(4), found: Offset(0) }), "{again}");
    follower.reset(Offset(50)).await.unwrap();
    assert_eq!((follower.log_start(), follower.log_end(), follower.epochs().latest()), (Offset(50), Offset(50), None));
}

#[tokio::test]
async fn the_brokers_time_is_stamped_where_the_topic_says_so() {
    let (_, _, log) = open(TopicConfig { log_append_time: true, ..config() }).await;
    let appended = log.append(&[batch(5)], LeaderEpoch(0)).await.unwrap();
    let slice = log.read(Offset(0), Offset(1), 1 << 20, true).await.unwrap();
    let stored = &split(slice.records.unwrap().read().await.unwrap()).unwrap()[0];
    stored.check_crc().unwrap();
    assert_eq!(stored.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(Some(stored.max_timestamp()), appended.append_time);
}

#[tokio::test]
async fn snapshots_go_with_their_segments_and_with_what_is_cut() {
    let (_, _, log) = open(config()).await;
    append(&log, 0..20).await;
    let bases: Vec<Offset> = log.closed_segments().await.unwrap().iter().map(|closed| closed.next).collect();
    for base in &bases {
        log.write_producer_snapshot(*base, Bytes::from(format!("at {base}"))).await.unwrap();
    }
    let (at, content) = log.producer_snapshot(bases[1] + 1).await.unwrap().unwrap();
    assert_eq!((at, content), (bases[1], Bytes::from(format!("at {}", bases[1]))));
    log.truncate_to(bases[1] + 1).await.unwrap();
    assert_eq!(log.producer_snapshots().await.unwrap(), bases[..2]);
    log.delete_before(bases[1]).await.unwrap();
    assert_eq!(log.producer_snapshots().await.unwrap(), [bases[1]]);
}

#[tokio::test]
async fn flush_is_due_by_records() {
    let (_, _, log) = open(TopicConfig { flush_messages: 3, ..config() }).await;
    append(&log, 0..2).await;
    assert!(!log.flush_due());
    append(&log, 2..3).await;
    assert!(log.flush_due());
    log.flush().await.unwrap();
    assert!(!log.flush_due());
    assert_eq!(log.recovery_point(), Offset(3));
}

#[tokio::test]
async fn a_deleted_log_frees_its_name_and_its_readers_end_in_peace() {
    let (disk, runtime, log) = open(config()).await;
    append(&log, 0..5).await;
    let reading = log.read(Offset(0), Offset(5), 1 << 20, true).await.unwrap().records.unwrap();
    log.delete().await.unwrap();
    assert!(!disk.exists(Path::new("data/t-0")).await.unwrap());
    assert!(reading.read().await.is_ok());
    assert!(matches!(log.append(&[batch(1)], LeaderEpoch(0)).await, Err(Error::Deleted { .. })));
    assert!(matches!(log.read(Offset(0), Offset(5), 1, true).await, Err(Error::Deleted { .. })));
    let again = Log::open(runtime.clone(), id(), Arc::new(config()), Recovery::CLEAN).await.unwrap();
    assert_eq!(again.log_end(), Offset(0));
    assert!(runtime.tasks.stop_and_wait(Duration::from_secs(10)).await);
    assert!(disk.files().iter().all(|(path, _)| path.starts_with("data/t-0")), "{:?}", disk.files());
    disk.create_dir_all(Path::new("data/t-1.00000000000000000000000000000001-delete")).await.unwrap();
    assert_eq!(remove_deleted(&runtime, Path::new("data")).await.unwrap(), 1);
}

#[tokio::test]
async fn another_topics_folder_is_refused() {
    let (_, runtime, log) = open(config()).await;
    log.close(None).await.unwrap();
    let other: TopicId = "AAAAAAAAAAAAAAAAAAAAAQ".parse().unwrap();
    let id = LogId { partition: TopicPartition::new(other, PartitionIndex(0)), ..id() };
    let error = Log::open(runtime, id, Arc::new(config()), Recovery::CLEAN).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::WrongTopic { expected, .. } if expected == other), "{error}");
}

#[tokio::test]
async fn a_batch_that_fits_in_no_segment_is_told_the_limit() {
    let (_, _, log) = open(TopicConfig { segment_bytes: 100, ..config() }).await;
    let error = log.append(&[batch(0)], LeaderEpoch(0)).await.unwrap_err();
    assert!(error.to_string().contains("segment.bytes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn jitter_closes_segments_at_different_times_also_after_a_restart() {
    let config = || Arc::new(TopicConfig { segment_ms: 1000, segment_jitter_ms: 1000, ..TopicConfig::default() });
    let mut early = 0;
    for seed in 0..20 {
        let disk = Arc::new(SimDisk::new());
        let runtime = Runtime::simulated(seed, disk.clone());
        let log = Log::open(runtime.clone(), id(), config(), Recovery::CLEAN).await.unwrap();
        let at = |time: i64| {
            let mut builder = BatchBuilder::new(Codec::None);
            builder.push(TimestampMs(time), None, Some(b"v"), []);
            [builder.build(Offset(0), LeaderEpoch(0)).unwrap()]
        };
        log.append(&at(10_000), LeaderEpoch(0)).await.unwrap();
        log.close(None).await.unwrap();
        let log = Log::open(runtime, id(), config(), Recovery::CLEAN).await.unwrap();
        early += usize::from(log.append(&at(10_500), LeaderEpoch(0)).await.unwrap().rolled);
        assert!(early > 0 || log.segment_count() == 1);
        log.append(&at(11_600), LeaderEpoch(0)).await.unwrap();
        assert!(log.segment_count() > 1, "never later than segment.ms");
    }
    assert!((3..18).contains(&early), "{early} of 20");
}
