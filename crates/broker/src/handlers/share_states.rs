//! The five APIs of the share coordinator (KIP-932): brokers that lead share partitions, and coordinators of share groups, keep their states by
//! them. On one node they are asked within it; over the wire they answer the same. As in Kafka nothing is done at all where a topic is named
//! without partitions, unless states are to begin; and what has no state is told before that there is no such partition.

use crate::codes::Failure;
use crate::service::Broker;
use crate::topics;
use futures::future::join_all;
use kafka_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
    delete_share_group_state_response as deleted, initialize_share_group_state_response as initialized,
    read_share_group_state_response as read, read_share_group_state_summary_response as summary,
    write_share_group_state_request as write_request, write_share_group_state_response as written,
};
use millstream_group::share::{Delivery, ShareKey, StateBatch, WriteState};
use millstream_protocol::messages::{
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
};
use millstream_protocol::{ResponseError, StrBytes};
use millstream_types::TopicId;
use std::future::Future;
use std::sync::Arc;

/// What became of one partition: an answer, or a code and words.
type Answered<T> = Vec<(uuid::Uuid, Vec<(i32, Result<T, Failure>)>)>;

impl Broker {
    /// Answers InitializeShareGroupState.
    pub(crate) async fn initialize_share_states(
        &self,
        request: InitializeShareGroupStateRequest,
    ) -> InitializeShareGroupStateResponse {
        // What nothing is asked of is not told of.
        let named = request.topics.into_iter().filter(|topic| !topic.partitions.is_empty());
        let topics = named.map(|topic| (topic.topic_id, topic.partitions));
        let answered = each(
            &request.group_id,
            topics,
            |partition| partition.partition,
            |key, asked| async move {
                self.check_shared(&key)?;
                Ok(self.coordinator.initialize_share(&key, asked.state_epoch, asked.start_offset).await?)
            },
        );
        let results = answered.await.into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(partition, outcome)| {
                let (code, message) = refusal(outcome.err());
                let result = initialized::PartitionResult::default().with_partition(partition);
                result.with_error_code(code).with_error_message(message)
            });
            initialized::InitializeStateResult::default().with_topic_id(topic).with_partitions(partitions.collect())
        });
        InitializeShareGroupStateResponse::default().with_results(results.collect())
    }

    /// Answers WriteShareGroupState.
    pub(crate) async fn write_share_states(
        &self,
        request: WriteShareGroupStateRequest,
    ) -> WriteShareGroupStateResponse {
        let WriteShareGroupStateRequest { message, complete } = request;
        let mut complete = complete.into_iter().chain(std::iter::repeat(-1));
        let topics = message.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.into_iter().zip(complete.by_ref());
            (topic.topic_id, partitions.collect())
        });
        let answered = each(
            &message.group_id,
            topics,
            |(partition, _)| partition.partition,
            |key, (asked, complete)| async move {
                check_named(&key)?;
                self.coordinator.write_share(&key, &write_state(&asked, complete)?).await?;
                self.check_shared(&key)
            },
        );
        let results = answered.await.into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(partition, outcome)| {
                let (code, message) = refusal(outcome.err());
                let result = written::PartitionResult::default().with_partition(partition);
                result.with_error_code(code).with_error_message(message)
            });
            written::WriteStateResult::default().with_topic_id(topic).with_partitions(partitions.collect())
        });
        let results = results.collect();
        kafka_protocol::messages::WriteShareGroupStateResponse::default().with_results(results).into()
    }

    /// Answers DeleteShareGroupState. What is kept of a topic goes with it, without being asked.
    pub(crate) async fn delete_share_states(
        &self,
        request: DeleteShareGroupStateRequest,
    ) -> DeleteShareGroupStateResponse {
        let topics = request.topics.into_iter().map(|topic| (topic.topic_id, topic.partitions));
        let answered = each(
            &request.group_id,
            topics,
            |partition| partition.partition,
            |key, _| async move {
                self.check_shared(&key)?;
                Ok(self.coordinator.delete_share(&key).await?)
            },
        );
        let results = answered.await.into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(partition, outcome)| {
                let (code, message) = refusal(outcome.err());
                let result = deleted::PartitionResult::default().with_partition(partition);
                result.with_error_code(code).with_error_message(message)
            });
            deleted::DeleteStateResult::default().with_topic_id(topic).with_partitions(partitions.collect())
        });
        DeleteShareGroupStateResponse::default().with_results(results.collect())
    }

    /// Answers ReadShareGroupState.
    pub(crate) async fn read_share_states(&self, request: ReadShareGroupStateRequest) -> ReadShareGroupStateResponse {
        let topics = request.topics.into_iter().map(|topic| (topic.topic_id, topic.partitions));
        let answered = each(
            &request.group_id,
            topics,
            |partition| partition.partition,
            |key, asked| async move {
                check_named(&key)?;
                let state = self.coordinator.read_share(&key, asked.leader_epoch).await?;
                self.check_shared(&key).map(|()| state)
            },
        );
        let results = answered.await.into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(partition, outcome)| {
                let result = read::PartitionResult::default().with_partition(partition);
                match outcome {
                    Ok(state) => result
                        .with_state_epoch(state.state_epoch)
                        .with_start_offset(state.start)
                        .with_state_batches(state.batches.iter().map(told).collect()),
                    Err(failure) => result.with_error_code(failure.code.code()).with_error_message(failure.text()),
                }
            });
            read::ReadStateResult::default().with_topic_id(topic).with_partitions(partitions.collect())
        });
        ReadShareGroupStateResponse::default().with_results(results.collect())
    }

    /// Answers ReadShareGroupStateSummary.
    pub(crate) async fn share_state_summaries(
        &self,
        request: ReadShareGroupStateSummaryRequest,
    ) -> ReadShareGroupStateSummaryResponse {
        let message = request.message;
        let topics = message.topics.into_iter().map(|topic| (topic.topic_id, topic.partitions));
        let answered = each(
            &message.group_id,
            topics,
            |partition| partition.partition,
            |key, _| async move {
                self.check_shared(&key)?;
                Ok(self.coordinator.share_summary(&key)?)
            },
        );
        let mut complete = Vec::new();
        let results = answered.await.into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(partition, outcome)| {
                complete.push(outcome.as_ref().map_or(-1, |told| told.complete));
                let result = summary::PartitionResult::default().with_partition(partition);
                match outcome {
                    Ok(told) => result
                        .with_state_epoch(told.state_epoch)
                        .with_leader_epoch(told.leader_epoch)
                        .with_start_offset(told.start),
                    Err(failure) => result.with_error_code(failure.code.code()).with_error_message(failure.text()),
                }
            });
            summary::ReadStateSummaryResult::default().with_topic_id(topic).with_partitions(partitions.collect())
        });
        let results = results.collect();
        let message = kafka_protocol::messages::ReadShareGroupStateSummaryResponse::default().with_results(results);
        ReadShareGroupStateSummaryResponse { message, complete }
    }

    /// That the share partition is of a partition that exists.
    fn check_shared(&self, key: &ShareKey) -> Result<(), Failure> {
        check_named(key)?;
        let image = self.image();
        if image.topic(key.topic).is_some_and(|topic| topics::has_partition(&image, &topic.name, key.partition)) {
            return Ok(());
        }
        let message = format!("topic {} has no partition {}, or there is no such topic", key.topic, key.partition);
        Err(Failure::new(ResponseError::UnknownTopicOrPartition, message))
    }
}

