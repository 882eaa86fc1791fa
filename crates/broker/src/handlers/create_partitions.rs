//! CreatePartitions: more partitions for topics that exist.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};
use millstream_metadata::partitions::{Grow, create_partitions};
use millstream_metadata::topics::{TopicRef, find};
use millstream_protocol::ResponseError;
use millstream_types::BrokerId;
use std::collections::BTreeSet;

/// Who is above its quota is refused from this version on (KIP-599).
const STRICT: i16 = 3;

impl Broker {
    /// Answers CreatePartitions.
    pub(crate) async fn create_partitions(
        &self,
        call: &Call<'_>,
        request: CreatePartitionsRequest,
    ) -> CreatePartitionsResponse {
        let mut seen = BTreeSet::new();
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let name = topic.name.clone();
            let done = match seen.insert(name.clone()) {
                true => self.grow(call, topic, request.validate_only).await,
                false => Err(Failure::new(ResponseError::InvalidRequest, "the topic is named twice in one request")),
            };
            let result = CreatePartitionsTopicResult::default().with_name(name);
            results.push(match done {
                Ok(()) => result,
                Err(failure) => result.with_error_code(failure.code.code()).with_error_message(failure.text()),
            });
        }
        CreatePartitionsResponse::default().with_results(results)
    }

    async fn grow(&self, call: &Call<'_>, topic: CreatePartitionsTopic, validate_only: bool) -> Result<(), Failure> {
        let assignments = topic.assignments.map(|assignments| {
            let brokers =
                assignments.iter().map(|one| one.broker_ids.iter().map(|broker| BrokerId(broker.0)).collect());
            brokers.collect::<Vec<Vec<BrokerId>>>()
        });
        let request = Grow {
            topic: TopicRef::Name(topic.name.to_string()),
            count: topic.count,
            assignments,
            draw: self.runtime.random.next_u64(),
            validate_only,
        };
        let grown = self.quorum.decide(move |image| {
            let decision = create_partitions(image, &request)?;
            let there = find(image, &request.topic)?.partitions.len();
            let added = usize::try_from(request.count).unwrap_or(0).saturating_sub(there);
            call.mutations.take(image, added, call.version >= STRICT)?;
            Ok(decision)
        });
        grown.await?;
        Ok(())
    }
}
