//! AlterShareGroupOffsets (KIP-932): where a share group without members is to start.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequest;
use kafka_protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponse, AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use millstream_group::{AlterShares, AlteredTopic};
use millstream_types::TopicId;

impl Broker {
    /// Answers AlterShareGroupOffsets, when it is stored.
    pub(crate) async fn alter_share_group_offsets(
        &self,
        request: AlterShareGroupOffsetsRequest,
    ) -> AlterShareGroupOffsetsResponse {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.into_iter().map(|one| (one.partition_index, one.start_offset));
            (topic.topic_name.to_string(), partitions.collect())
        });
        let altered = AlterShares { group: request.group_id.to_string(), topics: topics.collect() };
        let altered = self.coordinator.alter_share_offsets(altered).await;
        self.shares.close_group(&request.group_id);
        match altered {
            Ok(topics) => {
                AlterShareGroupOffsetsResponse::default().with_responses(topics.into_iter().map(answered).collect())
            }
            Err(error) => {
                let failure = Failure::from(error);
                AlterShareGroupOffsetsResponse::default()
                    .with_error_code(failure.code.code())
                    .with_error_message(failure.text())
            }
        }
    }
}

fn answered(topic: AlteredTopic) -> AlterShareGroupOffsetsResponseTopic {
    let partitions = topic.partitions.into_iter().map(|one| {
        let partition = AlterShareGroupOffsetsResponsePartition::default().with_partition_index(one.partition);
        match one.result {
            Ok(()) => partition,
            Err(error) => {
                let failure = Failure::from(error);
                partition.with_error_code(failure.code.code()).with_error_message(failure.text())
            }
        }
    });
    AlterShareGroupOffsetsResponseTopic::default()
        .with_topic_name(TopicName(topic.name.into()))
        .with_topic_id(topic.id.unwrap_or(TopicId::ZERO).0)
        .with_partitions(partitions.collect())
}
