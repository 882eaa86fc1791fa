//! ElectLeaders: gives partitions to their preferred leader, or to any replica that is left.
//!
//! A partition whose leader stands where the election would put it needs none, which is all that one node can come to.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};
use millstream_metadata::{Image, Partition};
use millstream_protocol::{ResponseError, StrBytes};
use millstream_types::{BrokerId, PartitionIndex};

/// Which replica is to lead: the wire's numbers, never renumber.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

impl Broker {
    /// Answers ElectLeaders.
    pub(crate) fn elect_leaders(&self, request: ElectLeadersRequest) -> ElectLeadersResponse {
        let image = self.image();
        let kind = request.election_type;
        let is_known = kind == PREFERRED || kind == UNCLEAN;
        // An empty list asks for nothing, of whatever kind.
        let asks = request.topic_partitions.as_ref().is_none_or(|topics| !topics.is_empty());
        let code = if is_known || !asks { 0 } else { ResponseError::InvalidRequest.code() };
        let answer = ElectLeadersResponse::default().with_error_code(code);
        let Some(topics) = request.topic_partitions else {
            return if is_known { answer.with_replica_election_results(everywhere(&image, kind)) } else { answer };
        };
        let results = topics.into_iter().map(|topic| {
            let tried = topic.partitions.iter().map(|index| result(*index, elect(&image, &topic.topic, *index, kind)));
            let tried = tried.collect();
            ReplicaElectionResult::default().with_topic(topic.topic).with_partition_result(tried)
        });
        answer.with_replica_election_results(results.collect())
    }
}

/// All topics: partitions that need no election are not told of.
fn everywhere(image: &Image, kind: i8) -> Vec<ReplicaElectionResult> {
    let topics = image.topics().map(|topic| {
        let tried = topic.partitions().filter_map(|(index, _)| match elect(image, &topic.name, index.0, kind) {
            failure if failure.code == ResponseError::ElectionNotNeeded => None,
            failure => Some(result(index.0, failure)),
        });
        ReplicaElectionResult::default()
            .with_topic(TopicName(StrBytes::from_string(topic.name.to_string())))
            .with_partition_result(tried.collect())
    });
    topics.collect()
}

/// Why no other replica comes to lead.
fn elect(image: &Image, topic: &str, index: i32, kind: i8) -> Failure {
    if kind != PREFERRED && kind != UNCLEAN {
        let message = format!("election type {kind} is unknown; expected {PREFERRED} preferred or {UNCLEAN} unclean");
        return Failure::new(ResponseError::InvalidRequest, message);
    }
    let Some(known) = image.topic_named(topic) else {
        return Failure::new(ResponseError::UnknownTopicOrPartition, format!("there is no topic {topic:?}"));
    };
    match known.partition(PartitionIndex(index)) {
        None => {
            let message = format!("the topic {topic:?} has no partition {index}");
            Failure::new(ResponseError::UnknownTopicOrPartition, message)
        }
        Some(partition) => of_partition(partition, kind),
    }
}

fn of_partition(partition: &Partition, kind: i8) -> Failure {
    let led = partition.leader != BrokerId::NONE;
    let preferred = partition.replicas.first() == Some(&partition.leader);
    match kind {
        PREFERRED if led && preferred => {
            Failure::new(ResponseError::ElectionNotNeeded, "the preferred replica leads the partition")
        }
        UNCLEAN if led => Failure::new(ResponseError::ElectionNotNeeded, "the partition has a leader"),
        PREFERRED => Failure::new(
            ResponseError::PreferredLeaderNotAvailable,
            "the preferred replica is not in sync or not running; start its broker",
        ),
        _ => Failure::new(
            ResponseError::EligibleLeadersNotAvailable,
            "no broker with a replica of the partition is running; start one",
        ),
    }
}

fn result(index: i32, failure: Failure) -> PartitionResult {
    let code = failure.code.code();
    PartitionResult::default().with_partition_id(index).with_error_code(code).with_error_message(failure.text())
}
