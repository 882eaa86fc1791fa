//! Cold storage over this node: closed segments of topics with remote storage are copied in rounds, and read where they are.

mod port;
mod source;

use crate::{Error, Settings};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_metadata::{Image, Topic};
use millstream_partition::{ColdError, ColdReader, OffsetAt, PartitionHandle, Partitions};
use millstream_quorum::Handle as Quorum;
use millstream_runtime::Runtime;
use millstream_telemetry::Metrics;
use millstream_tier::{Config, Error as TierError, RecoveredPartition, Tier, TierStore};
#[cfg(feature = "sql")]
use millstream_tier::{Manifest, Segment};
use millstream_types::{Offset, TimestampMs, TopicId, TopicPartition};
use source::PartitionSource;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The folder of what was read from the store, within the data folder.
const CACHE_FOLDER: &str = "cold-cache";
/// How long a start waits for the manifests of what is cold; a store that is away is tried again afterwards.
const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// The cold side of the node.
#[derive(Clone)]
pub struct Cold {
    tier: Tier,
    runtime: Runtime,
    interval: Duration,
}

impl Cold {
    /// Opens the store that the settings name. It is not asked for anything yet.
    pub fn open(runtime: &Runtime, metrics: &Metrics, settings: &Settings) -> Result<Self, Error> {
        let failed = |error: TierError| Error::Part { what: "cold storage", reason: error.to_string() };
        let store = TierStore::from_url(&settings.tier_url, &settings.tier_store).map_err(failed)?;
        let mut config = Config::new(settings.data_dir.join(CACHE_FOLDER));
        config.cache_bytes_max = settings.tier_cache_bytes;
        let tier = Tier::new(runtime.clone(), metrics, store, config);
        Ok(Self { tier, runtime: runtime.clone(), interval: settings.tier_interval })
    }

    /// The partitions' way to what is cold.
    pub fn reader(&self) -> Arc<dyn ColdReader> {
        Arc::new(self.clone())
    }

    /// Reads what the store has of the image's topics, so that logs that begin in the store are opened with their true start.
    pub async fn load(&self, image: &Image) {
        let wanted = remote(image);
        let loads = wanted.iter().map(|(id, name)| async move {
            if let Err(error) = self.tier.load(name, *id).await {
                tracing::warn!(topic = %name, partition = id.partition.0, %error, "cold offsets can't be read yet; it is tried again");
            }
        });
        tokio::select! {
            biased;
            _ = futures::future::join_all(loads) => {}
            () = self.runtime.clock.sleep(LOAD_LIMIT) => {}
        }
    }

    /// Begins logs where the store ends that are empty though the store has records of them: their folders were lost. They would give the
    /// store's offsets to other records. To be called before anybody writes.
    ///
    /// # Errors
    /// The store's and the disk's, with the partition's name.
    pub async fn restore_lost(&self, partitions: &Partitions) -> Result<(), Error> {
        for handle in partitions.all().into_iter().filter(|handle| handle.config().remote_storage_enable) {
            let is_cold = self.tier.log_end(handle.id()).is_some_and(|end| end > Offset::ZERO);
            if !is_cold || handle.bounds().log_end > Offset::ZERO {
                continue;
            }
            let folder = handle.folder().display().to_string();
            let failed = |reason: String| Error::Part { what: "cold storage", reason: format!("{folder}: {reason}") };
            let recovered = self.tier.recover_one(handle.topic(), handle.id()).await;
            let recovered = recovered.map_err(|error| failed(error.to_string()))?;
            let begun = begin_where_the_store_ends(&handle, &recovered).await;
            begun.map_err(|error| failed(error.to_string()))?;
            tracing::warn!(
                folder,
                start = recovered.log_start.0,
                end = recovered.end.0,
                "a log was lost: it goes on where the object store ends"
            );
        }
        Ok(())
    }

    /// Copies, drops and deletes in rounds until the node stops.
    pub fn follow(&self, quorum: &Quorum, partitions: &Partitions) {
        let (cold, quorum, partitions) = (self.clone(), quorum.clone(), partitions.clone());
        self.runtime.tasks.spawn_until_stopped("cold storage", async move {
            // Of topics whose remote storage was turned off, nobody knows whether all of it is gone.
            let off =
                |topic: &&Arc<Topic>| topic.config.remote_log_delete_on_disable && !topic.config.remote_storage_enable;
            let mut known: BTreeMap<TopicId, String> = named(quorum.image().topics().filter(off));
            loop {
                cold.round(&quorum, &partitions).await;
                cold.forget(&quorum.image(), &partitions, &mut known).await;
                cold.runtime.clock.sleep(cold.interval).await;
            }
        });
    }

