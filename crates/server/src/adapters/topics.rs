//! The log as tasks, connectors and queries see it, over partitions, quorum and coordinator.

use super::controller::new_topic_id;
use super::producer::LogProducer;
use async_trait::async_trait;
use millstream_coordinator::Error as CoordinatorError;
use millstream_coordinator::Handle as Coordinator;
use millstream_coordinator::group::{ByTopic, OffsetCommit};
use millstream_metadata::topics::{Create, Layout};
use millstream_metadata::{Image, Topic};
use millstream_partition::{AppendOptions, Error as PartitionError, Origin, PartitionHandle, Partitions, TimeQuery};
use millstream_quorum::Handle as Quorum;
use millstream_record::{Codec, Columns, encode};
use millstream_runtime::Runtime;
use millstream_task::{Bounds, CommittedOffset, Error, Fetched, Producer, TopicView, Topics};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a caller waits for a partition that was just made.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// The log of this node.
#[derive(Clone)]
pub struct LogTopics {
    /// Names and creation.
    pub quorum: Quorum,
    /// Records.
    pub partitions: Partitions,
    /// Committed offsets.
    pub coordinator: Coordinator,
    /// Ids of new topics.
    pub runtime: Runtime,
}

/// An error of a partition in a task's words.
pub fn failed(error: &PartitionError) -> Error {
    Error::new(error.kind(), error.to_string())
}

/// An error of a coordinator in a task's words.
pub fn refused(error: &CoordinatorError) -> Error {
    let kind = match error {
        // A client is told to come again.
        CoordinatorError::Transaction(millstream_txn::Error::ConcurrentTransactions { .. }) => ErrorKind::Unavailable,
        _ => error.kind(),
    };
    Error::new(kind, error.to_string())
}

fn view(topic: &Topic) -> TopicView {
    TopicView {
        id: topic.id,
        name: topic.name.to_string(),
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        configs: topic.overrides.clone(),
    }
}

impl LogTopics {
    /// The partition, if its topic exists; waits for one that was just made.
    pub async fn partition(&self, partition: TopicPartition) -> Result<PartitionHandle, Error> {
        if let Ok(handle) = self.partitions.get(partition) {
            return Ok(handle);
        }
        if self.quorum.image().partition(partition).is_none() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no partition {partition}: its topic was deleted"),
            ));
        }
        self.partitions.ready(partition, OPEN_LIMIT).await.map_err(|error| failed(&error))
    }

    /// Every node has its own: what the tasks of a deployment do is a transaction for each node that runs some.
    fn transactional_id(&self, id: &str) -> String {
        format!("{id}-{}", self.quorum.node_id())
    }

    /// Offsets as the coordinator takes them.
    pub fn by_topic(&self, offsets: &[CommittedOffset]) -> Result<Vec<ByTopic<OffsetCommit>>, Error> {
        let image = self.quorum.image();
        let mut topics: BTreeMap<String, Vec<OffsetCommit>> = BTreeMap::new();
        for one in offsets {
            topics.entry(Self::name(&image, one.partition.topic)?).or_default().push(OffsetCommit {
                partition: one.partition.partition.0,
                offset: one.offset,
                leader_epoch: one.leader_epoch,
                metadata: one.metadata.clone(),
                topic_id: one.partition.topic,
            });
        }
        Ok(topics.into_iter().map(|(topic, partitions)| ByTopic { topic, partitions }).collect())
    }

    fn name(image: &Image, id: TopicId) -> Result<String, Error> {
        let topic = image.topic(id).map(|topic| topic.name.to_string());
        topic.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no topic with the id {id}: it was deleted"))
        })
    }
}

#[async_trait]
impl Topics for LogTopics {
    fn topic(&self, name: &str) -> Option<TopicView> {
        self.quorum.image().topic_named(name).map(|topic| view(topic))
    }

    fn topics(&self) -> Vec<TopicView> {
        let mut topics: Vec<TopicView> = self.quorum.image().topics().map(|topic| view(topic)).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics
    }

