//! OffsetCommit.

use crate::codes::{self, Failure};
use crate::service::{Broker, Call};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::protocol::StrBytes;
use millstream_group::{ByTopic, CommitRequest, OffsetCommit};
use millstream_protocol::ResponseError;
use millstream_types::{LeaderEpoch, Offset, TopicId};

/// The last version that says how long offsets are to be kept.
const LAST_WITH_RETENTION: i16 = 4;

impl Broker {
    /// Answers OffsetCommit, when the offsets are written.
    pub(crate) async fn offset_commit(&self, call: &Call<'_>, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let image = self.image();
        let (known, unknown): (Vec<_>, Vec<_>) =
            request.topics.into_iter().partition(|topic| image.topic_id(&topic.name).is_some());
        let mut topics: Vec<OffsetCommitResponseTopic> =
            unknown.iter().map(|topic| all(topic, ResponseError::UnknownTopicOrPartition)).collect();
        let has_retention = call.version <= LAST_WITH_RETENTION && request.retention_time_ms >= 0;
        let commit = CommitRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.map(|instance| instance.to_string()),
            generation: request.generation_id_or_member_epoch,
            retention_ms: has_retention.then_some(request.retention_time_ms),
            topics: known
                .iter()
                .map(|topic| wanted((&topic.name, image.topic_id(&topic.name)), &topic.partitions, fields))
                .collect(),
        };
        if commit.topics.is_empty() {
            return OffsetCommitResponse::default().with_topics(topics);
        }
        match self.coordinator.commit(commit).await {
            Err(error) => {
                let code = Failure::from(error).code;
                topics.extend(known.iter().map(|topic| all(topic, code)));
            }
            Ok(answers) => topics.extend(answers.into_iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let code = partition.result.as_ref().map_or_else(|error| codes::group(error).code(), |()| 0);
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition)
                        .with_error_code(code)
                });
                let partitions = partitions.collect();
                OffsetCommitResponseTopic::default()
                    .with_name(TopicName(topic.topic.into()))
                    .with_partitions(partitions)
            })),
        }
        OffsetCommitResponse::default().with_topics(topics)
    }
}

/// A topic's offsets, from the fields that each partition of either kind of commit has: index, offset, leader epoch, metadata.
pub(super) fn wanted<'a, P>(
    (name, id): (&TopicName, Option<TopicId>),
    partitions: &'a [P],
    fields: impl Fn(&'a P) -> (i32, i64, i32, Option<&'a StrBytes>),
) -> ByTopic<OffsetCommit> {
    let offset = |sent| {
        let (partition, offset, leader_epoch, metadata) = fields(sent);
        OffsetCommit {
            partition,
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(leader_epoch),
            metadata: metadata.map(ToString::to_string).unwrap_or_default(),
            topic_id: id.unwrap_or(TopicId::ZERO),
        }
    };
    ByTopic { topic: name.to_string(), partitions: partitions.iter().map(offset).collect() }
}

fn fields(sent: &OffsetCommitRequestPartition) -> (i32, i64, i32, Option<&StrBytes>) {
    (sent.partition_index, sent.committed_offset, sent.committed_leader_epoch, sent.committed_metadata.as_ref())
}

fn all(topic: &OffsetCommitRequestTopic, code: ResponseError) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| {
        OffsetCommitResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(code.code())
    });
    OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
}
