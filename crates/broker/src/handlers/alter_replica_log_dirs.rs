//! AlterReplicaLogDirs: moves replicas between the data folders of this broker, of which there is one.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};
use millstream_metadata::topics::check_name;
use millstream_protocol::ResponseError;
use std::collections::BTreeMap;
use std::path::Path;

impl Broker {
    /// Answers AlterReplicaLogDirs: a replica is where it is asked to be, or its folder is none of this broker's.
    pub(crate) fn alter_replica_log_dirs(&self, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
        // A replica that is sent to several folders is meant to go to the last.
        let mut codes: BTreeMap<TopicName, BTreeMap<i32, i16>> = BTreeMap::new();
        for dir in request.dirs {
            let path = Path::new(dir.path.as_str());
            for topic in dir.topics {
                for index in topic.partitions {
                    let code = self.placed(&topic.name, index, path).map_or_else(|failure| failure.code.code(), |()| 0);
                    codes.entry(topic.name.clone()).or_default().insert(index, code);
                }
            }
        }
        let results = codes.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, code)| {
                AlterReplicaLogDirPartitionResult::default().with_partition_index(index).with_error_code(code)
            });
            AlterReplicaLogDirTopicResult::default().with_topic_name(name).with_partitions(partitions.collect())
        });
        AlterReplicaLogDirsResponse::default().with_results(results.collect())
    }

    fn placed(&self, topic: &str, index: i32, path: &Path) -> Result<(), Failure> {
        let not_ours = || Err(Failure::new(ResponseError::LogDirNotFound, "the folder is none of this broker's"));
        if !path.is_absolute() {
            return not_ours();
        }
        check_name(topic)?;
        if path != self.partitions.data_dir() {
            return not_ours();
        }
        self.partition(topic, index).map(drop)
    }
}
