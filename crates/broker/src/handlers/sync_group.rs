//! SyncGroup.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use bytes::Bytes;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use millstream_group::SyncRequest;
use millstream_protocol::ResponseError;

/// Members name the protocol they were told from this version on (KIP-559).
const NAMES_PROTOCOL: i16 = 5;

impl Broker {
    /// Answers SyncGroup, when the leader has assigned.
    pub(crate) async fn sync_group(&self, call: &Call<'_>, request: SyncGroupRequest) -> SyncGroupResponse {
        let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
        if call.version >= NAMES_PROTOCOL && !names_protocol {
            return SyncGroupResponse::default().with_error_code(ResponseError::InconsistentGroupProtocol.code());
        }
        let assignments = request.assignments.into_iter();
        let assignments = assignments.map(|one| (one.member_id.to_string(), Bytes::copy_from_slice(&one.assignment)));
        let sync = SyncRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.map(|instance| instance.to_string()),
            generation: request.generation_id,
            protocol_type: request.protocol_type.map(|kind| kind.to_string()),
            protocol: request.protocol_name.map(|name| name.to_string()),
            assignments: assignments.collect(),
        };
        match self.coordinator.sync(sync).await {
            Ok(synced) => SyncGroupResponse::default()
                .with_protocol_type(synced.protocol_type.map(StrBytes::from_string))
                .with_protocol_name(synced.protocol.map(StrBytes::from_string))
                .with_assignment(synced.assignment),
            Err(error) => SyncGroupResponse::default().with_error_code(Failure::from(error).code.code()),
        }
    }
}