    async fn create(
        &self,
        name: &str,
        partitions: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<TopicView, Error> {
        let create = Create {
            name: name.to_owned(),
            id: new_topic_id(&self.runtime),
            layout: Layout::Counts { partitions, replication_factor: 1, draw: self.runtime.random.next_u64() },
            configs: configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect(),
            validate_only: false,
        };
        let created = self.quorum.decide(|image| millstream_metadata::topics::create(image, &create)).await;
        let created = created.map_err(|error| Error::new(error.kind(), error.to_string()))?;
        let first = TopicPartition::new(created.id, PartitionIndex(0));
        self.partition(first).await?;
        self.topic(name).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("topic {name:?} was deleted as soon as it was made"))
        })
    }

    async fn bounds(&self, partition: TopicPartition) -> Result<Bounds, Error> {
        let handle = self.partition(partition).await?;
        let bounds = handle.bounds();
        if !bounds.is_leader {
            // As a node starts: what is committed is known only where the partition is led.
            return Err(Error::new(
                ErrorKind::NotLeader,
                format!("{}-{} is not led here yet", handle.topic(), partition.partition),
            ));
        }
        Ok(Bounds {
            log_start: bounds.log_start,
            high_watermark: bounds.last_stable,
            leader_epoch: bounds.leader_epoch,
        })
    }

    async fn read(&self, partition: TopicPartition, from: Offset, max_bytes: usize) -> Result<Fetched, Error> {
        let handle = self.partition(partition).await?;
        let (batches, bounds) = handle.read_committed(from, max_bytes).await.map_err(|error| failed(&error))?;
        Ok(Fetched {
            batches: batches.into_iter().map(millstream_record::Batch::into_bytes).collect(),
            bounds: Bounds {
                log_start: bounds.log_start,
                high_watermark: bounds.last_stable,
                leader_epoch: bounds.leader_epoch,
            },
        })
    }

    async fn readable(&self, partition: TopicPartition, from: Offset) -> Result<(), Error> {
        self.partition(partition).await?.readable(from).await.map_err(|error| failed(&error))
    }

    async fn append(&self, partition: TopicPartition, records: &Columns) -> Result<Offset, Error> {
        let handle = self.partition(partition).await?;
        // What a producer would be refused, tasks are refused as well: batches that are too large, records of a compacted topic without keys.
        let refused = |error: millstream_record::Error| Error::new(ErrorKind::Invalid, error.to_string());
        let batch = encode(records, Codec::None).map_err(refused)?;
        let batches = millstream_record::check(batch.into_bytes(), &handle.door_rules()).map_err(refused)?;
        let appended = handle.append(batches, AppendOptions::new(Origin::Internal)).await;
        appended.map(|appended| appended.base_offset).map_err(|error| failed(&error))
    }

    async fn offset_for_time(&self, partition: TopicPartition, time: TimestampMs) -> Result<Option<Offset>, Error> {
        let found = self.partition(partition).await?.offset_for_time(TimeQuery::At(time), LeaderEpoch::NONE).await;
        found.map(|found| found.map(|at| at.offset)).map_err(|error| failed(&error))
    }

    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), Error> {
        let topics = self.by_topic(offsets)?;
        self.coordinator.commit_as_admin(group, topics).await.map_err(|error| refused(&error))
    }

    async fn producer(&self, id: &str, timeout: Duration) -> Result<Arc<dyn Producer>, Error> {
        let producer = LogProducer::take_over(self.clone(), self.transactional_id(id), timeout).await?;
        Ok(Arc::new(producer))
    }

    async fn abort(&self, id: &str) -> Result<(), Error> {
        self.coordinator.abort_as_admin(&self.transactional_id(id)).await.map_err(|error| refused(&error))
    }

    async fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, Error> {
        let image = self.quorum.image();
        let fetched = self.coordinator.fetch_as_admin(group, None).await.map_err(|error| refused(&error))?;
        let find = |partition: &TopicPartition| {
            let name = image.topic(partition.topic).map(|topic| topic.name.clone())?;
            let of_topic = fetched.iter().find(|topic| topic.topic == *name)?;
            let found = of_topic.partitions.iter().find(|one| one.partition == partition.partition.0)?;
            Some(found.offset).filter(|offset| *offset >= Offset::ZERO)
        };
        Ok(partitions.iter().map(find).collect())
    }

    async fn delete_group(&self, group: &str) -> Result<(), Error> {
        for (_, outcome) in self.coordinator.delete(&[group.to_owned()]).await {
            match outcome {
                // Without the offsets topic no group was ever begun.
                Err(millstream_coordinator::Error::NoOffsetsTopic { .. }) | Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        Ok(())
    }
}

/// Whether a topic is one of the product's own.
pub fn is_internal(name: &str) -> bool {
    name.starts_with("__")
}
