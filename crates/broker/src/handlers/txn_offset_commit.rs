//! TxnOffsetCommit: offsets that count once their transaction commits.

use super::offset_commit::wanted;
use crate::codes;
use crate::service::{Broker, Call};
use crate::topics;
use crate::transactions::{code, transactor};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::protocol::StrBytes;
use millstream_coordinator::Error;
use millstream_group::CommitRequest;
use millstream_metadata::Image;
use millstream_protocol::ResponseError;
use millstream_txn::Version;

/// The broker adds the group's partition to the transaction from this version on (KIP-890).
const BUMPS: i16 = 5;

impl Broker {
    /// Answers TxnOffsetCommit, when the offsets are written.
    pub(crate) async fn txn_offset_commit(
        &self,
        call: &Call<'_>,
        request: TxnOffsetCommitRequest,
    ) -> TxnOffsetCommitResponse {
        let image = self.image();
        let (known, mut topics) = there(&image, request.topics);
        if known.is_empty() {
            return TxnOffsetCommitResponse::default().with_topics(topics);
        }
        // Before the producer is looked at, as in Kafka.
        if request.group_id.is_empty() {
            known.iter().for_each(|topic| add(&mut topics, all(topic, ResponseError::InvalidGroupId.code())));
            return TxnOffsetCommitResponse::default().with_topics(topics);
        }
        let commit = CommitRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.map(|instance| instance.to_string()),
            generation: request.generation_id,
            speaks_epochs: true,
            retention_ms: None,
            topics: known
                .iter()
                .map(|topic| wanted((&topic.name, image.topic_id(&topic.name)), &topic.partitions, fields))
                .collect(),
        };
        let version = if call.version >= BUMPS { Version::Bumping } else { Version::Classic };
        let identity = (request.producer_id, request.producer_epoch);
        let transactor = transactor(&request.transactional_id, identity, version);
        match self.coordinator.commit_in_transaction(&transactor, commit).await {
            Err(error) => {
                let code = refusal(error);
                known.iter().for_each(|topic| add(&mut topics, all(topic, code)));
            }
            Ok(answers) => answers.into_iter().for_each(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let code = partition.result.as_ref().map_or_else(|error| codes::group(error).code(), |()| 0);
                    one(partition.partition, code)
                });
                let partitions = partitions.collect();
                let name = TopicName(topic.topic.into());
                let answer = TxnOffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions);
                add(&mut topics, answer);
            }),
        }
        TxnOffsetCommitResponse::default().with_topics(topics)
    }
}

/// What of the partitions is there, and the answer for those that are not.
fn there(
    image: &Image,
    topics: Vec<TxnOffsetCommitRequestTopic>,
) -> (Vec<TxnOffsetCommitRequestTopic>, Vec<TxnOffsetCommitResponseTopic>) {
    let mut known = Vec::with_capacity(topics.len());
    let mut unknown = Vec::new();
    for topic in topics {
        let (here, elsewhere): (Vec<_>, Vec<_>) = topic
            .partitions
            .into_iter()
            .partition(|partition| topics::has_partition(image, &topic.name, partition.partition_index));
        let part = |partitions| {
            TxnOffsetCommitRequestTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
        };
        // A topic that is not there is told of even if no partition of it was named.
        if !elsewhere.is_empty() || image.topic_named(&topic.name).is_none() {
            unknown.push(all(&part(elsewhere), ResponseError::UnknownTopicOrPartition.code()));
        }
        if !here.is_empty() {
            known.push(part(here));
        }
    }
    (known, unknown)
}

/// Adds what partitions of a topic met to what others of it did.
fn add(topics: &mut Vec<TxnOffsetCommitResponseTopic>, topic: TxnOffsetCommitResponseTopic) {
    match topics.iter_mut().find(|known| known.name == topic.name) {
        Some(known) => known.partitions.extend(topic.partitions),
        None => topics.push(topic),
    }
}

/// A group that is not known has no generation either.
fn refusal(error: Error) -> i16 {
    match error {
        Error::Group(millstream_group::Error::GroupIdNotFound { .. }) => ResponseError::IllegalGeneration.code(),
        error => code(error, false),
    }
}

fn fields(sent: &TxnOffsetCommitRequestPartition) -> (i32, i64, i32, Option<&StrBytes>) {
    (sent.partition_index, sent.committed_offset, sent.committed_leader_epoch, sent.committed_metadata.as_ref())
}

fn one(index: i32, code: i16) -> TxnOffsetCommitResponsePartition {
    TxnOffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code)
}

fn all(topic: &TxnOffsetCommitRequestTopic, code: i16) -> TxnOffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| one(partition.partition_index, code));
    TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
}
