//! OffsetFetch: of one group, or of several since version 8.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, TopicName};
use millstream_group::{ByTopic, FetchRequest, FetchedOffset};
use millstream_metadata::Image;
use millstream_protocol::ResponseError;
use millstream_protocol::messages::OffsetFetchRequest;
use millstream_types::{LeaderEpoch, Offset, TopicId};

/// Several groups may be asked for from this version on.
const BATCHED: i16 = 8;
/// Topics are told by their ids from this version on.
const TOPICS_BY_ID: i16 = 10;
/// An error of the whole group is told from this version on; before, every partition has it.
const TELLS_GROUP_ERROR: i16 = 2;
/// An open transaction may still change the offset.
const UNSTABLE: i16 = ResponseError::UnstableOffsetCommit.code();

impl Broker {
    /// Answers OffsetFetch.
    pub(crate) fn offset_fetch(&self, call: &Call<'_>, request: OffsetFetchRequest) -> OffsetFetchResponse {
        let OffsetFetchRequest { message: request, topic_ids } = request;
        if call.version >= BATCHED {
            let image = self.image();
            let ids = topic_ids.into_iter().chain(std::iter::repeat(Vec::new()));
            let groups = request.groups.into_iter().zip(ids).map(|(group, ids)| {
                // Who gives no epoch is no member.
                let member = group.member_id.filter(|_| group.member_epoch >= 0);
                let mut fetch = FetchRequest {
                    group: group.group_id.to_string(),
                    member: member.map(|member| (member.to_string(), group.member_epoch)),
                    topics: None,
                    require_stable: request.require_stable,
                };
                let Some(topics) = group.topics else {
                    return by_id(&image, self.group_offsets(group.group_id, &fetch));
                };
                let (known, unknown) = match call.version >= TOPICS_BY_ID {
                    true => named(&image, topics, &ids),
                    false => (topics, Vec::new()),
                };
                let asked = known.into_iter();
                let asked =
                    asked.map(|topic| ByTopic { topic: topic.name.to_string(), partitions: topic.partition_indexes });
                fetch.topics = Some(asked.collect());
                let mut found = by_id(&image, self.group_offsets(group.group_id, &fetch));
                if found.error_code == 0 {
                    found.topics.extend(unknown);
                }
                found
            });
            return OffsetFetchResponse::default().with_groups(groups.collect());
        }
        let topics = request.topics.map(|topics| {
            let topics = topics.into_iter();
            topics
                .map(|topic| ByTopic { topic: topic.name.to_string(), partitions: topic.partition_indexes })
                .collect::<Vec<_>>()
        });
        let fetch = FetchRequest {
            group: request.group_id.to_string(),
            member: None,
            topics: topics.clone(),
            require_stable: request.require_stable,
        };
        match self.coordinator.fetch(&fetch) {
            Ok(found) => {
                OffsetFetchResponse::default().with_topics(found.into_iter().map(|topic| single(topic, 0)).collect())
            }
            Err(error) => {
                let code = Failure::from(error).code.code();
                let response = OffsetFetchResponse::default().with_error_code(code);
                if call.version >= TELLS_GROUP_ERROR {
                    return response;
                }
                let failed = topics.unwrap_or_default().into_iter().map(|topic| single(nothing(topic), code));
                OffsetFetchResponse::default().with_topics(failed.collect())
            }
        }
    }

    fn group_offsets(&self, id: GroupId, fetch: &FetchRequest) -> OffsetFetchResponseGroup {
        let response = OffsetFetchResponseGroup::default().with_group_id(id);
        match self.coordinator.fetch(fetch) {
            Ok(found) => response.with_topics(found.into_iter().map(one_of_many).collect()),
            Err(error) => response.with_error_code(Failure::from(error).code.code()),
        }
    }
}

/// Gives topics the names of their ids; those that do not exist are answered.
fn named(
    image: &Image,
    topics: Vec<OffsetFetchRequestTopics>,
    ids: &[uuid::Uuid],
) -> (Vec<OffsetFetchRequestTopics>, Vec<OffsetFetchResponseTopics>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (topic, id) in topics.into_iter().zip(ids) {
        match image.topic(TopicId(*id)) {
            Some(found) => known.push(topic.with_name(TopicName(found.name.to_string().into()))),
            None => {
                let none = nothing(ByTopic { topic: String::new(), partitions: topic.partition_indexes });
                let mut answer = one_of_many(none).with_topic_id(*id);
                for partition in &mut answer.partitions {
                    partition.error_code = ResponseError::UnknownTopicId.code();
                }
                unknown.push(answer);
            }
        }
    }
    (known, unknown)
}

/// The same with the topics' ids, for versions that tell those. A topic that is gone has none, and its offsets go with it.
fn by_id(image: &Image, group: OffsetFetchResponseGroup) -> OffsetFetchResponseGroup {
    let mut group = group;
    for topic in &mut group.topics {
        topic.topic_id = image.topic_id(&topic.name).unwrap_or(TopicId::ZERO).0;
    }
    group
}

fn nothing(topic: ByTopic<i32>) -> ByTopic<FetchedOffset> {
    let none = |partition| FetchedOffset {
        partition,
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::NONE,
        metadata: String::new(),
        is_unstable: false,
    };
    ByTopic { topic: topic.topic, partitions: topic.partitions.into_iter().map(none).collect() }
}

fn single(topic: ByTopic<FetchedOffset>, code: i16) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|found| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(found.partition)
            .with_committed_offset(found.offset.0)
            .with_committed_leader_epoch(found.leader_epoch.0)
            .with_error_code(if found.is_unstable { UNSTABLE } else { code })
            .with_metadata(Some(found.metadata.into()))
    });
    let partitions = partitions.collect();
    OffsetFetchResponseTopic::default().with_name(TopicName(topic.topic.into())).with_partitions(partitions)
}

fn one_of_many(topic: ByTopic<FetchedOffset>) -> OffsetFetchResponseTopics {
    let partitions = topic.partitions.into_iter().map(|found| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(found.partition)
            .with_committed_offset(found.offset.0)
            .with_committed_leader_epoch(found.leader_epoch.0)
            .with_error_code(if found.is_unstable { UNSTABLE } else { 0 })
            .with_metadata(Some(found.metadata.into()))
    });
    let partitions = partitions.collect();
    OffsetFetchResponseTopics::default().with_name(TopicName(topic.topic.into())).with_partitions(partitions)
}
