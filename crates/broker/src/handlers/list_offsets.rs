//! ListOffsets: the offset at a time, or at one of the ends.

use crate::codes::Failure;
use crate::handlers::fetch::isolation;
use crate::service::{Broker, Call};
use futures::future::join_all;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use millstream_partition::{Isolation, OffsetAt, TimeQuery};
use millstream_protocol::ResponseError;
use millstream_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use millstream_types::{LeaderEpoch, TimestampMs};
use std::collections::BTreeSet;

/// Answers name the epoch from this version on.
const TELLS_EPOCH: i16 = 4;
// Kafka's numbers for "not a time": the wire's, never renumber.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

impl Broker {
    /// Answers ListOffsets.
    pub(crate) async fn list_offsets(&self, call: &Call<'_>, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let isolation = isolation(request.isolation_level);
        let mut topics: Vec<ListOffsetsTopicResponse> = Vec::with_capacity(request.topics.len());
        let twice = named_twice(&request.message.topics);
        let mut told = BTreeSet::new();
        for topic in request.message.topics {
            let name = &topic.name;
            let is_again = |index| twice.contains(&(name.clone(), index));
            let (isolation, told) = (&isolation, &mut told);
            let answers: Vec<_> = topic
                .partitions
                .into_iter()
                // One that is named twice is told of once.
                .filter(|partition| isolation.is_err() || told.insert((name.clone(), partition.partition_index)))
                .map(|partition| async move {
                    let index = partition.partition_index;
                    let found = match isolation {
                        Err(failure) => Err(failure.clone()),
                        Ok(_) if is_again(index) => {
                            Err(Failure::new(ResponseError::InvalidRequest, "the partition is named twice"))
                        }
                        Ok(isolation) => self.offset_at(call, name, partition, *isolation).await,
                    };
                    answer(call.version, index, found)
                })
                .collect();
            let partitions = join_all(answers).await;
            // Unless the whole request is refused, what nothing was asked of is not told of.
            if partitions.is_empty() && isolation.is_ok() {
                continue;
            }
            // A topic that is named again is told of where it was first, as long as its partitions are looked at.
            let before = topics.iter_mut().find(|told| isolation.is_ok() && told.name == topic.name);
            if let Some(before) = before {
                before.partitions.extend(partitions);
                continue;
            }
            topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
        }
        kafka_protocol::messages::ListOffsetsResponse::default().with_topics(topics).into()
    }

    async fn offset_at(
        &self,
        call: &Call<'_>,
        topic: &str,
        partition: ListOffsetsPartition,
        isolation: Isolation,
    ) -> Result<Option<OffsetAt>, Failure> {
        let query = query(partition.timestamp, call.version, isolation)?;
        let handle = self.partition(topic, partition.partition_index)?;
        let Some(query) = query else { return Ok(None) };
        let epoch = LeaderEpoch(partition.current_leader_epoch);
        let found = handle.offset_for_time(query, epoch).await?;
        // A record is told only to who could read it now.
        let is_record = matches!(query, TimeQuery::At(_) | TimeQuery::MaxTimestamp);
        let end = handle.bounds().end(isolation);
        Ok(found.filter(|found| !is_record || found.offset < end))
    }
}

fn named_twice(topics: &[ListOffsetsTopic]) -> BTreeSet<(TopicName, i32)> {
    let mut seen = BTreeSet::new();
    let named = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.clone(), partition.partition_index)));
    named.filter(|one| !seen.insert(one.clone())).collect()
}

/// What a timestamp asks for; none where there is never such an offset here. Each special number is known from a version on.
fn query(timestamp: i64, version: i16, isolation: Isolation) -> Result<Option<TimeQuery>, Failure> {
    let (query, since) = match timestamp {
        LATEST => (Some(TimeQuery::Latest(isolation)), 0),
        EARLIEST => (Some(TimeQuery::Earliest), 0),
        MAX_TIMESTAMP => (Some(TimeQuery::MaxTimestamp), 7),
        EARLIEST_LOCAL => (Some(TimeQuery::EarliestLocal), 8),
        LATEST_TIERED => (Some(TimeQuery::LatestTiered), 9),
        // What waits for its upload is known to `tier` alone.
        EARLIEST_PENDING_UPLOAD => (None, 11),
        time if time < 0 => {
            return Err(Failure::new(
                ResponseError::UnsupportedVersion,
                format!("no offset has the special timestamp {time}"),
            ));
        }
        time => (Some(TimeQuery::At(TimestampMs(time))), 0),
    };
    if version < since {
        let message =
            format!("the special timestamp {timestamp} is known from version {since}, and this request has {version}");
        return Err(Failure::new(ResponseError::UnsupportedVersion, message));
    }
    Ok(query)
}

fn answer(version: i16, index: i32, found: Result<Option<OffsetAt>, Failure>) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match found {
        Ok(Some(OffsetAt { offset, timestamp, leader_epoch })) => {
            let response = response.with_offset(offset.0).with_timestamp(timestamp.0);
            if version >= TELLS_EPOCH { response.with_leader_epoch(leader_epoch.0) } else { response }
        }
        Ok(None) => response,
        Err(failure) => response.with_error_code(failure.code.code()),
    }
}
