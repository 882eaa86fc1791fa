//! The port to a partition's local log: what cold storage reads of it, and what it may tell it to drop.

use crate::error::Error;
use crate::manifest::TopicDescription;
use async_trait::async_trait;
use millstream_storage::{ClosedSegment, Epochs, Log};
use millstream_types::{LeaderEpoch, Offset, TopicConfig, TopicPartition};
use std::sync::Arc;

/// A partition that this node leads.
#[async_trait]
pub trait SegmentSource: Send + Sync {
    /// The topic, as it can be made again.
    fn topic(&self) -> TopicDescription;

    /// Which partition.
    fn partition(&self) -> TopicPartition;

    /// The epoch in which this node leads it.
    fn leader_epoch(&self) -> LeaderEpoch;

    /// Whether the quorum still says that this node leads in that epoch. Asked before anything is deleted, here or there.
    async fn still_leads(&self) -> bool;

    /// The topic's options.
    fn config(&self) -> Arc<TopicConfig>;

    /// Segments that end at or below may be copied: the last stable offset.
    fn stable_end(&self) -> Offset;

    /// The first offset that can be read, cold or here.
    fn log_start(&self) -> Offset;

    /// The offset the next record gets.
    fn log_end(&self) -> Offset;

    /// Bytes on local disk.
    fn local_bytes(&self) -> u64;

    /// The log's leader epochs.
    fn epochs(&self) -> Epochs;

    /// The segments that take no more records, oldest first.
    async fn closed_segments(&self) -> Result<Vec<ClosedSegment>, Error>;

    /// Notes that everything below `offset` is cold.
    fn set_tiered_to(&self, offset: Offset);

    /// Deletes local segments wholly below `offset`, which are cold. Returns how many went.
    async fn delete_local_before(&self, offset: Offset) -> Result<usize, Error>;

    /// Moves the log's start, since what is below is about to be deleted from the store.
    async fn start_at(&self, start: Offset) -> Result<(), Error>;
}

/// A log alone as a source: everything in it is stable, and who holds it leads.
#[derive(Clone)]
pub struct LogSource {
    /// The log.
    pub log: Log,
    /// Its topic.
    pub topic: TopicDescription,
}

impl LogSource {
    fn name(&self) -> String {
        millstream_storage::folder_name(&self.topic.name, self.log.id().partition.partition)
    }
}

#[async_trait]
impl SegmentSource for LogSource {
    fn topic(&self) -> TopicDescription {
        self.topic.clone()
    }

    fn partition(&self) -> TopicPartition {
        self.log.id().partition
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        self.log.latest_epoch().unwrap_or(LeaderEpoch::FIRST)
    }

    async fn still_leads(&self) -> bool {
        true
    }

    fn config(&self) -> Arc<TopicConfig> {
        self.log.config()
    }

    fn stable_end(&self) -> Offset {
        self.log.log_end()
    }

    fn log_start(&self) -> Offset {
        self.log.log_start()
    }

    fn log_end(&self) -> Offset {
        self.log.log_end()
    }

    fn local_bytes(&self) -> u64 {
        self.log.size()
    }

    fn epochs(&self) -> Epochs {
        self.log.epochs()
    }

    async fn closed_segments(&self) -> Result<Vec<ClosedSegment>, Error> {
        self.log.closed_segments().await.map_err(|error| Error::storage(&self.name(), &error))
    }

    fn set_tiered_to(&self, _: Offset) {}

    async fn delete_local_before(&self, offset: Offset) -> Result<usize, Error> {
        self.log.delete_local_before(offset).await.map_err(|error| Error::storage(&self.name(), &error))
    }

    async fn start_at(&self, start: Offset) -> Result<(), Error> {
        self.log.delete_before(start).await.map_err(|error| Error::storage(&self.name(), &error))?;
        Ok(())
    }
}
