//! A led partition as cold storage sees it.

use async_trait::async_trait;
use millstream_partition::{Error as PartitionError, PartitionHandle};
use millstream_quorum::Handle as Quorum;
use millstream_storage::{ClosedSegment, Epochs};
use millstream_tier::{Error, SegmentSource, TopicDescription};
use millstream_types::{LeaderEpoch, Offset, TopicConfig, TopicPartition};
use std::sync::Arc;

/// A partition that this node leads.
pub struct PartitionSource {
    /// The partition.
    pub handle: PartitionHandle,
    /// Says who leads.
    pub quorum: Quorum,
}

impl PartitionSource {
    fn failed(&self, error: &PartitionError) -> Error {
        Error::Source {
            partition: self.handle.folder().display().to_string(),
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

#[async_trait]
impl SegmentSource for PartitionSource {
    fn topic(&self) -> TopicDescription {
        let id = self.handle.id().topic;
        let image = self.quorum.image();
        let topic = image.topic(id);
        TopicDescription {
            name: self.handle.topic().to_owned(),
            id,
            partitions: topic.and_then(|topic| i32::try_from(topic.partitions.len()).ok()).unwrap_or(0),
            configs: topic.map(|topic| topic.overrides.clone()).unwrap_or_default(),
        }
    }

    fn partition(&self) -> TopicPartition {
        self.handle.id()
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        self.handle.bounds().leader_epoch
    }

    async fn still_leads(&self) -> bool {
        let image = self.quorum.image();
        let state = image.partition(self.handle.id());
        state.is_some_and(|state| state.leader == self.quorum.node_id() && state.leader_epoch == self.leader_epoch())
    }

    fn config(&self) -> Arc<TopicConfig> {
        self.handle.config()
    }

    fn stable_end(&self) -> Offset {
        self.handle.bounds().last_stable
    }

    fn log_start(&self) -> Offset {
        self.handle.bounds().log_start
    }

    fn log_end(&self) -> Offset {
        self.handle.bounds().log_end
    }

    fn local_bytes(&self) -> u64 {
        self.handle.size()
    }

    fn epochs(&self) -> Epochs {
        self.handle.epochs()
    }

    async fn closed_segments(&self) -> Result<Vec<ClosedSegment>, Error> {
        self.handle.closed_segments().await.map_err(|error| self.failed(&error))
    }

    fn set_tiered_to(&self, offset: Offset) {
        self.handle.set_tiered_to(offset);
    }

    async fn delete_local_before(&self, offset: Offset) -> Result<usize, Error> {
        self.handle.delete_local_before(offset).await.map_err(|error| self.failed(&error))
    }

    async fn start_at(&self, start: Offset) -> Result<(), Error> {
        self.handle.start_at(start).await.map_err(|error| self.failed(&error))?;
        Ok(())
    }
}
