//! DeleteGroups.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use kafka_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};

impl Broker {
    /// Answers DeleteGroups.
    pub(crate) async fn delete_groups(&self, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let names: Vec<String> = request.groups_names.iter().map(|name| name.to_string()).collect();
        let deleted = self.coordinator.delete(&names).await;
        names.iter().for_each(|name| self.shares.close_group(name));
        let results = deleted.into_iter().map(|(group, deleted)| {
            let code = deleted.map_or_else(|error| Failure::from(error).code.code(), |()| 0);
            DeletableGroupResult::default().with_group_id(GroupId(group.into())).with_error_code(code)
        });
        DeleteGroupsResponse::default().with_results(results.collect())
    }
}
