//! OffsetDelete: forgets a group's offsets of some partitions.

use crate::codes::{self, Failure};
use crate::service::Broker;
use crate::topics;
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
        let mut refused = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
            let (known, unknown): (Vec<i32>, Vec<i32>) =
                indexes.partition(|index| topics::has_partition(&image, &topic.name, *index));
            if !known.is_empty() {
                topics.push(ByTopic { topic: topic.name.to_string(), partitions: known });
            }
            // A topic that is not there is told of even if no partition of it was named.
            if !unknown.is_empty() || image.topic_named(&topic.name).is_none() {
                refused.push(failed(topic, &unknown));
            }
        }
        let delete = OffsetDeleteRequest { group: request.group_id.to_string(), topics };
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
        let mut answers: Vec<OffsetDeleteResponseTopic> = answered.collect();
        for topic in refused {
            match answers.iter_mut().find(|known| known.name == topic.name) {
                Some(known) => known.partitions.extend(topic.partitions),
                None => answers.push(topic),
            }
        }
        OffsetDeleteResponse::default().with_topics(answers)
    }
}

fn failed(topic: &OffsetDeleteRequestTopic, partitions: &[i32]) -> OffsetDeleteResponseTopic {
    let partitions = partitions.iter().map(|index| {
        OffsetDeleteResponsePartition::default()
            .with_partition_index(*index)
            .with_error_code(ResponseError::UnknownTopicOrPartition.code())
    });
    OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
}