/// Asks for every partition at once, and gives the answers in the order asked. Nobody's states are none, and nothing is asked where a topic is
/// named without partitions.
async fn each<P, T, F: Future<Output = Result<T, Failure>>>(
    group: &str,
    topics: impl Iterator<Item = (uuid::Uuid, Vec<P>)>,
    index: impl Fn(&P) -> i32,
    ask: impl Fn(ShareKey, P) -> F,
) -> Answered<T> {
    let topics: Vec<(uuid::Uuid, Vec<P>)> = topics.collect();
    if group.is_empty() || topics.iter().any(|(_, partitions)| partitions.is_empty()) {
        return Vec::new();
    }
    let group: Arc<str> = Arc::from(group);
    let (index, ask) = (&index, &ask);
    let asking = topics.into_iter().map(|(topic, partitions)| {
        let asking = partitions.into_iter().map(|asked| {
            let partition = index(&asked);
            let key = ShareKey { group: group.clone(), topic: TopicId(topic), partition };
            let answer = ask(key, asked);
            async move { (partition, answer.await) }
        });
        let asking: Vec<_> = asking.collect();
        async move { (topic, join_all(asking).await) }
    });
    let asking: Vec<_> = asking.collect();
    join_all(asking).await
}

fn check_named(key: &ShareKey) -> Result<(), Failure> {
    if key.partition >= 0 {
        return Ok(());
    }
    Err(Failure::new(ResponseError::InvalidRequest, "a partition is a number from 0"))
}

fn refusal(failure: Option<Failure>) -> (i16, Option<StrBytes>) {
    failure.map_or((0, None), |failure| (failure.code.code(), failure.text()))
}

fn write_state(asked: &write_request::PartitionData, complete: i32) -> Result<WriteState, Failure> {
    let batch = |batch: &write_request::StateBatch| {
        let (first, last, count) = (batch.first_offset, batch.last_offset, batch.delivery_count);
        let delivery = Delivery::of_id(batch.delivery_state).filter(|_| first >= 0 && first <= last && last < i64::MAX);
        let why = || format!("records {first} to {last} in state {}: there is no such thing", batch.delivery_state);
        let delivery = delivery.ok_or_else(|| Failure::new(ResponseError::InvalidRequest, why()))?;
        Ok(StateBatch { first, last, delivery, count })
    };
    Ok(WriteState {
        state_epoch: asked.state_epoch,
        leader_epoch: asked.leader_epoch,
        start: asked.start_offset,
        complete,
        batches: asked.state_batches.iter().map(batch).collect::<Result<_, Failure>>()?,
    })
}

fn told(batch: &StateBatch) -> read::StateBatch {
    read::StateBatch::default()
        .with_first_offset(batch.first)
        .with_last_offset(batch.last)
        .with_delivery_state(batch.delivery.id())
        .with_delivery_count(batch.count)
}
