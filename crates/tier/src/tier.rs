//! The handle of cold storage, and what its parts share.

use crate::cache::Cache;
use crate::chunks::ChunkIndex;
use crate::config::Config;
use crate::error::Error;
use crate::layout::Kind;
use crate::lru::Lru;
use crate::manifest::{Manifest, Segment, TopicDescription};
use crate::state::{Partition, PartitionStatus};
use crate::stats::{Counters, Stats};
use crate::store::{Counted, TierStore};
use millstream_runtime::Runtime;
use millstream_telemetry::catalogue::{
    TIER_CACHE, TIER_FETCH_ERRORS, TIER_FETCHED, TIER_LAG, TIER_UPLOAD_ERRORS, TIER_UPLOADED,
};
use millstream_telemetry::{Gauge, Metrics};
use millstream_types::{Offset, TopicId, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

/// Locks by which readers of the same place share one request. Different places may share a lock: they only wait.
const TURNS: usize = 64;

/// Cold storage. Clones are the same.
#[derive(Clone)]
pub struct Tier(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub runtime: Runtime,
    pub config: Config,
    pub store: Counted,
    pub cache: Cache,
    pub indexes: Mutex<Lru<Uuid, Arc<ChunkIndex>>>,
    pub partitions: Mutex<BTreeMap<TopicPartition, Arc<Partition>>>,
    /// Topics as their last manifest has them.
    pub topics: Mutex<BTreeMap<TopicId, TopicDescription>>,
    pub uploads: Semaphore,
    reads: Semaphore,
    turns: Vec<tokio::sync::Mutex<()>>,
    pub instruments: Instruments,
}

impl Tier {
    /// Cold storage in `store`. Nothing is asked of the store yet.
    #[must_use]
    pub fn new(runtime: Runtime, metrics: &Metrics, store: TierStore, config: Config) -> Self {
        let disk = runtime.disk.clone();
        Self(Arc::new(Shared {
            cache: Cache::new(disk.clone(), config.cache_dir.clone(), config.cache_bytes_max),
            indexes: Mutex::new(Lru::new(config.index_bytes_max)),
            partitions: Mutex::default(),
            topics: Mutex::default(),
            uploads: Semaphore::new(config.uploads_in_all_max.max(1)),
            reads: Semaphore::new(config.reads_max.max(1)),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect(),
            instruments: Instruments { metrics: metrics.clone(), cache: metrics.gauge(&TIER_CACHE, &[]) },
            store: Counted { store, counters: Counters::new(metrics), disk },
            config,
            runtime,
        }))
    }

    /// Makes a partition known by its topic's name, so that it can be read. Its manifest is read when it is first needed: by the first
    /// read, or the next round, and again after a failure. Nothing happens where it is known.
    pub fn register(&self, topic: &str, partition: TopicPartition) {
        self.0.register(topic, partition);
    }

    /// Registers a partition and reads its manifest, unless that was read before. An empty one has number 0.
    ///
    /// # Errors
    /// The store's; [`Error::Corrupt`] and [`Error::NewerFormat`] name the manifest.
    pub async fn load(&self, topic: &str, partition: TopicPartition) -> Result<Arc<Manifest>, Error> {
        let partition = self.0.register(topic, partition);
        let outcome = self.0.manifest(&partition).await;
        if let Err(error) = &outcome {
            let limits = (self.0.config.backoff_min, self.0.config.backoff_max);
            partition.failed(error, self.0.runtime.clock.elapsed(), limits);
        }
        outcome
    }

    /// Forgets a partition that is no longer here. Its objects stay.
    pub fn forget(&self, partition: TopicPartition) {
        self.0.partitions.lock().remove(&partition);
    }

    /// The first cold offset; none where nothing of the partition is cold, or its manifest has not been read. From memory.
    #[must_use]
    pub fn log_start(&self, partition: TopicPartition) -> Option<Offset> {
        self.0.partition(partition)?.manifest()?.start()
    }

    /// The offset after the last cold one, as [`Tier::log_start`] has the first.
    #[must_use]
    pub fn log_end(&self, partition: TopicPartition) -> Option<Offset> {
        self.0.partition(partition)?.manifest()?.end()
    }

    /// The manifest as it is known; none where it has not been read.
    #[must_use]
    pub fn manifest(&self, partition: TopicPartition) -> Option<Arc<Manifest>> {
        self.0.partition(partition)?.manifest()
    }

    /// The full name of the object in the store that holds the log of a partition's `segment`; none for a partition that is not
    /// registered, or a segment of another.
    #[must_use]
    pub fn log_object(&self, partition: TopicPartition, segment: &Segment) -> Option<String> {
        let partition = self.0.partition(partition)?;
        let log = segment.object(Kind::Log)?;
        Some(self.0.object_path(&partition, &log.name).to_string())
    }

    /// The cold side of every registered partition, by topic id and partition.
    #[must_use]
    pub fn status(&self) -> Vec<PartitionStatus> {
        self.0.partitions.lock().values().map(|partition| partition.status()).collect()
    }

    /// The cold side of one partition; none where it is not registered.
    #[must_use]
    pub fn status_of(&self, partition: TopicPartition) -> Option<PartitionStatus> {
        self.0.partition(partition).map(|partition| partition.status())
    }

    /// What was asked of the store since the process began.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.store.counters.stats()
    }

    /// What the store is called.
    #[must_use]
    pub fn store_name(&self) -> &str {
        self.0.store.store.name()
    }
}

