//! The index of aborted transactions: looked up by range, cut with the log, and what of it survives a stop.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use bytes::Bytes;
use millstream_record::{Batch, BatchBuilder, Codec};
use millstream_runtime::{Runtime, SimDisk};
use millstream_storage::{AbortedTxn, Log, LogId, Recovery};
use millstream_types::{
    LeaderEpoch, Offset, PartitionIndex, ProducerId, TimestampMs, TopicConfig, TopicId, TopicPartition,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn id() -> LogId {
    let topic: TopicId = "KIi5gVZMTOuxI9qTbIoNWA".parse().unwrap();
    LogId { dir: PathBuf::from("data"), topic: "t".into(), partition: TopicPartition::new(topic, PartitionIndex(0)) }
}

fn config() -> TopicConfig {
    TopicConfig { segment_bytes: 500, ..TopicConfig::default() }
}

fn batch() -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(TimestampMs(0), None, Some(&[7; 100]), []);
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

struct Node {
    disk: Arc<SimDisk>,
    log: Log,
}

impl Node {
    /// 30 records, a few in each segment; those at 9, 10 and 25 are markers of aborts.
    async fn new(config: TopicConfig) -> Self {
        let mut node = Self::open(Arc::new(SimDisk::new()), config, Recovery::CLEAN).await;
        node.append(30).await;
        node.log.add_aborted(&[txn(1, 2, 9, 3), txn(2, 3, 10, 11)]).await.unwrap();
        node.log.add_aborted(&[txn(3, 12, 25, 26)]).await.unwrap();
        node
    }

    async fn open(disk: Arc<SimDisk>, config: TopicConfig, recovery: Recovery) -> Self {
        let runtime = Runtime::simulated(1, disk.clone());
        runtime.disk.create_dir_durable(&id().folder()).await.unwrap();
        let log = Log::open(runtime, id(), Arc::new(config), recovery).await.unwrap();
        Self { disk, log }
    }

    async fn append(&mut self, count: usize) {
        for _ in 0..count {
            self.log.append(&[batch()], LeaderEpoch(0)).await.unwrap();
        }
    }

    async fn found(&self, from: i64, below: i64) -> Vec<i64> {
        let found = self.log.aborted(Offset(from), Offset(below)).await.unwrap();
        found.iter().map(|entry| entry.producer.0).collect()
    }

    fn indexes(&self) -> usize {
        self.disk.files().iter().filter(|(path, _)| is_index(path)).count()
    }
}

fn txn(producer: i64, first: i64, last: i64, stable: i64) -> AbortedTxn {
    AbortedTxn {
        producer: ProducerId(producer),
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable: Offset(stable),
    }
}

#[tokio::test]
async fn a_range_finds_the_aborts_that_touch_it() {
    let node = Node::new(config()).await;
    assert_eq!(node.indexes(), 3, "beside the segments of the markers, and no others");
    for (from, below, expected) in [
        (0, 2, vec![]),
        (0, 3, vec![1]),
        (0, 4, vec![1, 2]),
        (5, 6, vec![1, 2]),
        (10, 12, vec![2]),
        (11, 12, vec![]),
        (0, 30, vec![1, 2, 3]),
        (13, 14, vec![3]),
        (26, 30, vec![]),
    ] {
        assert_eq!(node.found(from, below).await, expected, "{from} to {below}");
    }
}

#[tokio::test]
async fn a_truncation_takes_the_aborts_with_it() {
    let node = Node::new(config()).await;
    node.log.truncate_to(Offset(20)).await.unwrap();
    assert_eq!(node.found(0, 20).await, [1, 2]);
    node.log.truncate_to(Offset(10)).await.unwrap();
    assert_eq!(node.found(0, 20).await, [1]);
    node.log.reset(Offset(40)).await.unwrap();
    assert_eq!((node.found(40, 50).await, node.indexes()), (vec![], 0));
}

#[tokio::test]
async fn what_retention_takes_needs_no_index() {
    let node = Node::new(config()).await;
    node.log.delete_before(Offset(15)).await.unwrap();
    assert_eq!((node.found(15, 30).await, node.indexes()), (vec![3], 1));
}

#[tokio::test]
async fn aborts_of_what_is_only_in_the_object_store_are_looked_up_here() {
    let remote = TopicConfig { remote_storage_enable: true, ..config() };
    let node = Node::new(remote.clone()).await;
    node.log.delete_local_before(Offset(20)).await.unwrap();
    assert!(node.log.local_start() > Offset(10));
    assert_eq!(node.found(0, 30).await, [1, 2, 3]);
    node.log.close(Some(Bytes::from_static(b"producers"))).await.unwrap();
    let node = Node::open(node.disk, remote, Recovery::CLEAN).await;
    assert_eq!(node.found(0, 30).await, [1, 2, 3]);
    node.log.delete_before(Offset(15)).await.unwrap();
    // How far the segment of the second index reached is not known here any more: to the third at most.
    assert_eq!((node.found(15, 30).await, node.indexes()), (vec![3], 2));
    node.log.delete_before(Offset(24)).await.unwrap();
    assert_eq!(node.indexes(), 1);
}

#[tokio::test]
async fn what_is_below_a_snapshot_survives_a_power_cut() {
    let mut node = Node::new(config()).await;
    node.log.flush().await.unwrap();
    node.log.write_producer_snapshot(Offset(12), Bytes::from_static(b"producers")).await.unwrap();
    // Noted after the snapshot, and perhaps lost.
    node.append(1).await;
    node.log.add_aborted(&[txn(4, 28, 30, 31)]).await.unwrap();
    for seed in 0..50u64 {
        let mut drawn = seed;
        let draw = |bound: u64| {
            drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (drawn >> 33) % bound.max(1)
        };
        let disk = Arc::new(node.disk.after_power_cut(draw));
        let after = Node::open(disk, config(), Recovery::POWER_LOST).await;
        let (at, _) = after.log.producer_snapshot(after.log.log_end()).await.unwrap().unwrap();
        assert!(after.log.forget_aborted_from(at).await.unwrap(), "seed {seed}");
        let found = after.found(0, 30).await;
        assert_eq!(found, [1, 2], "seed {seed}: those below the snapshot, and no more until the log is read again");
    }
}

#[tokio::test]
async fn a_damaged_index_is_found_and_made_anew() {
    let node = Node::new(config()).await;
    let (path, _) = node.disk.files().into_iter().find(|(path, _)| is_index(path)).unwrap();
    assert!(node.disk.flip(&path, 1, 0xff));
    assert!(node.log.aborted(Offset(0), Offset(30)).await.is_err(), "it is not served");
    assert!(!node.log.forget_aborted_from(Offset(26)).await.unwrap());
    assert!(node.log.forget_aborted_from(Offset(0)).await.unwrap());
    assert_eq!((node.found(0, 30).await, node.indexes()), (vec![], 0));
}

fn is_index(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "txnindex")
}
