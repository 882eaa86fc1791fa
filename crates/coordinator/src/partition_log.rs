//! A partition of this broker as the log of an internal topic.

use crate::port::{LogError, MarkError, OffsetsLog, Participants};
use async_trait::async_trait;
use millstream_partition::{AppendOptions, Error, Isolation, Origin, PartitionHandle, Partitions, ReadRequest};
use millstream_record::{Batch, split};
use millstream_replica::Error as ReplicaError;
use millstream_storage::Error as StorageError;
use millstream_txn::{Guard, Marker, Partition, Unverified, Version};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, PartitionIndex};

#[async_trait]
impl OffsetsLog for PartitionHandle {
    async fn append(&self, batches: Vec<Batch>) -> Result<(), LogError> {
        let appended = Self::append(self, batches, AppendOptions::new(Origin::Coordinator)).await;
        appended.map(|_| ()).map_err(|error| not_appended(&error))
    }

    async fn append_transactional(&self, batch: Batch, guard: Option<Guard>, version: Version) -> Result<(), LogError> {
        let options = AppendOptions { guard, version, ..AppendOptions::new(Origin::Coordinator) };
        let appended = Self::append(self, vec![batch], options).await;
        appended.map(|_| ()).map_err(|error| not_appended(&error))
    }

    fn verify(&self, asked: &Unverified) -> Option<Guard> {
        Self::verify(self, asked)
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        self.bounds().leader_epoch
    }

    fn end(&self) -> Offset {
        self.bounds().log_end
    }

    async fn delete_before(&self, offset: Offset) -> Result<(), LogError> {
        self.delete_records(offset).await.map(|_| ()).map_err(|error| not_read(&error))
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

#[async_trait]
impl Participants for Partitions {
    async fn mark(&self, partition: &Partition, marker: &Marker, version: Version) -> Result<(), MarkError> {
        let Partition { topic, index } = partition;
        let retry = |error: Error| MarkError::Retry(error.to_string());
        let Some(handle) = self.named(topic, PartitionIndex(*index)).map_err(retry)? else { return Ok(()) };
        match handle.end_transaction(marker, version).await {
            Ok(_) => Ok(()),
            Err(Error::Producer { source: source @ millstream_txn::Error::CoordinatorFenced { .. }, .. }) => {
                Err(MarkError::Superseded(source.to_string()))
            }
            Err(Error::Producer { source, .. }) => Err(MarkError::Refused(source.to_string())),
            Err(error) => Err(retry(error)),
        }
    }
}

fn not_appended(error: &Error) -> LogError {
    match error {
        Error::Replica { source: ReplicaError::NotEnoughReplicas { .. }, .. } | Error::Busy { .. } => {
            LogError::Refused(error.to_string())
        }
        Error::Producer { source, .. } => LogError::Producer(source.clone()),
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
