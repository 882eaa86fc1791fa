//! A topic from the bucket alone: what to create it as, and where its logs begin and end.

use crate::error::Error;
use crate::layout::{self, Kind};
use crate::manifest::{Manifest, TopicManifest};
use crate::state::Partition;
use crate::tier::Tier;
use bytes::Bytes;
use millstream_storage::Epochs;
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A topic as the store knows it.
#[derive(Debug, Clone)]
pub struct RecoveredTopic {
    /// Its name.
    pub name: String,
    /// Its id; it must be made again under this one, since its objects carry it.
    pub id: TopicId,
    /// The options that were set.
    pub configs: BTreeMap<String, String>,
    /// All its partitions, in order.
    pub partitions: Vec<RecoveredPartition>,
}

/// A partition as the store knows it. Its log is to be made with `storage::Log::restore(log_start, end, &epochs)`; the next record gets `end`.
#[derive(Debug, Clone)]
pub struct RecoveredPartition {
    /// Which one.
    pub partition: PartitionIndex,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// The offset after the last one in the store.
    pub end: Offset,
    /// Where leader epochs begin.
    pub epochs: Epochs,
    /// The epoch in which the partition must be led from now on, at least: newer than all that wrote its records and manifests, or its
    /// first manifest is fenced. To be set in the partition's record when the topic is made again.
    pub leader_epoch: LeaderEpoch,
    /// What producers had written below `end`, for `Log::write_producer_snapshot(end, ..)`; none where it was not kept.
    pub producer_snapshot: Option<Bytes>,
    /// The `.txnindex` files of the segments that have one, for `Log::restore_aborted(base, ..)`: what readers of committed records skip.
    pub aborted: Vec<(Offset, Bytes)>,
    /// The manifest all this is from.
    pub manifest: Arc<Manifest>,
}

impl Tier {
    /// Reads a topic's newest manifests. Where topics of that name were made several times, the one whose manifest was written last.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`]; the store's; [`Error::Corrupt`] names the object.
    pub async fn recover(&self, name: &str) -> Result<RecoveredTopic, Error> {
        let shared = &self.0;
        let prefix = shared.store.store.prefix();
        let mut newest: Option<TopicManifest> = None;
        for folder in shared.store.folders(&layout::name_prefix(prefix, name)).await? {
            let Some(id) = layout::topic_id_of(&folder) else { continue };
            let found = shared.topic_manifest(&layout::topic_manifests(prefix, name, id)).await?;
            let is_newer = |found: &TopicManifest| newest.as_ref().is_none_or(|newest| newest.written < found.written);
            if let Some(found) = found.filter(is_newer) {
                newest = Some(found);
            }
        }
        let unknown = || Error::UnknownTopic { topic: name.to_owned(), store: shared.store.store.name().to_owned() };
        let topic = newest.ok_or_else(unknown)?.topic;
        let mut partitions = Vec::new();
        for number in 0..topic.partitions {
            let id = TopicPartition::new(topic.id, PartitionIndex(number));
            let partition = shared.register(&topic.name, id);
            partitions.push(self.recover_partition(&partition).await?);
        }
        Ok(RecoveredTopic { name: topic.name, id: topic.id, configs: topic.configs, partitions })
    }

    /// What the store has of one partition whose topic is known, for a log that was lost.
    ///
    /// # Errors
    /// As [`Tier::recover`].
    pub async fn recover_one(&self, topic: &str, partition: TopicPartition) -> Result<RecoveredPartition, Error> {
        let partition = self.0.register(topic, partition);
        self.recover_partition(&partition).await
    }

    async fn recover_partition(&self, partition: &Partition) -> Result<RecoveredPartition, Error> {
        let manifest = self.0.reload(partition).await?;
        let end = manifest.end().unwrap_or(manifest.log_start).max(manifest.log_start);
        let last = manifest.segments.last().filter(|segment| segment.object(Kind::Snapshot).is_some());
        let producer_snapshot = match last {
            Some(segment) => Some(self.0.whole(partition, segment, Kind::Snapshot).await?.1),
            None => None,
        };
        let mut aborted = Vec::new();
        for segment in manifest.segments.iter().filter(|segment| segment.object(Kind::TxnIndex).is_some()) {
            aborted.push((segment.base, self.0.whole(partition, segment, Kind::TxnIndex).await?.1));
        }
        let mut epochs = Epochs::default();
        for (epoch, start) in &manifest.epochs {
            epochs.assign(*epoch, *start);
        }
        let log_start = manifest.start().unwrap_or(end);
        let leader_epoch = epochs.latest().unwrap_or(LeaderEpoch::NONE).max(manifest.leader_epoch).next();
        Ok(RecoveredPartition {
            partition: partition.id.partition,
            log_start,
            end,
            epochs,
            leader_epoch,
            producer_snapshot,
            aborted,
            manifest,
        })
    }

    /// The names of all topics in the store.
    ///
    /// # Errors
    /// The store's.
    pub async fn topics(&self) -> Result<Vec<String>, Error> {
        let folders = self.0.store.folders(self.0.store.store.prefix()).await?;
        Ok(folders
            .iter()
            .filter_map(|folder| folder.parts().next_back().map(|name| name.as_ref().to_owned()))
            .collect())
    }
}
