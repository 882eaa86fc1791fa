//! OffsetCommit.

use crate::codes::{self, Failure};
use crate::service::{Broker, Call};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::protocol::StrBytes;
use millstream_group::{ByTopic, CommitRequest, OffsetCommit};
use millstream_metadata::Image;
use millstream_protocol::ResponseError;
use millstream_protocol::messages::OffsetCommitRequest;
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use std::collections::BTreeMap;

/// The last version that says how long offsets are to be kept.
const LAST_WITH_RETENTION: i16 = 4;
/// A group that is not there is told from this version on; before, its generation is wrong.
const TELLS_NO_GROUP: i16 = 9;
/// Topics are told by their ids from this version on.
const TOPICS_BY_ID: i16 = 10;

/// Members of the new protocol commit with their epoch from this version on.
const SPEAKS_EPOCHS: i16 = 9;

impl Broker {
    /// Answers OffsetCommit, when the offsets are written.
    pub(crate) async fn offset_commit(&self, call: &Call<'_>, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let OffsetCommitRequest { message: request, topic_ids } = request;
        let image = self.image();
        let mut answers = Answers::default();
        let ids = topic_ids.into_iter().map(TopicId).chain(std::iter::repeat(TopicId::ZERO));
        let mut topics = Vec::with_capacity(request.topics.len());
        for (topic, id) in request.topics.iter().zip(ids) {
            let by_id = call.version >= TOPICS_BY_ID;
            let known = if by_id { image.topic(id) } else { image.topic_named(&topic.name) };
            match known {
                // A topic that is not there is told of even if no partition of it was named.
                None => {
                    let unknown =
                        if by_id { ResponseError::UnknownTopicId } else { ResponseError::UnknownTopicOrPartition };
                    let place = answers.topic(topic, id);
                    answers.all(place, topic, unknown);
                }
                Some(_) if topic.partitions.is_empty() => {}
                Some(known) => {
                    let place = answers.place_or_topic(topic, known.id);
                    let index = |sent: &OffsetCommitRequestPartition| PartitionIndex(sent.partition_index);
                    let (here, elsewhere): (Vec<_>, Vec<_>) =
                        topic.partitions.iter().cloned().partition(|sent| known.partition(index(sent)).is_some());
                    let unknown = ResponseError::UnknownTopicOrPartition.code();
                    elsewhere.iter().for_each(|sent| answers.one(place, sent.partition_index, unknown));
                    let name = TopicName(StrBytes::from_string(known.name.to_string()));
                    topics.extend((!here.is_empty()).then(|| wanted((&name, Some(known.id)), &here, fields)));
                }
            }
        }
        let has_retention = call.version <= LAST_WITH_RETENTION && request.retention_time_ms >= 0;
        let commit = CommitRequest {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.map(|instance| instance.to_string()),
            generation: request.generation_id_or_member_epoch,
            speaks_epochs: call.version >= SPEAKS_EPOCHS,
            retention_ms: has_retention.then_some(request.retention_time_ms),
            topics,
        };
        if !commit.topics.is_empty() {
            self.commit(call, &image, commit, &mut answers).await;
        }
        OffsetCommitResponse::default().with_topics(answers.topics)
    }

    async fn commit(&self, call: &Call<'_>, image: &Image, commit: CommitRequest, answers: &mut Answers) {
        let asked: Vec<(String, Vec<i32>)> = commit.topics.iter().map(partitions_of).collect();
        let result = self.coordinator.commit(commit).await;
        let place_of = |name: &str| image.topic_id(name).unwrap_or(TopicId::ZERO);
        match result {
            Err(error) => {
                let code = match Failure::from(error).code {
                    ResponseError::GroupIdNotFound if call.version < TELLS_NO_GROUP => ResponseError::IllegalGeneration,
                    code => code,
                };
                for (name, partitions) in asked {
                    let place = answers.place(&name, place_of(&name));
                    partitions.into_iter().for_each(|partition| answers.one(place, partition, code.code()));
                }
            }
            Ok(committed) => {
                for topic in committed {
                    let place = answers.place(&topic.topic, place_of(&topic.topic));
                    for partition in topic.partitions {
                        let code = partition.result.as_ref().map_or_else(|error| codes::group(error).code(), |()| 0);
                        answers.one(place, partition.partition, code);
                    }
                }
            }
        }
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

/// What each partition met, by topic in the order they were named.
#[derive(Default)]
struct Answers {
    topics: Vec<OffsetCommitResponseTopic>,
    /// By id; topics that do not exist have places of their own.
    places: BTreeMap<TopicId, usize>,
}

impl Answers {
    fn topic(&mut self, topic: &OffsetCommitRequestTopic, id: TopicId) -> usize {
        self.topics.push(OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_topic_id(id.0));
        let place = self.topics.len() - 1;
        self.places.entry(id).or_insert(place);
        place
    }

    /// The place of a topic, which is one however often it is named.
    fn place_or_topic(&mut self, topic: &OffsetCommitRequestTopic, id: TopicId) -> usize {
        let known = self.places.get(&id).copied();
        known.unwrap_or_else(|| self.topic(topic, id))
    }

    fn place(&mut self, name: &str, id: TopicId) -> usize {
        let name = TopicName(name.to_owned().into());
        self.place_or_topic(&OffsetCommitRequestTopic::default().with_name(name), id)
    }

    fn one(&mut self, place: usize, partition: i32, code: i16) {
        let answer = OffsetCommitResponsePartition::default().with_partition_index(partition).with_error_code(code);
        self.topics[place].partitions.push(answer);
    }

    fn all(&mut self, place: usize, topic: &OffsetCommitRequestTopic, code: ResponseError) {
        topic.partitions.iter().for_each(|partition| self.one(place, partition.partition_index, code.code()));
    }
}

fn partitions_of(topic: &ByTopic<OffsetCommit>) -> (String, Vec<i32>) {
    (topic.topic.clone(), topic.partitions.iter().map(|partition| partition.partition).collect())
}
