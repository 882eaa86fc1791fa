//! DescribeTopicPartitions: topics with their partitions, a page at a time (KIP-966).

use crate::codes::Failure;
use crate::endpoints;
use crate::operations;
use crate::service::{Broker, Call};
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId as WireBroker, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};
use millstream_metadata::{Image, Partition, Topic};
use millstream_protocol::{ResponseError, StrBytes};
use millstream_types::{BrokerId, PartitionIndex};
use std::collections::BTreeSet;

/// Partitions of one answer, whatever a client asks for (Kafka's `max.request.partition.size.limit`).
const PARTITIONS_MAX: usize = 2_000;

impl Broker {
    /// Answers DescribeTopicPartitions.
    pub(crate) fn describe_topic_partitions(
        &self,
        call: &Call<'_>,
        request: DescribeTopicPartitionsRequest,
    ) -> DescribeTopicPartitionsResponse {
        let cursor = request.cursor.map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
        let named: BTreeSet<String> = request.topics.iter().map(|topic| topic.name.to_string()).collect();
        let all = named.is_empty();
        let image = self.image();
        let mut names = if all { image.topics().map(|topic| topic.name.to_string()).collect() } else { named.clone() };
        if let Some((first, partition)) = &cursor {
            if *partition < 0 || !(all || named.contains(first)) {
                return refused(named);
            }
            names = names.split_off(first);
        }
        let start = cursor.filter(|(name, _)| names.first() == Some(name)).map_or(0, |(_, partition)| partition);
        let limit = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, PARTITIONS_MAX);
        let mut page = Page { image: &image, listener: call.listener, left: limit, topics: Vec::new(), next: None };
        page.fill(names, start, all);
        DescribeTopicPartitionsResponse::default().with_topics(page.topics).with_next_cursor(page.next)
    }
}

/// Topics as many as fit.
struct Page<'a> {
    image: &'a Image,
    listener: &'a str,
    left: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next: Option<Cursor>,
}

impl Page<'_> {
    fn fill(&mut self, names: BTreeSet<String>, start: i32, skip_missing: bool) {
        let mut start = start;
        for name in names {
            if self.left == 0 {
                self.next = Some(cursor(&name, 0));
                return;
            }
            match self.image.topic_named(&name) {
                Some(topic) => {
                    if let Some(next) = self.topic(topic, start) {
                        self.next = Some(cursor(&name, next));
                        return;
                    }
                }
                None if skip_missing => {}
                None => self.topics.push(missing(&name)),
            }
            start = 0;
        }
    }

    /// Tells of a topic from partition `start`; the partition to go on with, where they did not fit.
    fn topic(&mut self, topic: &Topic, start: i32) -> Option<i32> {
        let rest: Vec<_> = topic.partitions().filter(|(index, _)| index.0 >= start).take(self.left + 1).collect();
        let told = rest.iter().take(self.left).map(|(index, partition)| self.partition(*index, partition)).collect();
        let next = rest.get(self.left).map(|(index, _)| index.0);
        self.left = self.left.saturating_sub(rest.len());
        self.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
                .with_topic_id(topic.id.0)
                .with_is_internal(crate::topics::is_internal(&topic.name))
                .with_partitions(told)
                .with_topic_authorized_operations(operations::TOPIC),
        );
        next
    }

    fn partition(&self, index: PartitionIndex, partition: &Partition) -> DescribeTopicPartitionsResponsePartition {
        let code = endpoints::leader_error(self.image, self.listener, partition.leader);
        let brokers = |ids: &[BrokerId]| ids.iter().map(|id| WireBroker(id.0)).collect::<Vec<_>>();
        let offline = partition.replicas.iter().filter(|id| !self.image.is_alive(**id)).map(|id| WireBroker(id.0));
        DescribeTopicPartitionsResponsePartition::default()
            .with_error_code(code.map_or(0, |code| code.code()))
            .with_partition_index(index.0)
            .with_leader_id(WireBroker(partition.leader.0))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(brokers(&partition.replicas))
            .with_isr_nodes(brokers(&partition.isr))
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
            .with_offline_replicas(offline.collect())
    }
}

fn cursor(topic: &str, partition: i32) -> Cursor {
    Cursor::default()
        .with_topic_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_index(partition)
}

fn failed(name: &str, code: ResponseError) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.code())
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        .with_is_internal(crate::topics::is_internal(name))
}

fn missing(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match millstream_metadata::topics::check_name(name) {
        Err(error) => Failure::from(error).code,
        Ok(()) => ResponseError::UnknownTopicOrPartition,
    };
    failed(name, code).with_is_internal(false).with_topic_authorized_operations(operations::TOPIC)
}

/// A cursor that can't be one of ours: the protocol has no place for that but each topic's.
fn refused(named: BTreeSet<String>) -> DescribeTopicPartitionsResponse {
    let topics = named.iter().map(|name| failed(name, ResponseError::InvalidRequest).with_is_internal(false));
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}