impl Shared {
    pub fn register(&self, topic: &str, id: TopicPartition) -> Arc<Partition> {
        self.partitions.lock().entry(id).or_insert_with(|| Arc::new(Partition::new(topic, id))).clone()
    }

    pub fn partition(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        self.partitions.lock().get(&id).cloned()
    }

    /// Notes how a round ended, for its status and the wait before the next.
    pub fn note<T>(&self, partition: &Partition, outcome: &Result<T, Error>) {
        match outcome {
            Ok(_) => partition.succeeded(),
            Err(error) => {
                let limits = (self.config.backoff_min, self.config.backoff_max);
                partition.failed(error, self.runtime.clock.elapsed(), limits);
            }
        }
    }

    /// A turn among those who fetch the same.
    pub fn turn(&self, segment: u128, group: usize) -> &tokio::sync::Mutex<()> {
        let mixed = segment.wrapping_add(group as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let turn = usize::try_from(mixed >> 100).unwrap_or(0) % TURNS;
        &self.turns[turn]
    }

    /// Leave to ask the store for cold data.
    pub async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.reads.acquire().await.ok()
    }
}

/// The metrics of cold storage.
pub(crate) struct Instruments {
    metrics: Metrics,
    pub cache: Gauge,
}

impl Instruments {
    pub fn uploaded(&self, topic: &str, bytes: u64) {
        self.metrics.counter(&TIER_UPLOADED, &[topic]).add(bytes);
    }

    pub fn upload_failed(&self, topic: &str) {
        self.metrics.counter(&TIER_UPLOAD_ERRORS, &[topic]).inc();
    }

    pub fn fetched(&self, topic: &str, bytes: usize) {
        self.metrics.counter(&TIER_FETCHED, &[topic]).add(bytes as u64);
    }

    pub fn fetch_failed(&self, topic: &str) {
        self.metrics.counter(&TIER_FETCH_ERRORS, &[topic]).inc();
    }

    pub fn waiting(&self, topic: &str, bytes: u64) {
        self.metrics.gauge(&TIER_LAG, &[topic]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SegmentSource;
    use millstream_types::TimestampMs;

    /// What callers put behind ports and into tasks must be sendable: this compiles or it does not.
    fn sendable<T: Send>(_: T) {}

    #[expect(dead_code, reason = "it is checked by being compiled")]
    fn futures_can_be_sent(tier: &Tier, id: TopicPartition, source: &dyn SegmentSource) {
        sendable(tier.read(id, Offset(0), 1));
        sendable(tier.offset_for_time(id, TimestampMs(0)));
        sendable(tier.load("t", id));
        sendable(tier.tend(source));
        sendable(tier.offload(source));
        sendable(tier.drop_local(source));
        sendable(tier.recover("t"));
        sendable(tier.delete_topic("t", id.topic));
    }
}
