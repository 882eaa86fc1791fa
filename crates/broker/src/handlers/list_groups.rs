//! ListGroups.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use kafka_protocol::protocol::StrBytes;
use millstream_group::ListFilter;

impl Broker {
    /// Answers ListGroups.
    pub(crate) fn list_groups(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        let filter = ListFilter {
            states: request.states_filter.iter().map(ToString::to_string).collect(),
            types: request.types_filter.iter().map(ToString::to_string).collect(),
        };
        match self.coordinator.list(&filter) {
            Err(error) => ListGroupsResponse::default().with_error_code(Failure::from(error).code.code()),
            Ok(listed) => {
                let groups = listed.into_iter().map(|group| {
                    ListedGroup::default()
                        .with_group_id(GroupId(group.group.into()))
                        .with_protocol_type(group.protocol_type.into())
                        .with_group_state(group.state.to_string().into())
                        .with_group_type(StrBytes::from_static_str(group.group_type.name()))
                });
                ListGroupsResponse::default().with_groups(groups.collect())
            }
        }
    }
}
