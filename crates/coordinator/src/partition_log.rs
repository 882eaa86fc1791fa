//! A partition of this broker as the log of an internal topic.

use crate::port::{LogError, OffsetsLog};
use async_trait::async_trait;
use millstream_partition::{AppendOptions, Error, Isolation, Origin, PartitionHandle, ReadRequest};
use millstream_record::{Batch, split};
use millstream_replica::Error as ReplicaError;
use millstream_storage::Error as StorageError;
use millstream_types::{ErrorKind, LeaderEpoch, Offset};

#[async_trait]
impl OffsetsLog for PartitionHandle {
    async fn append(&self, batches: Vec<Batch>) -> Result<(), LogError> {
        let appended = Self::append(self, batches, AppendOptions::new(Origin::Coordinator)).await;
        appended.map(|_| ()).map_err(|error| not_appended(&error))
    }

    async fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Batch>, LogError> {
        let bounds = self.bounds();
        let from = from.max(bounds.log_start);
        if from >= bounds.log_end {
            return Ok(Vec::new());
        }
        let (leader_epoch, isolation) = (LeaderEpoch::NONE, Isolation::LogEnd);
        let request = ReadRequest { from, max_bytes, at_least_one: true, leader_epoch, isolation };
        let (bytes, _) = self.read_bytes(request).await.map_err(|error| not_read(&error))?;
        split(bytes).map_err(|error| LogError::Corrupt(error.to_string()))
    }
}

fn not_appended(error: &Error) -> LogError {
    match error {
        Error::Replica { source: ReplicaError::NotEnoughReplicas { .. }, .. } | Error::Busy { .. } => {
            LogError::Refused(error.to_string())
        }
        Error::Storage { source, .. } if matches!(**source, StorageError::BatchTooLarge { .. }) => {
            LogError::TooLarge(error.to_string())
        }
        // What was written when leadership went, an in-sync replica did not answer or a disk failed is seen when the log is read again.
        _ if error.kind() == ErrorKind::NotLeader => LogError::NotLeader,
        _ => LogError::Unknown(error.to_string()),
    }
}

fn not_read(error: &Error) -> LogError {
    match error.kind() {
        ErrorKind::NotLeader => LogError::NotLeader,
        ErrorKind::Corrupt => LogError::Corrupt(error.to_string()),
        _ => LogError::Refused(error.to_string()),
    }
}
