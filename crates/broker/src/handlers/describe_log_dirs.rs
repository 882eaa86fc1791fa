//! DescribeLogDirs: what takes how much of the data folder.

use crate::service::Broker;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::protocol::StrBytes;
use millstream_partition::PartitionHandle;
use millstream_protocol::ResponseError;
use millstream_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use std::collections::{BTreeMap, BTreeSet};

impl Broker {
    /// Answers DescribeLogDirs. There is one folder.
    pub(crate) async fn describe_log_dirs(&self, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
        let wanted = request.message.topics.map(|topics| {
            let pairs = topics.into_iter().flat_map(|topic| {
                let name = topic.topic.to_string();
                topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
            });
            pairs.collect::<BTreeSet<(String, i32)>>()
        });
        let is_wanted = |handle: &PartitionHandle| match &wanted {
            None => true,
            Some(wanted) => wanted.contains(&(handle.topic().to_owned(), handle.id().partition.0)),
        };
        let mut topics: BTreeMap<String, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
        for handle in self.partitions.all().into_iter().filter(is_wanted) {
            topics.entry(handle.topic().to_owned()).or_default().push(describe(&handle));
        }
        let topics = topics.into_iter().map(|(name, mut partitions)| {
            partitions.sort_by_key(|partition| partition.partition_index);
            let name = TopicName(StrBytes::from_string(name));
            DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions)
        });
        let folder = self.partitions.data_dir();
        let result = DescribeLogDirsResult::default()
            .with_log_dir(StrBytes::from_string(folder.display().to_string()))
            .with_topics(topics.collect());
        let result = match self.runtime.disk.space(folder).await {
            Ok((free, total)) => result.with_usable_bytes(signed(free)).with_total_bytes(signed(total)),
            Err(_) => result.with_error_code(ResponseError::KafkaStorageError.code()),
        };
        // No folder is ever closed to new logs: there is but one.
        kafka_protocol::messages::DescribeLogDirsResponse::default().with_results(vec![result]).into()
    }
}

fn describe(handle: &PartitionHandle) -> DescribeLogDirsPartition {
    let bounds = handle.bounds();
    DescribeLogDirsPartition::default()
        .with_partition_index(handle.id().partition.0)
        .with_partition_size(signed(handle.size()))
        .with_offset_lag((bounds.high_watermark - bounds.log_end).max(0))
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
