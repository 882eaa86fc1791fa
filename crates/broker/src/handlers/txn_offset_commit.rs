//! TxnOffsetCommit: offsets that count once their transaction commits.

use super::offset_commit::wanted;
use crate::codes;
use crate::service::{Broker, Call};
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
        let (known, unknown): (Vec<_>, Vec<_>) =
            request.topics.into_iter().partition(|topic| image.topic_id(&topic.name).is_some());
        let mut topics: Vec<TxnOffsetCommitResponseTopic> =
            unknown.iter().map(|topic| all(topic, ResponseError::UnknownTopicOrPartition.code())).collect();
        if known.is_empty() {
            return TxnOffsetCommitResponse::default().with_topics(topics);
        }
        let commit = CommitRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.map(|instance| instance.to_string()),
            generation: request.generation_id,
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
                topics.extend(known.iter().map(|topic| all(topic, code)));
            }
            Ok(answers) => topics.extend(answers.into_iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let code = partition.result.as_ref().map_or_else(|error| codes::group(error).code(), |()| 0);
                    one(partition.partition, code)
                });
                let partitions = partitions.collect();
                TxnOffsetCommitResponseTopic::default()
                    .with_name(TopicName(topic.topic.into()))
                    .with_partitions(partitions)
            })),
        }
        TxnOffsetCommitResponse::default().with_topics(topics)
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
