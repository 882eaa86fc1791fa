//! DescribeLogDirs: what takes how much of each data folder.

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
    /// Answers DescribeLogDirs.
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
        let wanted: Vec<PartitionHandle> = self.partitions.all().into_iter().filter(is_wanted).collect();
        let mut results = Vec::new();
        for folder in self.partitions.folders() {
            let result = DescribeLogDirsResult::default().with_log_dir(text(folder.path.display().to_string()));
            let space = match folder.failure {
                None => self.runtime.disk.space(&folder.path).await.ok(),
                Some(_) => None,
            };
            // Of a folder that can't be used nothing is told, as Kafka does.
            results.push(match space {
                Some((free, total)) => {
                    let here = wanted.iter().filter(|handle| handle.data_folder() == folder.path);
                    result.with_topics(topics(here)).with_usable_bytes(signed(free)).with_total_bytes(signed(total))
                }
                None => result.with_error_code(ResponseError::KafkaStorageError.code()),
            });
        }
        // No folder is ever closed to new logs.
        kafka_protocol::messages::DescribeLogDirsResponse::default().with_results(results).into()
    }
}

fn topics<'a>(handles: impl Iterator<Item = &'a PartitionHandle>) -> Vec<DescribeLogDirsTopic> {
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for handle in handles {
        topics.entry(handle.topic()).or_default().push(describe(handle));
    }
    let told = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic::default().with_name(TopicName(text(name.to_owned()))).with_partitions(partitions)
    });
    told.collect()
}

fn text(text: String) -> StrBytes {
    StrBytes::from_string(text)
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
