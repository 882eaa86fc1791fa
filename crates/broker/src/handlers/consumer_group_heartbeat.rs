//! ConsumerGroupHeartbeat (KIP-848).

use crate::codes::Failure;
use crate::service::{Broker, Call};
use kafka_protocol::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use kafka_protocol::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse, TopicPartitions as Assigned,
};
use kafka_protocol::protocol::StrBytes;
use millstream_group::{Beaten, ConsumerHeartbeatRequest, Partitions};
use millstream_types::TopicId;
use std::collections::BTreeSet;

/// Members make their ids themselves from this version on, and may subscribe by pattern.
const MAKES_IDS: i16 = 1;
/// A rebalance timeout that was not said.
const NOT_SAID: i32 = -1;

impl Broker {
    /// Answers ConsumerGroupHeartbeat, when what it decides is written.
    pub(crate) async fn consumer_group_heartbeat(
        &self,
        call: &Call<'_>,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let text = |text: &StrBytes| text.to_string();
        let heartbeat = ConsumerHeartbeatRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            epoch: request.member_epoch,
            instance: request.instance_id.as_ref().map(text),
            rack: request.rack_id.as_ref().map(text),
            rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|&ms| ms != NOT_SAID),
            topics: request.subscribed_topic_names.map(|names| names.iter().map(|name| name.to_string()).collect()),
            regex: request.subscribed_topic_regex.as_ref().map(text),
            assignor: request.server_assignor.as_ref().map(text),
            owned: request.topic_partitions.map(owned),
            client_id: call.client_id.to_owned(),
            client_host: format!("/{}", call.peer),
            makes_ids: call.version >= MAKES_IDS,
            random: 0,
        };
        match self.coordinator.consumer_heartbeat(heartbeat).await {
            Ok(beaten) => accepted(beaten),
            Err(error) => {
                let failure = Failure::from(error);
                ConsumerGroupHeartbeatResponse::default()
                    .with_error_code(failure.code.code())
                    .with_error_message(failure.text())
            }
        }
    }
}

fn owned(topics: Vec<TopicPartitions>) -> Partitions {
    let mut owned = Partitions::new();
    for topic in topics {
        let partitions: &mut BTreeSet<i32> = owned.entry(TopicId(topic.topic_id)).or_default();
        partitions.extend(topic.partitions);
    }
    owned
}

fn accepted(beaten: Beaten) -> ConsumerGroupHeartbeatResponse {
    let assignment = beaten.assignment.map(|assignment| {
        let topics = assignment.into_iter().map(|(topic, partitions)| {
            Assigned::default().with_topic_id(topic.0).with_partitions(partitions.into_iter().collect())
        });
        Assignment::default().with_topic_partitions(topics.collect())
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(beaten.member.into()))
        .with_member_epoch(beaten.epoch)
        .with_heartbeat_interval_ms(beaten.interval_ms)
        .with_assignment(assignment)
}
