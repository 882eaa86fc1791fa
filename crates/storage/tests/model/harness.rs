//! A log on a simulated disk, the model beside it, and the operations.

use bytes::Bytes;
use millstream_record::{Batch, BatchBuilder, Codec, Limits, split};
use millstream_runtime::{Disk, Fault, Random, Runtime, SeededRandom, SimDisk};
use millstream_storage::{Error, Log, LogId, Recovery};
use millstream_types::{
    ErrorKind, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicConfig, TopicId, TopicPartition,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A batch as the log must have it.
#[derive(Clone)]
struct Stored {
    base: i64,
    next: i64,
    epoch: i32,
    bytes: Bytes,
    times: Vec<i64>,
}

pub struct Harness {
    seed: u64,
    random: SeededRandom,
    disk: Arc<SimDisk>,
    runtime: Runtime,
    config: Arc<TopicConfig>,
    log: Log,
    batches: Vec<Stored>,
    start: i64,
    end: i64,
    flushed: i64,
    epoch: i32,
    clock: i64,
    done: BTreeMap<&'static str, u64>,
}

fn id() -> LogId {
    let partition =
        TopicPartition::new(TopicId("KIi5gVZMTOuxI9qTbIoNWA".parse::<TopicId>().unwrap().0), PartitionIndex(0));
    LogId { dir: PathBuf::from("data"), topic: "t".to_owned(), partition }
}

impl Harness {
    pub async fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let segment_bytes = 3000 + i32::try_from(random.below(20_000)).unwrap();
        let config = Arc::new(TopicConfig {
            segment_bytes,
            index_interval_bytes: i32::try_from(random.below(1500)).unwrap(),
            segment_index_bytes: 24 + i32::try_from(random.below(1000)).unwrap(),
            segment_ms: 500 + i64::try_from(random.below(100_000)).unwrap(),
            retention_bytes: 10_000 + i64::try_from(random.below(60_000)).unwrap(),
            retention_ms: 200_000,
            ..TopicConfig::default()
        });
        let disk = Arc::new(SimDisk::new());
        let runtime = Runtime::simulated(seed, disk.clone());
        // The data folder is there before any log, and its owner sees that it stays.
        disk.create_dir_durable(&id().dir).await.unwrap();
        let log = Log::open(runtime.clone(), id(), config.clone(), Recovery::CLEAN).await.unwrap();
        Self {
            seed,
            random,
            disk,
            runtime,
            config,
            log,
            batches: Vec::new(),
            start: 0,
            end: 0,
            flushed: 0,
            epoch: 0,
            clock: 1_000_000,
            done: BTreeMap::new(),
        }
    }

    pub fn done(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.done.iter().map(|(name, count)| (*name, *count))
    }

    /// What was done, and every file with its content.
    pub async fn trace(&self) -> String {
        let mut files = Vec::new();
        for (path, _) in self.disk.files() {
            files.push((path.clone(), self.disk.read(&path).await.unwrap()));
        }
        files.sort();
        format!("{:?} {files:?}", self.done)
    }

    fn did(&mut self, name: &'static str) {
        *self.done.entry(name).or_default() += 1;
    }

    fn below(&self, bound: i64) -> i64 {
        i64::try_from(self.random.below(bound.unsigned_abs())).unwrap()
    }

    pub async fn step(&mut self) {
        match self.random.below(100) {
            0..45 => self.append().await,
            45..48 => self.roll().await,
            48..53 => self.flush().await,
            53..80 => self.read().await,
            80..84 => self.offset_for_time().await,
            84..87 => self.truncate().await,
            87..89 => self.delete_before().await,
            89..91 => self.retain().await,
            91..93 => self.disk_full().await,
            93..95 => self.restart_clean().await,
            95..97 => self.kill().await,
            _ => self.power_cut().await,
        }
        if std::env::var_os("MODEL_TRACE").is_some() {
            println!(
                "{}..{} recovery point {} flushed {} {:?}",
                self.start,
                self.end,
                self.log.recovery_point(),
                self.flushed,
                self.done
            );
        }
        assert_eq!(
            (self.log.log_start().0, self.log.log_end().0),
            (self.start, self.end),
            "seed {}: {:?}",
            self.seed,
            self.done
        );
    }

    fn batch(&mut self) -> (Batch, Vec<i64>) {
        let codec = Codec::ALL[usize::try_from(self.random.below(5)).unwrap()];
        let mut builder = BatchBuilder::new(codec);
        let mut times = Vec::new();
        for _ in 0..1 + self.random.below(8) {
            self.clock += self.below(400);
            let time = self.clock - self.below(1000);
            let value: Vec<u8> =
                (0..self.random.below(300)).map(|_| u8::try_from(self.random.below(256)).unwrap()).collect();
            builder.push(TimestampMs(time), None, Some(&value), []);
            times.push(time);
        }
        (builder.build(Offset(0), LeaderEpoch(-1)).unwrap(), times)
    }

    async fn append(&mut self) {
        if self.random.below(20) == 0 {
            self.epoch += 1;
        }
        let made: Vec<_> = (0..1 + self.random.below(3)).map(|_| self.batch()).collect();
        let batches: Vec<Batch> = made.iter().map(|(batch, _)| batch.clone()).collect();
        let appended = self.log.append(&batches, LeaderEpoch(self.epoch)).await.unwrap();
        assert_eq!(appended.base_offset.0, self.end);
        self.note(made);
        assert_eq!(appended.next_offset.0, self.end);
        self.did("append");
    }

    fn note(&mut self, made: Vec<(Batch, Vec<i64>)>) {
        for (batch, times) in made {
            let bytes = Bytes::from(batch.placed(Offset(self.end), LeaderEpoch(self.epoch), None).concat());
            let next = self.end + i64::from(batch.record_count());
            self.batches.push(Stored { base: self.end, next, epoch: self.epoch, bytes, times });
            self.end = next;
        }
    }

    async fn roll(&mut self) {
        self.log.roll().await.unwrap();
        self.did("roll");
    }

    async fn flush(&mut self) {
        self.log.flush().await.unwrap();
        if self.random.below(2) == 0 {
            self.log.checkpoint().await.unwrap();
        }
        self.flushed = self.end;
        assert_eq!(self.log.unflushed_records(), 0);
    }

    async fn read(&mut self) {
        let from = self.start - 1 + self.below(self.end - self.start + 3);
        let below = self.start + self.below(self.end - self.start + 1);
        let below = if self.random.below(2) == 0 { self.end } else { below };
        let max_bytes = usize::try_from(self.random.below(8000)).unwrap();
        self.read_once(from, below, max_bytes, self.random.below(2) == 0).await;
        self.did("read");
    }

    async fn read_once(&self, from: i64, below: i64, max_bytes: usize, at_least_one: bool) -> i64 {
        let context = || {
            format!(
                "seed {}: read {from} below {below} max {max_bytes} {at_least_one} of {}..{}",
                self.seed, self.start, self.end
            )
        };
        let result = self.log.read(Offset(from), Offset(below), max_bytes, at_least_one).await;
        if from < self.start || from > self.end {
            assert!(matches!(result, Err(Error::OutOfRange { .. })), "{}: {result:?}", context());
            return from;
        }
        let slice = result.unwrap_or_else(|error| panic!("{}: {error}", context()));
        let visible: Vec<&Stored> =
            self.batches.iter().filter(|batch| batch.next > from && batch.next <= below).collect();
        let first_fits =
            visible.first().is_some_and(|first| from < below && (at_least_one || first.bytes.len() <= max_bytes));
        if !first_fits {
            assert!(slice.is_empty(), "{}: {slice:?}", context());
            return from;
        }
        let bytes = slice.records.as_ref().unwrap().read().await.unwrap();
        let batches = split(bytes.clone()).unwrap();
        assert_eq!(batches.iter().map(Batch::size).sum::<usize>(), bytes.len(), "{}: not whole batches", context());
        assert_eq!(slice.first_offset.0, visible[0].base, "{}", context());
        for (read, wanted) in batches.iter().zip(&visible) {
            assert_eq!(read.bytes(), &wanted.bytes, "{}", context());
        }
        assert!(
            batches.len() <= visible.len() && bytes.len() <= max_bytes.max(visible[0].bytes.len()),
            "{}",
            context()
        );
        assert_eq!(slice.next_offset.0, visible[batches.len() - 1].next, "{}", context());
        if let Some(more) = visible.get(batches.len()) {
            let is_segment = self.log.closed_segments().await.unwrap().iter().any(|closed| closed.next.0 == more.base);
            assert!(
                is_segment || bytes.len() + more.bytes.len() > max_bytes,
                "{}: a batch that fits was left out",
                context()
            );
        }
        slice.next_offset.0
    }

    async fn offset_for_time(&mut self) {
        let time = self.clock - self.below(50_000);
        let found = self.log.offset_for_time(TimestampMs(time)).await.unwrap();
        let wanted = self.records().find(|(offset, at)| *offset >= self.start && *at >= time);
        assert_eq!(found.map(|(offset, at)| (offset.0, at.0)), wanted, "seed {}: time {time}", self.seed);
        // Records below the start that are still in its segment may count: the batch is what the log knows.
        let largest = self.log.offset_of_max_timestamp().await.unwrap();
        let live = self.records().filter(|(offset, _)| *offset >= self.start).map(|(_, at)| at).max();
        assert!(largest.map(|(_, at)| at.0) >= live, "seed {}: largest {largest:?}, model {live:?}", self.seed);
        self.did("offset for time");
    }

    fn records(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.batches.iter().flat_map(|batch| (batch.base..).zip(batch.times.iter().copied()))
    }

    async fn truncate(&mut self) {
        let to = self.start + self.below(self.end - self.start + 1);
        let end = self.log.truncate_to(Offset(to)).await.unwrap().0;
        let kept = self.batches.iter().take_while(|batch| batch.next <= to).count();
        let wanted = self.batches.get(kept).map_or(to, |cut| cut.base.min(to)).max(self.start);
        assert_eq!(end, wanted, "seed {}: truncated to {to}", self.seed);
        self.batches.truncate(kept);
        self.end = end;
        self.flushed = self.flushed.min(end);
        self.did("truncate");
    }

    async fn delete_before(&mut self) {
        let to = self.start + self.below(self.end - self.start + 1);
        self.log.delete_before(Offset(to)).await.unwrap();
        self.start = to;
        assert!(self.log.delete_before(Offset(self.end + 1)).await.is_err());
        self.forget();
        self.did("delete before");
    }

    fn forget(&mut self) {
        let start = self.start;
        self.batches.retain(|batch| batch.next > start);
    }

    async fn retain(&mut self) {
        let below = self.end - self.below(20).min(self.end - self.start);
        let went = self.log.retain(TimestampMs(self.clock), Offset(below)).await.unwrap();
        let start = self.log.log_start().0;
        assert!(start >= self.start && start <= below.max(self.start), "seed {}", self.seed);
        if went > 0 && start > self.start {
            self.start = start;
            self.did("retain");
        }
        self.forget();
    }

    async fn disk_full(&mut self) {
        self.disk.set_fault(Some(Fault::Full));
        let batch = self.batch();
        let error = self.log.append(&[batch.0.clone(), batch.0], LeaderEpoch(self.epoch)).await.unwrap_err();
        self.disk.set_fault(None);
        // What works behind a roll may meet the full disk first: the log is offline then.
        let is_offline = self.log.failure().is_some();
        let expected = if is_offline { ErrorKind::Unavailable } else { ErrorKind::Exhausted };
        assert_eq!(error.kind(), expected, "seed {}: {error}", self.seed);
        if is_offline {
            assert!(self.log.disk_takes_writes().await, "seed {}", self.seed);
            self.log.retire().await;
            self.reopen(Recovery::KILLED).await;
            self.log.write_again().await.unwrap();
            self.flushed = self.end;
            self.did("came back");
        }
        self.did("disk full");
        self.append().await;
    }

    async fn reopen(&mut self, recovery: Recovery) {
        assert!(self.runtime.tasks.stop_and_wait(Duration::from_secs(10)).await);
        self.runtime = Runtime::simulated(self.seed, self.disk.clone());
        let log = Log::open(self.runtime.clone(), id(), self.config.clone(), recovery).await;
        self.log = log.unwrap_or_else(|error| panic!("seed {}: {recovery:?}: {error}", self.seed));
    }

    async fn restart_clean(&mut self) {
        self.log.close(None).await.unwrap();
        self.reopen(Recovery::CLEAN).await;
        assert_eq!(self.log.opening().segments_checked, 0, "seed {}: a clean start scans nothing", self.seed);
        self.flushed = self.end;
        self.did("clean restart");
    }

    /// The process dies, the page cache survives: nothing is lost.
    async fn kill(&mut self) {
        self.reopen(Recovery::KILLED).await;
        assert_eq!(self.log.opening().bytes_cut, 0);
        self.did("kill");
    }

    /// What was not synced may go, from some point on; nothing else.
    async fn power_cut(&mut self) {
        assert!(self.runtime.tasks.stop_and_wait(Duration::from_secs(10)).await);
        let synced = self.log.recovery_point().0.min(self.end).max(self.flushed);
        let random = &self.random;
        self.disk.crash(|bound| random.below(bound.saturating_add(1)).min(bound));
        self.reopen(Recovery::POWER_LOST).await;
        let end = self.log.log_end().0;
        assert!(
            end >= synced.max(self.start) && end <= self.end,
            "seed {}: {end} after a power cut, {synced} were synced of {}",
            self.seed,
            self.end
        );
        assert!(
            end == self.start || self.batches.iter().any(|batch| batch.next == end),
            "seed {}: {end} is within a batch",
            self.seed
        );
        if end < self.end {
            self.did("power cut lost");
        }
        self.batches.retain(|batch| batch.next <= end);
        (self.end, self.flushed) = (end, synced.min(end));
        self.did("power cut");
        self.check_all().await;
    }

    /// Everything, from start to end; and what survives beside the records.
    pub async fn check_all(&mut self) {
        let mut from = self.start;
        while from < self.end {
            let next = self.read_once(from, self.end, 1 << 20, true).await;
            assert!(next > from, "seed {}: no progress at {from}", self.seed);
            from = next;
            self.did("read across");
        }
        let epochs = self.log.epochs();
        for batch in &self.batches {
            let at = epochs.at(Offset(batch.base.max(self.start)));
            assert_eq!(at, Some(LeaderEpoch(batch.epoch)), "seed {}: epoch at {}", self.seed, batch.base);
            let read = split(batch.bytes.clone()).unwrap()[0].records(&Limits::default()).unwrap();
            assert_eq!(read.timestamps, batch.times);
        }
    }
}
