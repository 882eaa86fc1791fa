//! A log of one large segment on a simulated disk, and all that can be asked of it.

use bytes::Bytes;
use millstream_record::{Batch, BatchBuilder, Codec, split};
use millstream_runtime::{Disk, OpenMode, Runtime, SimDisk};
use millstream_storage::{Error, Log, LogId, Recovery};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicConfig, TopicId, TopicPartition};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const FIRST: &str = "data/t-0/00000000000000000000.log";
pub const INDEX: &str = "data/t-0/00000000000000000000.index";
pub const TIMES: &str = "data/t-0/00000000000000000000.timeindex";
pub const CHECKPOINT: &str = "data/t-0/millstream.checkpoint";
pub const KEPT: &str = "data/t-0/millstream.producers";
/// In a batch.
pub const RECORDS: i64 = 2;

pub struct Node {
    pub disk: Arc<SimDisk>,
    pub runtime: Runtime,
    interval: i32,
}

/// What can be asked of a log: its ends, its epochs, its largest timestamp, the first offsets at some times, what a read at each offset gives.
#[derive(Debug, PartialEq)]
pub struct Facts {
    ends: (Offset, Offset),
    epochs: String,
    largest: Option<(Offset, TimestampMs)>,
    times: Vec<Option<(Offset, TimestampMs)>>,
    reads: Vec<(Offset, Offset, Bytes)>,
}

pub fn id(dir: &Path) -> LogId {
    let topic: TopicId = "KIi5gVZMTOuxI9qTbIoNWA".parse().unwrap();
    LogId { dir: dir.to_owned(), topic: "t".to_owned(), partition: TopicPartition::new(topic, PartitionIndex(0)) }
}

impl Node {
    pub fn new() -> Self {
        Self::with_interval(500)
    }

    pub fn with_interval(interval: i32) -> Self {
        let disk = Arc::new(SimDisk::new());
        Self { runtime: Runtime::simulated(1, disk.clone()), disk, interval }
    }

    pub async fn try_open(&self, recovery: Recovery) -> Result<Log, Error> {
        let id = id(Path::new("data"));
        self.disk.create_dir_durable(&id.dir).await.unwrap();
        let config = TopicConfig { index_interval_bytes: self.interval, ..TopicConfig::default() };
        Log::open(self.runtime.clone(), id, Arc::new(config), recovery).await
    }

    pub async fn open(&self, recovery: Recovery) -> Log {
        self.try_open(recovery).await.unwrap()
    }

    pub async fn background_ends(&mut self) {
        assert!(self.runtime.tasks.stop_and_wait(Duration::from_secs(10)).await);
        self.runtime = Runtime::simulated(1, self.disk.clone());
    }

    /// Returns where the recovery point is in the file.
    pub async fn fill_and_kill(&mut self, synced: i64, after: i64) -> u64 {
        let log = self.open(Recovery::CLEAN).await;
        fill(&log, synced, LeaderEpoch(0)).await;
        log.flush().await.unwrap();
        log.checkpoint().await.unwrap();
        let point = self.len(FIRST);
        fill(&log, after, LeaderEpoch(0)).await;
        self.background_ends().await;
        point
    }

    pub fn file(&self, path: &str) -> Option<u64> {
        self.disk.files().into_iter().find(|(known, _)| known == Path::new(path)).map(|(_, len)| len)
    }

    pub fn len(&self, path: &str) -> u64 {
        self.file(path).unwrap()
    }

    pub fn batch_size(&self) -> usize {
        batch(0).size()
    }

    pub async fn replace(&self, path: &str, content: Bytes) {
        let file = self.disk.open(Path::new(path), OpenMode::Append).await.unwrap();
        file.truncate(0).await.unwrap();
        file.append(&[content]).await.unwrap();
    }

    /// Opens the log, asks it everything, and leaves it as a kill does.
    pub async fn facts(&mut self, recovery: Recovery) -> Facts {
        let log = self.open(recovery).await;
        let (start, end) = (log.log_start(), log.log_end());
        let mut times = Vec::new();
        for time in (900..5_000).step_by(37) {
            times.push(log.offset_for_time(TimestampMs(time)).await.unwrap());
        }
        let mut reads = Vec::new();
        for offset in (start.0..end.0).step_by(3) {
            let slice = log.read(Offset(offset), end, 400, true).await.unwrap();
            reads.push((slice.first_offset, slice.next_offset, slice.records.unwrap().read().await.unwrap()));
        }
        let largest = log.offset_of_max_timestamp().await.unwrap();
        let facts = Facts { ends: (start, end), epochs: log.epochs().text(), largest, times, reads };
        self.background_ends().await;
        facts
    }
}

/// Times go up and down a little.
fn batch(number: i64) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    for record in 0..RECORDS {
        builder.push(TimestampMs(1000 + number + (number * 7 + record * 13) % 50), None, Some(&[7; 50]), []);
    }
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

pub async fn fill(log: &Log, count: i64, epoch: LeaderEpoch) {
    let epoch = log.latest_epoch().map_or(epoch, |latest| latest.max(epoch));
    for _ in 0..count {
        log.append(&[batch(log.log_end().0 / RECORDS)], epoch).await.unwrap();
    }
}

/// The first offsets of the batches that readers get, going on behind what they are refused.
pub async fn served(log: &Log) -> Vec<i64> {
    let (mut at, end, mut served) = (log.log_start(), log.log_end(), Vec::new());
    while at < end {
        match log.read(at, end, 10_000, true).await {
            Ok(slice) => {
                let batches = split(slice.records.unwrap().read().await.unwrap()).unwrap();
                for batch in &batches {
                    batch.check_crc().unwrap();
                }
                served.extend(batches.iter().map(|batch| batch.base_offset().0));
                at = slice.next_offset;
            }
            Err(Error::Corrupt { .. }) => at = at + 1,
            Err(error) => panic!("{error}"),
        }
    }
    served
}
