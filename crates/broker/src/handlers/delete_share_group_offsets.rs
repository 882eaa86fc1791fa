//! DeleteShareGroupOffsets (KIP-932): a share group without members forgets how far it was in topics.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequest;
use kafka_protocol::messages::delete_share_group_offsets_response::{
    DeleteShareGroupOffsetsResponse, DeleteShareGroupOffsetsResponseTopic,
};
use millstream_group::DeletedTopic;
use millstream_types::TopicId;

impl Broker {
    /// Answers DeleteShareGroupOffsets, when it is stored.
    pub(crate) async fn delete_share_group_offsets(
        &self,
        request: DeleteShareGroupOffsetsRequest,
    ) -> DeleteShareGroupOffsetsResponse {
        let topics = request.topics.into_iter().map(|topic| topic.topic_name.to_string()).collect();
        let deleted = self.coordinator.delete_share_offsets(&request.group_id, Some(topics)).await;
        self.shares.close_group(&request.group_id);
        match deleted {
            Ok(topics) => {
                DeleteShareGroupOffsetsResponse::default().with_responses(topics.into_iter().map(answered).collect())
            }
            Err(error) => {
                let failure = Failure::from(error);
                DeleteShareGroupOffsetsResponse::default()
                    .with_error_code(failure.code.code())
                    .with_error_message(failure.text())
            }
        }
    }
}

fn answered(topic: DeletedTopic) -> DeleteShareGroupOffsetsResponseTopic {
    let id = if topic.result.is_ok() { topic.id.unwrap_or(TopicId::ZERO) } else { TopicId::ZERO };
    let answer = DeleteShareGroupOffsetsResponseTopic::default()
        .with_topic_name(TopicName(topic.name.into()))
        .with_topic_id(id.0);
    match topic.result {
        Ok(()) => answer,
        Err(error) => {
            let failure = Failure::from(error);
            answer.with_error_code(failure.code.code()).with_error_message(failure.text())
        }
    }
}
