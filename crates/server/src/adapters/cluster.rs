//! Topics and brokers as the HTTP API shows and changes them.

use super::topics::{LogTopics, is_internal};
use async_trait::async_trait;
use millstream_admin::{AlterTopic, BrokerRow, Cluster, NewTopic, PartitionDetail, TopicDetail, TopicRow};
use millstream_metadata::configs::{Alter, Operation, Resource, incremental_alter};
use millstream_metadata::partitions::{Grow, create_partitions};
use millstream_metadata::topics::TopicRef;
use millstream_metadata::{Topic, topics};
use millstream_quorum::Error as QuorumError;
use millstream_task::{Error, Topics};
use millstream_types::{ErrorKind, PartitionIndex, TopicPartition};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer waits for options to be in force.
const IN_FORCE_LIMIT: Duration = Duration::from_secs(5);
/// How often it looks.
const IN_FORCE_STEP: Duration = Duration::from_millis(2);

/// The cluster as this node knows it.
pub struct QuorumCluster {
    /// The log.
    pub log: LogTopics,
    /// `num.partitions`.
    pub default_partitions: i32,
}

fn refused(error: &QuorumError) -> Error {
    Error::new(error.kind(), error.to_string())
}

impl QuorumCluster {
    fn row(&self, topic: &Topic) -> TopicRow {
        let (mut records, mut bytes) = (0, 0);
        for (index, _) in topic.partitions() {
            if let Ok(handle) = self.log.partitions.get(TopicPartition::new(topic.id, index)) {
                let bounds = handle.bounds();
                records += bounds.high_watermark - bounds.log_start;
                bytes += handle.size();
            }
        }
        let policy = [(topic.config.delete, "delete"), (topic.config.compact, "compact")];
        TopicRow {
            name: topic.name.to_string(),
            id: topic.id.to_string(),
            internal: is_internal(&topic.name),
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
            records,
            bytes,
            cleanup_policy: policy.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect::<Vec<_>>().join(","),
            cold: topic.config.remote_storage_enable,
        }
    }

    fn detail(&self, topic: &Topic) -> TopicDetail {
        let partition = |(index, state): (PartitionIndex, &millstream_metadata::Partition)| {
            let handle = self.log.partitions.get(TopicPartition::new(topic.id, index)).ok();
            let bounds = handle.as_ref().map(millstream_partition::PartitionHandle::bounds);
            PartitionDetail {
                partition: index.0,
                leader: state.leader.0,
                leader_epoch: state.leader_epoch.0,
                log_start: bounds.map(|bounds| bounds.log_start.0),
                high_watermark: bounds.map(|bounds| bounds.high_watermark.0),
                bytes: handle.map(|handle| handle.size()),
            }
        };
        TopicDetail {
            row: self.row(topic),
            configs: topic.overrides.clone(),
            partition_details: topic.partitions().map(partition).collect(),
        }
    }
}

impl QuorumCluster {
    /// Waits until the partitions here go by the topic's options as they were decided, so that what is asked next finds them in force.
    /// A node that takes too long has still decided.
    async fn in_force(&self, name: &str) {
        let clock = &self.log.runtime.clock;
        let deadline = clock.elapsed() + IN_FORCE_LIMIT;
        while clock.elapsed() < deadline && !self.goes_by_its_options(name) {
            clock.sleep(IN_FORCE_STEP).await;
        }
    }

    fn goes_by_its_options(&self, name: &str) -> bool {
        let image = self.log.quorum.image();
        let Some(topic) = image.topic_named(name) else { return true };
        let here = topic.partitions().map(|(index, _)| TopicPartition::new(topic.id, index));
        here.filter_map(|id| self.log.partitions.get(id).ok()).all(|handle| *handle.config() == *topic.config)
    }
}

#[async_trait]
impl Cluster for QuorumCluster {
    fn ready(&self) -> Result<(), String> {
        self.log.quorum.health().map_err(|error| error.to_string())?;
        let epoch = self.log.quorum.broker_epoch();
        epoch.map(|_| ()).ok_or_else(|| "the broker is not registered with a controller yet".to_owned())
    }

    fn topics(&self) -> Vec<TopicRow> {
        let mut rows: Vec<TopicRow> = self.log.quorum.image().topics().map(|topic| self.row(topic)).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    async fn topic(&self, name: &str) -> Result<TopicDetail, Error> {
        let image = self.log.quorum.image();
        let topic = image.topic_named(name).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no topic {name:?}; `millstream topic list` shows what there is"),
            )
        })?;
        Ok(self.detail(topic))
    }

    async fn create_topic(&self, topic: NewTopic) -> Result<TopicDetail, Error> {
        self.log.create(&topic.name, topic.partitions.unwrap_or(self.default_partitions), &topic.configs).await?;
        self.topic(&topic.name).await
    }

    async fn alter_topic(&self, name: &str, change: AlterTopic) -> Result<TopicDetail, Error> {
        let named = TopicRef::Name(name.to_owned());
        if !change.configs.is_empty() {
            let changes: Vec<Alter> = alterations(change.configs);
            let resource = Resource::Topic(named.clone());
            let decided = self.log.quorum.decide(|image| incremental_alter(image, &resource, &changes, false)).await;
            decided.map_err(|error| refused(&error))?;
        }
        if let Some(count) = change.partitions {
            let grow = Grow {
                topic: named,
                count,
                assignments: None,
                draw: self.log.runtime.random.next_u64(),
                validate_only: false,
            };
            self.log.quorum.decide(|image| create_partitions(image, &grow)).await.map_err(|error| refused(&error))?;
        }
        self.in_force(name).await;
        self.topic(name).await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let named = TopicRef::Name(name.to_owned());
        self.log.quorum.decide(|image| topics::delete(image, &named)).await.map_err(|error| refused(&error))?;
        Ok(())
    }

    fn brokers(&self) -> Vec<BrokerRow> {
        let (image, controller) = (self.log.quorum.image(), self.log.quorum.controller());
        let led = |broker| {
            image.topics().flat_map(|topic| topic.partitions.iter()).filter(|one| one.leader == broker).count()
        };
        let row = |broker: &std::sync::Arc<millstream_metadata::Broker>| BrokerRow {
            node: broker.id.0,
            address: broker.listeners.first().map_or_else(String::new, |one| format!("{}:{}", one.host, one.port)),
            epoch: broker.epoch.0,
            controller: controller == Some(broker.id),
            fenced: broker.fenced,
            topics: image.topics().count(),
            partitions: led(broker.id),
        };
        image.brokers().map(row).collect()
    }
}

fn alterations(configs: BTreeMap<String, Option<String>>) -> Vec<Alter> {
    let one = |(name, value): (String, Option<String>)| Alter {
        name,
        operation: value.map_or(Operation::Delete, Operation::Set),
    };
    configs.into_iter().map(one).collect()
}
