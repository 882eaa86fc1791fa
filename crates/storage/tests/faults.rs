//! Damage: what a stop can have done is cut off, what it can't is named, and nothing broken is served.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use millstream_record::{Batch, BatchBuilder, Codec, split};
use millstream_runtime::{Disk, Fault, OpenMode, Runtime, SimDisk};
use millstream_storage::{Error, Log, LogId, Recovery};
use millstream_types::{
    ErrorKind, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicConfig, TopicId, TopicPartition,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const FIRST: &str = "data/t-0/00000000000000000000.log";

fn id() -> LogId {
    let topic: TopicId = "KIi5gVZMTOuxI9qTbIoNWA".parse().unwrap();
    LogId { dir: PathBuf::from("data"), topic: "t".into(), partition: TopicPartition::new(topic, PartitionIndex(0)) }
}

struct Node {
    disk: Arc<SimDisk>,
    runtime: Runtime,
}

impl Node {
    fn new() -> Self {
        let disk = Arc::new(SimDisk::new());
        Self { runtime: Runtime::simulated(1, disk.clone()), disk }
    }

    async fn try_open(&self, recovery: Recovery) -> Result<Log, Error> {
        let config = TopicConfig { segment_bytes: 2000, index_interval_bytes: 200, ..TopicConfig::default() };
        Log::open(self.runtime.clone(), id(), Arc::new(config), recovery).await
    }

    async fn open(&self, recovery: Recovery) -> Log {
        self.try_open(recovery).await.unwrap()
    }

    async fn background_ends(&mut self) {
        assert!(self.runtime.tasks.stop_and_wait(Duration::from_secs(10)).await);
        self.runtime = Runtime::simulated(1, self.disk.clone());
    }

    async fn append_raw(&self, path: &str, bytes: &[u8]) {
        let file = self.disk.open(Path::new(path), OpenMode::Append).await.unwrap();
        file.append(&[bytes.to_vec().into()]).await.unwrap();
    }

    async fn len(&self, path: &str) -> usize {
        usize::try_from(self.disk.open(Path::new(path), OpenMode::Read).await.unwrap().len()).unwrap()
    }
}

/// One record of 100 bytes.
fn batch(number: i64) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(TimestampMs(1000 + number), None, Some(&[7; 100]), []);
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

async fn fill(log: &Log, count: i64) {
    for number in 0..count {
        log.append(&[batch(number)], LeaderEpoch(0)).await.unwrap();
    }
}

async fn offsets(log: &Log) -> Vec<i64> {
    let (mut from, mut found) = (log.log_start(), Vec::new());
    while from < log.log_end() {
        let slice = log.read(from, log.log_end(), 1 << 20, true).await.unwrap();
        let bytes = slice.records.unwrap().read().await.unwrap();
        for batch in split(bytes).unwrap() {
            batch.check_crc().unwrap();
            found.push(batch.base_offset().0);
        }
        from = slice.next_offset;
    }
    found
}

#[tokio::test]
async fn an_append_cut_at_any_byte_is_taken_off() {
    let size = batch(0).size();
    for cut in 1..size {
        let node = Node::new();
        fill(&node.open(Recovery::CLEAN).await, 3).await;
        let torn = batch(3).placed(Offset(3), LeaderEpoch(0), None).concat();
        node.append_raw(FIRST, &torn[..cut]).await;
        let log = node.open(Recovery::KILLED).await;
        assert_eq!((log.log_end(), log.opening().bytes_cut), (Offset(3), cut as u64));
        assert_eq!(offsets(&log).await, [0, 1, 2]);
        fill(&log, 1).await;
        assert_eq!(offsets(&log).await, [0, 1, 2, 3]);
    }
}

#[tokio::test]
async fn a_flipped_bit_with_good_records_after_it_is_named_and_nothing_is_cut() {
    let node = Node::new();
    fill(&node.open(Recovery::CLEAN).await, 5).await;
    let size = batch(0).size();
    let len = node.len(FIRST).await;
    assert!(node.disk.flip(Path::new(FIRST), 2 * size + 70, 1));
    match node.try_open(Recovery::KILLED).await.map(|_| ()) {
        Err(error @ Error::Corrupt { position, .. }) => {
            assert_eq!(position, 2 * size as u64);
            assert!(error.to_string().contains("00000000000000000000.log"), "{error}");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(node.len(FIRST).await, len);
}

#[tokio::test]
async fn a_power_cut_may_take_unsynced_records_but_never_synced_ones() {
    let size = batch(0).size();
    for (synced, flip, expected) in [(2, 3, Ok(3)), (2, 1, Err(1)), (4, 3, Err(3)), (0, 0, Ok(0))] {
        let node = Node::new();
        let log = node.open(Recovery::CLEAN).await;
        fill(&log, synced).await;
        log.flush().await.unwrap();
        log.checkpoint().await.unwrap();
        fill(&log, 5 - synced).await;
        assert!(node.disk.flip(Path::new(FIRST), flip * size + 80, 0x80));
        match (node.try_open(Recovery::POWER_LOST).await, expected) {
            (Ok(log), Ok(end)) => assert_eq!(log.log_end(), Offset(end)),
            (Err(Error::Corrupt { position, .. }), Err(batch)) => assert_eq!(position, batch * size as u64),
            (other, _) => panic!("synced {synced}, flipped in {flip}: {:?}", other.map(|log| log.log_end())),
        }
    }
}

#[tokio::test]
async fn a_segment_that_was_synced_is_not_scanned_after_a_kill() {
    let mut node = Node::new();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 60).await;
    let closed = log.segment_count() - 1;
    assert!(closed >= 3);
    log.flush().await.unwrap();
    log.checkpoint().await.unwrap();
    node.background_ends().await;
    let log = node.open(Recovery::KILLED).await;
    assert_eq!(log.opening().segments_checked, 1);
    assert_eq!(offsets(&log).await, (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_index_that_lies_costs_time_and_not_truth() {
    for damage in [&[0xff; 64][..], &[0, 0, 0, 1, 0, 0, 0, 9][..], &[1, 2, 3][..]] {
        let mut node = Node::new();
        let log = node.open(Recovery::CLEAN).await;
        fill(&log, 60).await;
        log.close(None).await.unwrap();
        node.background_ends().await;
        for (path, _) in node.disk.files() {
            if path.extension().is_some_and(|extension| extension == "index") {
                node.disk.remove_file(&path).await.unwrap();
                node.append_raw(path.to_str().unwrap(), damage).await;
            }
        }
        let log = node.open(Recovery::CLEAN).await;
        assert_eq!(offsets(&log).await, (0..60).collect::<Vec<_>>());
        for offset in 0..60 {
            let slice = log.read(Offset(offset), Offset(60), 1, true).await.unwrap();
            assert_eq!(slice.first_offset, Offset(offset));
        }
    }
}

#[tokio::test]
async fn a_broken_header_is_never_served() {
    let mut node = Node::new();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 60).await;
    let first = log.closed_segments().await.unwrap()[0].clone();
    log.close(None).await.unwrap();
    node.background_ends().await;
    // The length field of the second batch of a closed segment, which a clean start does not look at.
    assert!(node.disk.flip(&first.log, batch(0).size() + 8, 0x40));
    let log = node.open(Recovery::CLEAN).await;
    let error = log.read(Offset(1), Offset(60), 1, true).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(log.read(first.next, Offset(60), 1 << 20, true).await.is_ok());
}

/// The model's seed 6033 found it once: what is synced behind a roll meets the full disk before an append does.
#[tokio::test]
async fn a_log_that_a_full_disk_took_offline_before_an_append_comes_back() {
    let mut node = Node::new();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 3).await;
    // The sync behind the roll has a new epoch to store.
    log.append(&[batch(3)], LeaderEpoch(1)).await.unwrap();
    log.roll().await.unwrap();
    node.disk.set_fault(Some(Fault::Full));
    let offline = async {
        while log.failure().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), offline).await.expect("the sync meets the full disk");
    let error = log.append(&[batch(4)], LeaderEpoch(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    node.disk.set_fault(None);
    assert!(log.disk_takes_writes().await);
    log.retire().await;
    node.background_ends().await;
    let log = node.open(Recovery::KILLED).await;
    log.write_again().await.unwrap();
    assert_eq!(log.unflushed_records(), 0);
    fill(&log, 2).await;
    assert_eq!(offsets(&log).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(1)));
}

#[tokio::test]
async fn a_full_disk_refuses_and_then_goes_on() {
    let node = Node::new();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 10).await;
    node.disk.set_fault(Some(Fault::Full));
    // Once within a segment and once where a new one would begin.
    for count in [1, 30] {
        let batches: Vec<Batch> = (0..count).map(batch).collect();
        let error = log.append(&batches, LeaderEpoch(0)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
        assert!(error.to_string().contains("t-0"), "{error}");
        assert_eq!(log.log_end(), Offset(10));
    }
    assert_eq!(offsets(&log).await, (0..10).collect::<Vec<_>>());
    node.disk.set_fault(None);
    fill(&log, 40).await;
    assert_eq!(offsets(&log).await, (0..50).collect::<Vec<_>>());
    log.close(None).await.unwrap();
    assert_eq!(offsets(&node.open(Recovery::CLEAN).await).await, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_any_more() {
    let node = Node::new();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 3).await;
    node.disk.set_fault(Some(Fault::WriteError));
    log.flush().await.unwrap_err();
    node.disk.set_fault(None);
    let error = log.append(&[batch(0)], LeaderEpoch(0)).await.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    assert_eq!(offsets(&log).await, [0, 1, 2]);
    assert_eq!(log.recovery_point(), Offset(0));
}

/// The machine's disk, but for new files that it refuses to make while `refuses` is set.
struct NoNewFiles {
    disk: Arc<SimDisk>,
    refuses: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl Disk for NoNewFiles {
    async fn open(&self, path: &Path, mode: OpenMode) -> std::io::Result<Arc<dyn millstream_runtime::DiskFile>> {
        if self.refuses.load(std::sync::atomic::Ordering::SeqCst) && !self.disk.exists(path).await? {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.disk.open(path, mode).await
    }
    async fn read_dir(&self, path: &Path) -> std::io::Result<Vec<(String, millstream_runtime::EntryKind)>> {
        self.disk.read_dir(path).await
    }
    async fn create_dir_all(&self, path: &Path) -> std::io::Result<()> {
        self.disk.create_dir_all(path).await
    }
    async fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.disk.rename(from, to).await
    }
    async fn remove_file(&self, path: &Path) -> std::io::Result<()> {
        self.disk.remove_file(path).await
    }
    async fn remove_dir_all(&self, path: &Path) -> std::io::Result<()> {
        self.disk.remove_dir_all(path).await
    }
    async fn sync_dir(&self, path: &Path) -> std::io::Result<()> {
        self.disk.sync_dir(path).await
    }
    async fn sync_all(&self, path: &Path) -> std::io::Result<()> {
        self.disk.sync_all(path).await
    }
    async fn exists(&self, path: &Path) -> std::io::Result<bool> {
        self.disk.exists(path).await
    }
    async fn space(&self, path: &Path) -> std::io::Result<(u64, u64)> {
        self.disk.space(path).await
    }
}

#[tokio::test]
async fn an_append_over_two_segments_is_taken_back_where_the_second_cannot_be_made() {
    let mut node = Node::new();
    let disk = Arc::new(NoNewFiles { disk: node.disk.clone(), refuses: false.into() });
    node.runtime.disk = disk.clone();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 2).await;
    let size = log.size();
    disk.refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    let batches: Vec<Batch> = (0..30).map(batch).collect();
    log.append(&batches, LeaderEpoch(0)).await.unwrap_err();
    assert_eq!((log.log_end(), log.size()), (Offset(2), size));
    disk.refuses.store(false, std::sync::atomic::Ordering::SeqCst);
    log.append(&batches, LeaderEpoch(0)).await.unwrap();
    assert_eq!(offsets(&log).await, (0..32).collect::<Vec<_>>());
}
