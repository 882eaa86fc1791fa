//! Heartbeat.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::{HeartbeatRequest as WireRequest, HeartbeatResponse};
use millstream_group::HeartbeatRequest;

impl Broker {
    /// Answers Heartbeat.
    pub(crate) fn heartbeat(&self, request: &WireRequest) -> HeartbeatResponse {
        let heartbeat = HeartbeatRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.as_ref().map(ToString::to_string),
            generation: request.generation_id,
        };
        match self.coordinator.heartbeat(&heartbeat) {
            Ok(()) => HeartbeatResponse::default(),
            Err(error) => HeartbeatResponse::default().with_error_code(Failure::from(error).code.code()),
        }
    }
}
