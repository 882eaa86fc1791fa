//! JoinGroup.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use kafka_protocol::messages::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_protocol::protocol::StrBytes;
use millstream_coordinator::JoinRefused;
use millstream_group::{JoinRequest, Joined, Protocol};

/// A dynamic member is given its id and joins again, from this version on (KIP-394).
const MEMBER_ID_REQUIRED: i16 = 4;
/// The protocol may be absent from this version on.
const NULLABLE_PROTOCOL: i16 = 7;
/// A leader may be told to skip the assignment from this version on (KIP-814).
const SKIPS_ASSIGNMENT: i16 = 9;
/// Kafka's "no generation".
const NO_GENERATION: i32 = -1;

impl Broker {
    /// Answers JoinGroup, when the generation is complete.
    pub(crate) async fn join_group(&self, call: &Call<'_>, request: JoinGroupRequest) -> JoinGroupResponse {
        let protocols = request.protocols.into_iter();
        let protocols =
            protocols.map(|protocol| Protocol { name: protocol.name.to_string(), metadata: own(&protocol.metadata) });
        let join = JoinRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.map(|instance| instance.to_string()),
            client_id: call.client_id.to_owned(),
            client_host: format!("/{}", call.peer),
            protocol_type: request.protocol_type.to_string(),
            protocols: protocols.collect(),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: if call.version == 0 {
                request.session_timeout_ms
            } else {
                request.rebalance_timeout_ms
            },
            requires_known_member: call.version >= MEMBER_ID_REQUIRED,
            supports_skipping_assignment: call.version >= SKIPS_ASSIGNMENT,
            random: 0,
        };
        let mut response = match self.coordinator.join(join).await {
            Ok(joined) => accepted(joined),
            Err(JoinRefused { member, error }) => JoinGroupResponse::default()
                .with_error_code(Failure::from(error).code.code())
                .with_generation_id(NO_GENERATION)
                .with_protocol_name(None)
                .with_member_id(member.into()),
        };
        if call.version < NULLABLE_PROTOCOL {
            response.protocol_name.get_or_insert_default();
        }
        response
    }
}

/// Metadata is kept for as long as its member lives: a slice of the frame would keep the whole read buffer.
fn own(bytes: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(bytes)
}

fn accepted(joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(member.member.into())
            .with_group_instance_id(member.instance.map(StrBytes::from_string))
            .with_metadata(member.metadata)
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.map(StrBytes::from_string))
        .with_protocol_name(joined.protocol.map(StrBytes::from_string))
        .with_leader(joined.leader.into())
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(joined.member.into())
        .with_members(members.collect())
}
