//! DescribeShareGroupOffsets (KIP-932): how far a share group is, and what it has left.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequestGroup,
};
use kafka_protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponse as Known, DescribeShareGroupOffsetsResponseGroup as Group,
    DescribeShareGroupOffsetsResponsePartition as Partition, DescribeShareGroupOffsetsResponseTopic as Topic,
};
use millstream_group::share::{ShareKey, Summary, UNKNOWN};
use millstream_metadata::Image;
use millstream_protocol::messages::DescribeShareGroupOffsetsResponse;
use millstream_types::{PartitionIndex, TopicId, TopicPartition};
use std::sync::Arc;

/// The partitions that are asked for: a topic's name, its id where it is there, and its partitions.
type Asked = Vec<(String, Option<TopicId>, Vec<i32>)>;

impl Broker {
    /// Answers DescribeShareGroupOffsets.
    pub(crate) async fn describe_share_group_offsets(
        &self,
        request: DescribeShareGroupOffsetsRequest,
    ) -> DescribeShareGroupOffsetsResponse {
        let mut lags = Vec::new();
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            let id = group.group_id.clone();
            let before = lags.len();
            let answer = match self.share_offsets(group, &mut lags).await {
                Ok(topics) => Group::default().with_topics(topics),
                Err(failure) => {
                    lags.truncate(before);
                    Group::default().with_error_code(failure.code.code()).with_error_message(failure.text())
                }
            };
            groups.push(answer.with_group_id(id));
        }
        DescribeShareGroupOffsetsResponse { message: Known::default().with_groups(groups), lags }
    }

    async fn share_offsets(
        &self,
        group: DescribeShareGroupOffsetsRequestGroup,
        lags: &mut Vec<i64>,
    ) -> Result<Vec<Topic>, Failure> {
        let image = self.image();
        let id: Arc<str> = Arc::from(group.group_id.as_str());
        let mut topics = Vec::new();
        for (name, topic, partitions) in self.asked_shares(group, &image)? {
            let mut answers = Vec::with_capacity(partitions.len());
            for partition in partitions {
                let (answer, lag) = match topic {
                    Some(topic) => self.share_offset(ShareKey { group: id.clone(), topic, partition }).await,
                    None => (nothing(partition), UNKNOWN),
                };
                answers.push(answer);
                lags.push(lag);
            }
            let topic = Topic::default().with_topic_id(topic.unwrap_or(TopicId::ZERO).0);
            topics.push(topic.with_topic_name(TopicName(name.into())).with_partitions(answers));
        }
        Ok(topics)
    }

    fn asked_shares(&self, group: DescribeShareGroupOffsetsRequestGroup, image: &Image) -> Result<Asked, Failure> {
        let Some(topics) = group.topics else {
            let shared = self.coordinator.shared_partitions(&group.group_id)?.into_iter();
            let named = shared.filter_map(|(id, partitions)| {
                let topic = image.topic(id)?;
                Some((topic.name.to_string(), Some(id), partitions.into_iter().collect()))
            });
            return Ok(named.collect());
        };
        let asked = topics.into_iter().map(|topic| {
            let id = image.topic_named(&topic.topic_name).map(|topic| topic.id);
            (topic.topic_name.to_string(), id, topic.partitions)
        });
        Ok(asked.collect())
    }

    async fn share_offset(&self, key: ShareKey) -> (Partition, i64) {
        if let Err(error) = self.coordinator.wait_for_share(&key).await {
            return (refused(key.partition, error.into()), UNKNOWN);
        }
        match self.coordinator.share_summary(&key) {
            Ok(summary) => {
                let answer = nothing(key.partition).with_start_offset(summary.start);
                (answer.with_leader_epoch(summary.leader_epoch), self.share_lag(&key, &summary))
            }
            Err(error) => (refused(key.partition, error.into()), UNKNOWN),
        }
    }

    /// Records from the start to the end of the partition that are not settled.
    fn share_lag(&self, key: &ShareKey, summary: &Summary) -> i64 {
        if summary.start == UNKNOWN || summary.complete < 0 {
            return UNKNOWN;
        }
        let partition = TopicPartition { topic: key.topic, partition: PartitionIndex(key.partition) };
        let end = self.partitions.get(partition).map(|partition| partition.bounds().high_watermark.0);
        end.map_or(UNKNOWN, |end| (end - summary.start - i64::from(summary.complete)).max(0))
    }
}

fn nothing(partition: i32) -> Partition {
    Partition::default().with_partition_index(partition).with_start_offset(UNKNOWN)
}

fn refused(partition: i32, failure: Failure) -> Partition {
    nothing(partition).with_error_code(failure.code.code()).with_error_message(failure.text())
}
