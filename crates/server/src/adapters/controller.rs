//! The coordinator's port to the controller, over the quorum; and the coordinator's partitions as they are won and lost.

use async_trait::async_trait;
use millstream_coordinator::{
    Controller, ControllerError, Handle as Coordinator, OFFSETS_TOPIC, OffsetsLog, SHARE_STATE_TOPIC,
    TRANSACTIONS_TOPIC,
};
use millstream_metadata::producer_ids;
use millstream_metadata::topics::{Create, Layout};
use millstream_partition::{PartitionHandle, Partitions};
use millstream_quorum::{Error as QuorumError, Handle as Quorum};
use millstream_runtime::Runtime;
use millstream_types::{BrokerEpoch, PartitionIndex, TopicId};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use uuid::Builder;

/// Bytes of a segment of the offsets topic: Kafka's, so that compaction has small pieces.
const OFFSETS_SEGMENT_BYTES: &str = "104857600";

/// The controller as the coordinator asks it.
pub struct QuorumController {
    /// Decides.
    pub quorum: Quorum,
    /// Ids of new topics.
    pub runtime: Runtime,
    /// `offsets.topic.num.partitions`.
    pub offsets_partitions: i32,
    /// `transaction.state.log.num.partitions`.
    pub transactions_partitions: i32,
    /// `share.coordinator.state.topic.num.partitions`.
    pub share_states_partitions: i32,
}

/// A new topic's id.
pub fn new_topic_id(runtime: &Runtime) -> TopicId {
    TopicId(Builder::from_random_bytes(runtime.random.next_u128().to_be_bytes()).into_uuid())
}

/// The options that an internal topic is made with, as Kafka makes it. The state of share partitions is pruned by its coordinator.
fn internal_options(topic: &str) -> &'static [(&'static str, &'static str)] {
    match topic {
        SHARE_STATE_TOPIC => &[
            ("cleanup.policy", "delete"),
            ("compression.type", "uncompressed"),
            ("segment.bytes", OFFSETS_SEGMENT_BYTES),
            ("retention.ms", "-1"),
        ],
        _ => {
            &[("cleanup.policy", "compact"), ("compression.type", "producer"), ("segment.bytes", OFFSETS_SEGMENT_BYTES)]
        }
    }
}

fn refused(what: &'static str, error: &QuorumError) -> ControllerError {
    ControllerError { what, why: error.to_string(), kind: error.kind() }
}

#[async_trait]
impl Controller for QuorumController {
    fn internal_topic(&self, name: &str) -> Option<i32> {
        self.quorum.image().topic_named(name).and_then(|topic| i32::try_from(topic.partitions.len()).ok())
    }

    async fn ensure_internal_topic(&self, name: &str) -> Result<i32, ControllerError> {
        if let Some(partitions) = self.internal_topic(name) {
            return Ok(partitions);
        }
        let set = internal_options(name);
        let create = Create {
            name: name.to_owned(),
            id: new_topic_id(&self.runtime),
            layout: Layout::Counts {
                partitions: match name {
                    TRANSACTIONS_TOPIC => self.transactions_partitions,
                    SHARE_STATE_TOPIC => self.share_states_partitions,
                    _ => self.offsets_partitions,
                },
                replication_factor: 1,
                draw: self.runtime.random.next_u64(),
            },
            configs: set.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect(),
            validate_only: false,
        };
        // Several may ask at once: who comes second waits until the first one's topic is there.
        let created = self.quorum.decide(|image| millstream_metadata::topics::ensure(image, &create)).await;
        created.map(|created| created.partitions).map_err(|error| refused("make an internal topic", &error))
    }

    async fn allocate_producer_ids(&self) -> Result<Range<i64>, ControllerError> {
        let (broker, epoch) = (self.quorum.node_id(), self.quorum.broker_epoch().unwrap_or(BrokerEpoch::NONE));
        let block = self.quorum.decide(|image| producer_ids::allocate_block(image, broker, epoch)).await;
        block.map_err(|error| refused("give producer ids", &error))
    }
}

/// Tells the coordinator which partitions of its topics this node leads, and which topics are no more, until the node stops.
pub async fn follow(quorum: Quorum, partitions: Partitions, coordinator: Coordinator) {
    let (mut images, mut changes) = (quorum.watch(), partitions.changes());
    let (mut led, mut led_txn, mut led_shares) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut names: BTreeMap<TopicId, Arc<str>> = BTreeMap::new();
    loop {
        let image = images.borrow_and_update().clone();
        changes.borrow_and_update();
        let offsets = Elections {
            elected: &|index, log| coordinator.elected(index, log),
            resigned: &|index| coordinator.resigned(index),
        };
        offsets.bring_up_to_date(led_of(&partitions, OFFSETS_TOPIC), &mut led);
        let transactions = Elections {
            elected: &|index, log| coordinator.txn_elected(index, log),
            resigned: &|index| coordinator.txn_resigned(index),
        };
        transactions.bring_up_to_date(led_of(&partitions, TRANSACTIONS_TOPIC), &mut led_txn);
        let shares = Elections {
            elected: &|index, log| coordinator.share_elected(index, log),
            resigned: &|index| coordinator.share_resigned(index),
        };
        shares.bring_up_to_date(led_of(&partitions, SHARE_STATE_TOPIC), &mut led_shares);
        let current: BTreeMap<TopicId, Arc<str>> = image.topics().map(|topic| (topic.id, topic.name.clone())).collect();
        for (id, name) in &names {
            // A topic made again under the name begins without the offsets of the old one.
            if !current.contains_key(id)
                && name.as_ref() != OFFSETS_TOPIC
                && let Err(error) = coordinator.topic_deleted(name).await
            {
                tracing::warn!(topic = %name, %error, "offsets of a deleted topic are still kept");
            }
        }
        names = current;
        let open = tokio::select! {
            biased;
            changed = images.changed() => changed.is_ok(),
            changed = changes.changed() => changed.is_ok(),
        };
        if !open {
            return;
        }
    }
}

/// Whom to tell of partitions won and lost.
struct Elections<'a> {
    elected: &'a (dyn Fn(PartitionIndex, Arc<dyn OffsetsLog>) + Sync),
    resigned: &'a (dyn Fn(PartitionIndex) + Sync),
}

impl Elections<'_> {
    fn bring_up_to_date(&self, now: Vec<PartitionHandle>, led: &mut BTreeMap<PartitionIndex, PartitionHandle>) {
        let now: BTreeMap<PartitionIndex, PartitionHandle> =
            now.into_iter().map(|handle| (handle.id().partition, handle)).collect();
        // One that was opened anew is another one.
        let is_among =
            |of: &BTreeMap<PartitionIndex, PartitionHandle>, index: &PartitionIndex, one: &PartitionHandle| {
                of.get(index).is_some_and(|other| other.is_same(one))
            };
        led.iter()
            .filter(|(index, before)| !is_among(&now, index, before))
            .for_each(|(index, _)| (self.resigned)(*index));
        for (index, handle) in now.iter().filter(|(index, handle)| !is_among(led, index, handle)) {
            (self.elected)(*index, Arc::new(handle.clone()));
        }
        *led = now;
    }
}

fn led_of(partitions: &Partitions, topic: &str) -> Vec<PartitionHandle> {
    partitions.all().into_iter().filter(|handle| handle.topic() == topic && handle.bounds().is_leader).collect()
}