    async fn round(&self, quorum: &Quorum, partitions: &Partitions) {
        for handle in partitions
            .all()
            .into_iter()
            .filter(|handle| handle.config().remote_storage_enable && handle.bounds().is_leader)
        {
            // The tier notes what failed, waits, and shows it in its status.
            if let Err(error) = self.tier.tend(&self.source(quorum, &handle)).await {
                tracing::warn!(partition = %handle.folder().display(), %error, "cold storage is behind; it is tried again");
            }
        }
    }

    /// Deletes from the store what belongs to topics that were deleted while this node ran, or whose remote storage was turned off.
    async fn forget(&self, image: &Image, partitions: &Partitions, known: &mut BTreeMap<TopicId, String>) {
        let is_off = |id: &TopicId| image.topic(*id).is_none_or(|topic| !topic.config.remote_storage_enable);
        let gone: Vec<(TopicId, String)> =
            known.iter().filter(|(id, _)| is_off(id)).map(|(id, name)| (*id, name.clone())).collect();
        for (id, name) in gone {
            match self.leave(id, &name, partitions).await {
                Ok(true) => drop(known.remove(&id)),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(topic = %name, %error, "objects of a topic that is cold no more are still in the store; it is tried again")
                }
            }
        }
        known.extend(named(image.topics().filter(|topic| topic.config.remote_storage_enable)));
    }

    /// Begins a topic's logs with what is local, and deletes what is in the store; not before all of its logs know that they are cold no more.
    async fn leave(&self, id: TopicId, name: &str, partitions: &Partitions) -> Result<bool, Error> {
        let logs: Vec<PartitionHandle> =
            partitions.all().into_iter().filter(|handle| handle.id().topic == id).collect();
        if logs.iter().any(|handle| handle.config().remote_storage_enable) {
            return Ok(false);
        }
        let failed = |reason: String| Error::Part { what: "cold storage", reason };
        for handle in logs {
            handle.leave_store().await.map_err(|error| failed(error.to_string()))?;
        }
        self.tier.delete_topic(name, id).await.map_err(|error| failed(error.to_string()))?;
        Ok(true)
    }

    /// What the store has of a partition; none where nothing is known of it.
    #[cfg(feature = "sql")]
    pub fn manifest(&self, partition: TopicPartition) -> Option<Arc<Manifest>> {
        self.tier.manifest(partition)
    }

    /// The object that holds the log of a partition's segment.
    #[cfg(feature = "sql")]
    pub fn log_object(&self, partition: TopicPartition, segment: &Segment) -> Option<String> {
        self.tier.log_object(partition, segment)
    }

    fn source(&self, quorum: &Quorum, handle: &PartitionHandle) -> PartitionSource {
        PartitionSource { handle: handle.clone(), quorum: quorum.clone() }
    }
}

/// Puts an empty log where the store's ends.
async fn begin_where_the_store_ends(
    handle: &PartitionHandle,
    recovered: &RecoveredPartition,
) -> Result<(), millstream_storage::Error> {
    handle.log().restore(recovered.log_start, recovered.end, &recovered.epochs).await?;
    for (base, content) in &recovered.aborted {
        handle.log().restore_aborted(*base, content.clone()).await?;
    }
    if let Some(snapshot) = &recovered.producer_snapshot {
        handle.log().write_producer_snapshot(recovered.end, snapshot.clone()).await?;
    }
    handle.reload().await
}

/// Topics by id, with their names.
fn named<'a>(topics: impl Iterator<Item = &'a Arc<Topic>>) -> BTreeMap<TopicId, String> {
    topics.map(|topic| (topic.id, topic.name.to_string())).collect()
}

/// The partitions of topics with remote storage, with their topics' names.
fn remote(image: &Image) -> Vec<(TopicPartition, Arc<str>)> {
    let topics = image.topics().filter(|topic| topic.config.remote_storage_enable);
    topics
        .flat_map(|topic| {
            topic.partitions().map(|(index, _)| (TopicPartition::new(topic.id, index), topic.name.clone()))
        })
        .collect()
}

fn cold_error(error: &TierError) -> ColdError {
    ColdError { kind: error.kind(), message: error.to_string() }
}

#[async_trait]
impl ColdReader for Cold {
    async fn read(
        &self,
        partition: TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, ColdError> {
        self.tier.read(partition, from, max_bytes).await.map_err(|error| cold_error(&error))
    }

    fn log_start(&self, partition: TopicPartition) -> Option<Offset> {
        self.tier.log_start(partition)
    }

    async fn offset_for_time(
        &self,
        partition: TopicPartition,
        time: TimestampMs,
    ) -> Result<Option<OffsetAt>, ColdError> {
        let found = self.tier.offset_for_time(partition, time).await.map_err(|error| cold_error(&error))?;
        Ok(found.map(|found| OffsetAt {
            offset: found.offset,
            timestamp: found.timestamp,
            leader_epoch: found.leader_epoch,
        }))
    }
}
