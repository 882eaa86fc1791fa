//! DescribeGroups.

use crate::codes::Failure;
use crate::operations;
use crate::service::{Broker, Call};
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_protocol::protocol::StrBytes;
use millstream_group::{DescribedMember, Description};
use millstream_protocol::ResponseError;

/// A group that is not there is an error from this version on (KIP-1043); before, it is a dead one.
const TELLS_UNKNOWN: i16 = 6;
const DEAD: StrBytes = StrBytes::from_static_str("Dead");

impl Broker {
    /// Answers DescribeGroups.
    pub(crate) fn describe_groups(&self, call: &Call<'_>, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let groups = request.groups.into_iter().map(|id| {
            let mut group = match self.coordinator.describe(&id) {
                Ok(description) => described(description),
                Err(error) => failed(call, error.into()),
            };
            group.group_id = id;
            if request.include_authorized_operations && group.error_code == 0 {
                group.authorized_operations = operations::GROUP;
            }
            group
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }
}

fn failed(call: &Call<'_>, failure: Failure) -> DescribedGroup {
    let is_unknown = failure.code == ResponseError::GroupIdNotFound;
    let group = DescribedGroup::default();
    match is_unknown {
        true if call.version < TELLS_UNKNOWN => group.with_group_state(DEAD),
        true => group.with_group_state(DEAD).with_error_code(failure.code.code()).with_error_message(failure.text()),
        false => group.with_error_code(failure.code.code()),
    }
}

fn described(description: Description) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(description.state.to_string().into())
        .with_protocol_type(description.protocol_type.into())
        .with_protocol_data(description.protocol.into())
        .with_members(description.members.into_iter().map(member).collect())
}

fn member(member: DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(member.member.into())
        .with_group_instance_id(member.instance.map(StrBytes::from_string))
        .with_client_id(member.client_id.into())
        .with_client_host(member.client_host.into())
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}
