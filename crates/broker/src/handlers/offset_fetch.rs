//! OffsetFetch: of one group, or of several since version 8.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, TopicName};
use millstream_group::{ByTopic, FetchRequest, FetchedOffset};
use millstream_protocol::ResponseError;
use millstream_types::{LeaderEpoch, Offset};

/// Several groups may be asked for from this version on.
const BATCHED: i16 = 8;
/// An error of the whole group is told from this version on; before, every partition has it.
const TELLS_GROUP_ERROR: i16 = 2;
/// An open transaction may still change the offset.
const UNSTABLE: i16 = ResponseError::UnstableOffsetCommit.code();

impl Broker {
    /// Answers OffsetFetch.
    pub(crate) fn offset_fetch(&self, call: &Call<'_>, request: OffsetFetchRequest) -> OffsetFetchResponse {
        if call.version >= BATCHED {
            let groups = request.groups.into_iter().map(|group| {
                let topics = group.topics.map(|topics| {
                    let topics = topics.into_iter();
                    topics
                        .map(|topic| ByTopic { topic: topic.name.to_string(), partitions: topic.partition_indexes })
                        .collect()
                });
                self.group_offsets(group.group_id, topics, request.require_stable)
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

    fn group_offsets(
        &self,
        id: GroupId,
        topics: Option<Vec<ByTopic<i32>>>,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let fetch = FetchRequest { group: id.to_string(), topics, require_stable };
        let response = OffsetFetchResponseGroup::default().with_group_id(id);
        match self.coordinator.fetch(&fetch) {
            Ok(found) => response.with_topics(found.into_iter().map(one_of_many).collect()),
            Err(error) => response.with_error_code(Failure::from(error).code.code()),
        }
    }
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
