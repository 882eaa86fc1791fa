//! OffsetDelete: forgets a group's offsets of some partitions.

use crate::codes::{self, Failure};
use crate::service::Broker;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequest as WireRequest, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use millstream_group::{ByTopic, OffsetDeleteRequest};
use millstream_protocol::ResponseError;

impl Broker {
    /// Answers OffsetDelete.
    pub(crate) async fn offset_delete(&self, request: WireRequest) -> OffsetDeleteResponse {
        let image = self.image();
        let (known, unknown): (Vec<_>, Vec<_>) =
            request.topics.into_iter().partition(|topic| image.topic_id(&topic.name).is_some());
        let topics = known.iter().map(|topic| ByTopic {
            topic: topic.name.to_string(),
            partitions: topic.partitions.iter().map(|partition| partition.partition_index).collect(),
        });
        let delete = OffsetDeleteRequest { group: request.group_id.to_string(), topics: topics.collect() };
        let deleted = match self.coordinator.delete_offsets(delete).await {
            Ok(deleted) => deleted,
            Err(error) => return OffsetDeleteResponse::default().with_error_code(Failure::from(error).code.code()),
        };
        let answered = deleted.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let code = partition.result.as_ref().map_or_else(|error| codes::group(error).code(), |()| 0);
                OffsetDeleteResponsePartition::default().with_partition_index(partition.partition).with_error_code(code)
            });
            let partitions = partitions.collect();
            OffsetDeleteResponseTopic::default().with_name(TopicName(topic.topic.into())).with_partitions(partitions)
        });
        OffsetDeleteResponse::default().with_topics(answered.chain(unknown.iter().map(failed)).collect())
    }
}

fn failed(topic: &OffsetDeleteRequestTopic) -> OffsetDeleteResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| {
        OffsetDeleteResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(ResponseError::UnknownTopicOrPartition.code())
    });
    OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
}
