//! ShareGroupDescribe (KIP-932).

use crate::codes::Failure;
use crate::operations;
use crate::service::Broker;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::share_group_describe_request::ShareGroupDescribeRequest;
use kafka_protocol::messages::share_group_describe_response::{
    Assignment, DescribedGroup, Member, ShareGroupDescribeResponse, TopicPartitions,
};
use kafka_protocol::protocol::StrBytes;
use millstream_group::{ConsumerDescription, DescribedConsumer, Partitions};
use millstream_metadata::Image;

impl Broker {
    /// Answers ShareGroupDescribe.
    pub(crate) fn share_group_describe(&self, request: ShareGroupDescribeRequest) -> ShareGroupDescribeResponse {
        let image = self.image();
        let groups = request.group_ids.into_iter().map(|id| {
            let mut group = match self.coordinator.describe_share(&id) {
                Ok(description) => described(description, &image),
                Err(error) => {
                    let failure = Failure::from(error);
                    DescribedGroup::default().with_error_code(failure.code.code()).with_error_message(failure.text())
                }
            };
            group.group_id = id;
            // Of a group that is not there nothing may be done.
            if request.include_authorized_operations && group.error_code == 0 {
                group.authorized_operations = operations::GROUP;
            }
            group
        });
        ShareGroupDescribeResponse::default().with_groups(groups.collect())
    }
}

fn described(description: ConsumerDescription, image: &Image) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(description.state.to_string().into())
        .with_group_epoch(description.epoch)
        .with_assignment_epoch(description.target_epoch)
        .with_assignor_name(StrBytes::from_static_str(description.assignor))
        .with_members(description.members.into_iter().map(|one| member(one, image)).collect())
}

fn member(member: DescribedConsumer, image: &Image) -> Member {
    let metadata = member.metadata;
    Member::default()
        .with_member_id(member.member.into())
        .with_rack_id(metadata.rack.map(StrBytes::from_string))
        .with_member_epoch(member.epoch)
        .with_client_id(metadata.client_id.into())
        .with_client_host(metadata.client_host.into())
        .with_subscribed_topic_names(metadata.topics.into_iter().map(|name| TopicName(name.into())).collect())
        .with_assignment(assignment(member.assignment, image))
}

/// Topics that are no more are left out: they have no name.
fn assignment(partitions: Partitions, image: &Image) -> Assignment {
    let topics = partitions.into_iter().filter_map(|(id, partitions)| {
        let topic = image.topic(id)?;
        Some(
            TopicPartitions::default()
                .with_topic_id(id.0)
                .with_topic_name(TopicName(topic.name.to_string().into()))
                .with_partitions(partitions.into_iter().collect()),
        )
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
