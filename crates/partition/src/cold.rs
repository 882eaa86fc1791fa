//! The port to what is no longer on local disk.

use crate::OffsetAt;
use async_trait::async_trait;
use bytes::Bytes;
use millstream_types::{ErrorKind, Offset, TimestampMs, TopicPartition};

/// Why cold data could not be had. `Unavailable` and `Timeout` are worth another try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ColdError {
    /// What sort of failure.
    pub kind: ErrorKind,
    /// What failed, for a person.
    pub message: String,
}

/// Reads below the local start of a log, from wherever its older segments have gone.
#[async_trait]
pub trait ColdReader: Send + Sync + 'static {
    /// Whole batches as they were stored, of `max_bytes` at most but one at least; the first contains `from`, or is the first after
    /// it. None when there is nothing cold at or after `from`.
    async fn read(&self, partition: TopicPartition, from: Offset, max_bytes: usize)
    -> Result<Option<Bytes>, ColdError>;

    /// The first cold offset; none when nothing of the partition is cold. Called on every fetch: it must not wait.
    fn log_start(&self, partition: TopicPartition) -> Option<Offset>;

    /// The first cold record whose timestamp is at or after `time`.
    async fn offset_for_time(
        &self,
        partition: TopicPartition,
        time: TimestampMs,
    ) -> Result<Option<OffsetAt>, ColdError>;
}
