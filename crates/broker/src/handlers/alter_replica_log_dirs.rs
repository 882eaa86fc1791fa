//! AlterReplicaLogDirs: moves replicas between the data folders of this broker.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};
use millstream_protocol::ResponseError;
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of a folder's name at most.
const NAME_LEN_MAX: usize = 255;
/// Bytes that a folder's name has beside the topic and the partition while Kafka moves a replica: `-`, `.`, a random id and `-future`.
const MOVING_LEN: usize = 1 + 1 + 32 + 7;

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
        if topic.len() + index.to_string().len() + MOVING_LEN > NAME_LEN_MAX {
            let message =
                format!("the name of {topic:?} is too long for the folder that its replica would be moved in");
            return Err(Failure::new(ResponseError::InvalidTopicException, message));
        }
        // Which excludes paths that are not absolute.
        let Some(folder) = self.partitions.folders().into_iter().find(|folder| folder.path == path) else {
            return Err(Failure::new(ResponseError::LogDirNotFound, "the folder is none of this broker's"));
        };
        if let Some(cause) = folder.failure {
            return Err(Failure::new(ResponseError::KafkaStorageError, cause));
        }
        let handle = self.partition(topic, index)?;
        if handle.data_folder() == path {
            return Ok(());
        }
        let message = "replicas are not moved between data folders while they are served";
        Err(Failure::new(ResponseError::InvalidRequest, message))
    }
}
