//! LeaveGroup: one member, or several since version 3.

use crate::codes::{self, Failure};
use crate::service::{Broker, Call};
use kafka_protocol::messages::LeaveGroupRequest;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use kafka_protocol::protocol::StrBytes;
use millstream_group::{LeaveRequest, Leaving, Left};
use millstream_protocol::ResponseError;

/// Several members may leave at once from this version on.
const BATCHED: i16 = 3;

impl Broker {
    /// Answers LeaveGroup.
    pub(crate) async fn leave_group(&self, call: &Call<'_>, request: LeaveGroupRequest) -> LeaveGroupResponse {
        let members = match call.version < BATCHED {
            true => vec![Leaving { member: request.member_id.to_string(), instance: None }],
            false => {
                let members = request.members.iter();
                let leaving = members.map(|member| Leaving {
                    member: member.member_id.to_string(),
                    instance: member.group_instance_id.as_ref().map(ToString::to_string),
                });
                leaving.collect()
            }
        };
        let leave = LeaveRequest { group: request.group_id.to_string(), members };
        let left = match self.coordinator.leave(leave).await {
            Ok(left) => left,
            // A group that is not there has no such members: each is told so, as it would be by a group that is.
            Err(error) if call.version >= BATCHED && is_unknown(&error) => {
                return LeaveGroupResponse::default().with_members(request.members.into_iter().map(unknown).collect());
            }
            Err(error) => return LeaveGroupResponse::default().with_error_code(Failure::from(error).code.code()),
        };
        let code = |left: &Left| left.result.as_ref().map_or_else(|error| codes::group(error).code(), |()| 0);
        if call.version < BATCHED {
            return LeaveGroupResponse::default().with_error_code(left.first().map_or(0, code));
        }
        let members = left.into_iter().map(|left| {
            MemberResponse::default()
                .with_error_code(code(&left))
                .with_member_id(left.member.into())
                .with_group_instance_id(left.instance.map(StrBytes::from_string))
        });
        LeaveGroupResponse::default().with_members(members.collect())
    }
}

fn is_unknown(error: &millstream_coordinator::Error) -> bool {
    matches!(error, millstream_coordinator::Error::Group(error) if codes::group(error) == ResponseError::UnknownMemberId)
}

fn unknown(member: MemberIdentity) -> MemberResponse {
    MemberResponse::default()
        .with_error_code(ResponseError::UnknownMemberId.code())
        .with_member_id(member.member_id)
        .with_group_instance_id(member.group_instance_id)
}
