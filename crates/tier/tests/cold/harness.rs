//! A log, an object store that can fail, and cold storage over both.

use crate::faulty::{Faults, Faulty};
use bytes::Bytes;
use millstream_record::{BatchBuilder, Codec, split};
use millstream_runtime::{Runtime, SeededRandom};
use millstream_storage::{Log, LogId, Recovery};
use millstream_telemetry::Metrics;
use millstream_tier::{Config, LogSource, Tier, TierStore, TopicDescription};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicConfig, TopicId, TopicPartition};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

pub const TOPIC: &str = "orders";

pub fn id() -> TopicPartition {
    TopicPartition::new(TopicId(Uuid::from_u128(7)), PartitionIndex(0))
}

pub struct Harness {
    pub runtime: Runtime,
    pub dir: TempDir,
    pub store: Arc<dyn ObjectStore>,
    pub faults: Arc<Faults>,
    pub source: LogSource,
    pub tier: Tier,
    pub options: BTreeMap<String, String>,
}

pub fn config(dir: &std::path::Path) -> Config {
    let mut config = Config::new(dir.join("cache"));
    config.chunk_bytes = 2_000;
    config.read_bytes_max = 8_000;
    config.backoff_min = Duration::from_millis(1);
    config.backoff_max = Duration::from_millis(4);
    config
}

impl Harness {
    pub async fn new(options: &[(&str, &str)]) -> Self {
        Self::over(Arc::new(InMemory::new()), options).await
    }

    /// Over a folder, as most people have it.
    pub async fn in_folder(options: &[(&str, &str)]) -> Self {
        let mut harness = Self::new(options).await;
        let folder = harness.dir.path().join("cold");
        std::fs::create_dir_all(&folder).unwrap();
        harness.store = Arc::new(LocalFileSystem::new_with_prefix(&folder).unwrap());
        harness.tier = harness.new_tier("cache");
        harness
    }

    async fn over(store: Arc<dyn ObjectStore>, options: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime { random: Arc::new(SeededRandom::new(3)), ..Runtime::real() };
        let defaults = [("remote.storage.enable", "true"), ("index.interval.bytes", "512"), ("retention.ms", "-1")];
        let options: BTreeMap<String, String> =
            defaults.iter().chain(options).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let log = open(&runtime, dir.path(), &options, Recovery::CLEAN).await;
        let topic =
            TopicDescription { name: TOPIC.to_owned(), id: id().topic, partitions: 1, configs: options.clone() };
        let faults = Arc::new(Faults::default());
        let tier = tier(&runtime, &store, &faults, config(dir.path()));
        Self { runtime, dir, store, faults, source: LogSource { log, topic }, tier, options }
    }

    /// Another node's cold storage over the same store.
    pub fn new_tier(&self, cache: &str) -> Tier {
        let config = Config { cache_dir: self.dir.path().join(cache), ..config(self.dir.path()) };
        tier(&self.runtime, &self.store, &self.faults, config)
    }

    /// Appends `batches` of three records of about 250 bytes each; the records' timestamps are their offsets in seconds.
    pub async fn append(&self, batches: usize, epoch: i32) {
        for _ in 0..batches {
            let base = self.source.log.log_end();
            let mut builder = BatchBuilder::new(Codec::None);
            for record in 0..3 {
                let offset = base + record;
                let value = format!("{offset}-{}", "x".repeat(75));
                builder.push(TimestampMs(offset.0 * 1_000), Some(b"key"), Some(value.as_bytes()), []);
            }
            let batch = builder.build(Offset(0), LeaderEpoch(0)).unwrap();
            self.source.log.append(&[batch], LeaderEpoch(epoch)).await.unwrap();
        }
    }

    /// Appends segments of `batches` batches each, all closed.
    pub async fn segments(&self, segments: usize, batches: usize) {
        for _ in 0..segments {
            self.append(batches, 0).await;
            self.source.log.roll().await.unwrap();
        }
    }

    /// The whole local log as bytes.
    pub async fn local(&self) -> Vec<u8> {
        let log = &self.source.log;
        let (mut from, mut out) = (log.local_start(), Vec::new());
        while from < log.log_end() {
            let slice = log.read(from, log.log_end(), 1 << 20, true).await.unwrap();
            out.extend_from_slice(&slice.records.unwrap().read().await.unwrap());
            from = slice.next_offset;
        }
        out
    }

    /// The names of all objects that contain `text`.
    pub async fn objects(&self, text: &str) -> Vec<Path> {
        use futures::TryStreamExt;
        let all: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let mut names: Vec<Path> =
            all.into_iter().map(|object| object.location).filter(|name| name.as_ref().contains(text)).collect();
        names.sort();
        names
    }

    /// Changes one byte of the only object whose name contains `text`.
    pub async fn damage(&self, text: &str) -> Path {
        let [name] = self.objects(text).await.try_into().expect("one object");
        let mut bytes = self.store.get(&name).await.unwrap().bytes().await.unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        self.store.put(&name, bytes.into()).await.unwrap();
        name
    }
}

pub async fn open(
    runtime: &Runtime,
    dir: &std::path::Path,
    options: &BTreeMap<String, String>,
    recovery: Recovery,
) -> Log {
    let log_id = LogId { dir: dir.to_owned(), topic: TOPIC.to_owned(), partition: id() };
    let config = Arc::new(TopicConfig::parse(options).unwrap());
    Log::open(runtime.clone(), log_id, config, recovery).await.unwrap()
}

pub fn tier(runtime: &Runtime, store: &Arc<dyn ObjectStore>, faults: &Arc<Faults>, config: Config) -> Tier {
    let faulty = Faulty { inner: store.clone(), faults: faults.clone() };
    let store = TierStore::new(Arc::new(faulty), "the test's store", Path::from("cluster/one"));
    Tier::new(runtime.clone(), &Metrics::new(), store, config)
}

/// Everything cold from `from` on, read `max_bytes` at a time as a fetcher does.
pub async fn read_all(tier: &Tier, from: Offset, max_bytes: usize) -> Vec<u8> {
    let (mut from, mut out) = (from, Vec::new());
    while let Some(records) = tier.read(id(), from, max_bytes).await.unwrap() {
        let batches = split(records.clone()).unwrap();
        assert_eq!(batches.iter().map(|batch| batch.size()).sum::<usize>(), records.len(), "only whole batches");
        assert!(batches[0].next_offset() > from, "the first batch has the offset, or follows it");
        assert!(records.len() <= max_bytes || batches.len() == 1);
        from = batches.last().unwrap().next_offset();
        out.extend_from_slice(&records);
    }
    out
}

/// The first offset of what a read gives.
pub fn first_offset(records: Option<Bytes>) -> Option<i64> {
    Some(split(records?).unwrap()[0].base_offset().0)
}
