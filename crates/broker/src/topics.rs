//! From a request's topic to a partition of this broker, and topics that are made because somebody named them.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use millstream_metadata::topics::{Create, Created, Layout};
use millstream_metadata::{Image, Topic};
use millstream_partition::PartitionHandle;
use millstream_protocol::ResponseError;
use millstream_types::{PartitionIndex, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where groups keep their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Where transactions keep their state.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";
/// Where share groups will keep theirs.
pub(crate) const SHARE_STATE_TOPIC: &str = "__share_group_state";
/// How long a request that made a topic waits for its first partition to open.
const OPEN_LIMIT: Duration = Duration::from_secs(2);

/// Whether clients are told that a topic is Kafka's own.
pub(crate) fn is_internal(name: &str) -> bool {
    [OFFSETS_TOPIC, TRANSACTIONS_TOPIC, SHARE_STATE_TOPIC].contains(&name)
}

/// The topic of that name.
pub(crate) fn named<'a>(image: &'a Image, name: &str) -> Result<&'a Arc<Topic>, Failure> {
    image
        .topic_named(name)
        .ok_or_else(|| Failure::new(ResponseError::UnknownTopicOrPartition, format!("there is no topic {name:?}")))
}

/// Whether there is a topic of that name with that partition.
pub(crate) fn has_partition(image: &Image, topic: &str, index: i32) -> bool {
    image.topic_named(topic).is_some_and(|topic| topic.partition(PartitionIndex(index)).is_some())
}

/// The topic of that id.
pub(crate) fn of_id(image: &Image, id: TopicId) -> Result<&Arc<Topic>, Failure> {
    image
        .topic(id)
        .ok_or_else(|| Failure::new(ResponseError::UnknownTopicId, format!("there is no topic with the id {id}")))
}

impl Broker {
    /// The partition of a topic by name, if this broker has it.
    pub(crate) fn partition(&self, topic: &str, index: i32) -> Result<PartitionHandle, Failure> {
        let image = self.image();
        self.partition_of(named(&image, topic)?, index)
    }

    /// The partition of a topic, if this broker has it.
    pub(crate) fn partition_of(&self, topic: &Topic, index: i32) -> Result<PartitionHandle, Failure> {
        let index = PartitionIndex(index);
        if topic.partition(index).is_none() {
            let message = format!("the topic {:?} has no partition {index}", topic.name);
            return Err(Failure::new(ResponseError::UnknownTopicOrPartition, message));
        }
        Ok(self.partitions.get(TopicPartition::new(topic.id, index))?)
    }

    /// Makes a topic with the broker's defaults, because a client named it. Made by somebody else meanwhile is as good.
    pub(crate) async fn auto_create(&self, call: &Call<'_>, name: &str) -> Result<(), Failure> {
        let layout = self.default_layout(self.settings.num_partitions, self.settings.replication_factor);
        let create = Create {
            name: name.to_owned(),
            id: self.new_topic_id(),
            layout,
            configs: BTreeMap::new(),
            validate_only: false,
        };
        match self.create_topic(call, create, true).await {
            Err(failure) if failure.code != ResponseError::TopicAlreadyExists => Err(failure),
            Err(_) | Ok(_) => Ok(()),
        }
    }

    /// Makes a topic and waits until its first partition is open, where this broker leads it: whoever is told of the topic can use it.
    /// Where it `is_strict`, what the client has no quota left for is refused.
    pub(crate) async fn create_topic(
        &self,
        call: &Call<'_>,
        create: Create,
        is_strict: bool,
    ) -> Result<Created, Failure> {
        let created = self.quorum.decide(move |image| {
            let decision = millstream_metadata::topics::create(image, &create)?;
            let partitions = usize::try_from(decision.answer.partitions).unwrap_or(0);
            call.mutations.take(image, partitions, is_strict)?;
            Ok(decision)
        });
        let created = created.await?;
        let first = TopicPartition::new(created.id, PartitionIndex(0));
        let image = self.image();
        if image.partition(first).is_some_and(|partition| partition.leader == self.settings.node) {
            // The topic exists whether it is open in time or not: a client that is too early is told to try again.
            let _ = self.partitions.ready(first, OPEN_LIMIT).await;
        }
        Ok(created)
    }

    /// Partitions wherever there is room.
    pub(crate) fn default_layout(&self, partitions: i32, replication_factor: i16) -> Layout {
        Layout::Counts { partitions, replication_factor, draw: self.runtime.random.next_u64() }
    }

    /// A random topic id. Kafka never gives out the ids 0 and 1.
    pub(crate) fn new_topic_id(&self) -> TopicId {
        TopicId(uuid::Builder::from_random_bytes(self.runtime.random.next_u128().to_be_bytes()).into_uuid())
    }
}
