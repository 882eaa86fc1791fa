//! ShareGroupHeartbeat (KIP-932).

use crate::codes::Failure;
use crate::service::{Broker, Call};
use kafka_protocol::messages::share_group_heartbeat_request::ShareGroupHeartbeatRequest;
use kafka_protocol::messages::share_group_heartbeat_response::{
    Assignment, ShareGroupHeartbeatResponse, TopicPartitions,
};
use millstream_group::{Beaten, ShareHeartbeatRequest};

impl Broker {
    /// Answers ShareGroupHeartbeat, when what it decides is written.
    pub(crate) async fn share_group_heartbeat(
        &self,
        call: &Call<'_>,
        request: ShareGroupHeartbeatRequest,
    ) -> ShareGroupHeartbeatResponse {
        let heartbeat = ShareHeartbeatRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            epoch: request.member_epoch,
            rack: request.rack_id.as_ref().map(ToString::to_string),
            topics: request.subscribed_topic_names.map(|names| names.iter().map(|name| name.to_string()).collect()),
            client_id: call.client_id.to_owned(),
            client_host: format!("/{}", call.peer),
        };
        match self.coordinator.share_heartbeat(heartbeat).await {
            Ok(beaten) => accepted(beaten),
            Err(error) => {
                let failure = Failure::from(error);
                ShareGroupHeartbeatResponse::default()
                    .with_error_code(failure.code.code())
                    .with_error_message(failure.text())
            }
        }
    }
}

fn accepted(beaten: Beaten) -> ShareGroupHeartbeatResponse {
    let assignment = beaten.assignment.map(|assignment| {
        let topics = assignment.into_iter().map(|(topic, partitions)| {
            TopicPartitions::default().with_topic_id(topic.0).with_partitions(partitions.into_iter().collect())
        });
        Assignment::default().with_topic_partitions(topics.collect())
    });
    ShareGroupHeartbeatResponse::default()
        .with_member_id(Some(beaten.member.into()))
        .with_member_epoch(beaten.epoch)
        .with_heartbeat_interval_ms(beaten.interval_ms)
        .with_assignment(assignment)
}
