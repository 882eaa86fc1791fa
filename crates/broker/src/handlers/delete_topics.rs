//! DeleteTopics, by name or by id.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use kafka_protocol::protocol::StrBytes;
use millstream_metadata::topics::{TopicRef, delete};
use millstream_protocol::ResponseError;
use millstream_types::TopicId;

/// Who is above its quota is refused from this version on (KIP-599).
const STRICT: i16 = 5;

impl Broker {
    /// Answers DeleteTopics.
    pub(crate) async fn delete_topics(&self, call: &Call<'_>, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let by_name = request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name)));
        let mut responses = Vec::new();
        for topic in request.topics.into_iter().chain(by_name) {
            let asked = DeletableTopicResult::default().with_name(topic.name.clone()).with_topic_id(topic.topic_id);
            responses.push(match self.delete_one(call, topic).await {
                Ok((id, name)) => asked.with_name(Some(name)).with_topic_id(id.0),
                Err(failure) => asked.with_error_code(failure.code.code()).with_error_message(failure.text()),
            });
        }
        DeleteTopicsResponse::default().with_responses(responses)
    }

    async fn delete_one(&self, call: &Call<'_>, topic: DeleteTopicState) -> Result<(TopicId, TopicName), Failure> {
        let id = TopicId(topic.topic_id);
        let topic = match topic.name {
            Some(_) if id != TopicId::ZERO => {
                return Err(Failure::new(ResponseError::InvalidRequest, "name the topic or give its id, not both"));
            }
            Some(name) => TopicRef::Name(name.to_string()),
            None if id == TopicId::ZERO => {
                return Err(Failure::new(ResponseError::InvalidRequest, "name the topic or give its id"));
            }
            None => TopicRef::Id(id),
        };
        let deleted = self.quorum.decide(move |image| {
            let decision = delete(image, &topic)?;
            call.mutations.take(image, decision.answer.partitions.len(), call.version >= STRICT)?;
            Ok(decision)
        });
        let deleted = deleted.await?;
        Ok((deleted.id, TopicName(StrBytes::from_string(deleted.name.to_string()))))
    }
}
