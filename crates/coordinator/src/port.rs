//! What the coordinator needs of the rest: a log for each partition of its topics, and the controller.

use async_trait::async_trait;
use millstream_record::Batch;
use millstream_types::{ErrorKind, Offset};
use std::ops::Range;

/// One led partition of an internal topic.
#[async_trait]
pub trait OffsetsLog: Send + Sync + 'static {
    /// Appends the batches together and returns when they are committed: below the high watermark.
    ///
    /// # Errors
    /// Says whether something may have been written.
    async fn append(&self, batches: Vec<Batch>) -> Result<(), LogError>;

    /// Whole batches from `from` on, about `max_bytes` of them and at least one; none at the log's end. The first may begin before
    /// `from`. From an offset before the log's start it reads at the start.
    ///
    /// # Errors
    /// As [`Self::append`], or `Corrupt`.
    async fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Batch>, LogError>;
}

/// Why the log did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// This node no longer leads the partition; what was sent may have been written.
    #[error("this node no longer leads the partition")]
    NotLeader,
    /// Nothing was written: a record is too large.
    #[error("a record is larger than the topic allows: {0}")]
    TooLarge(String),
    /// Nothing was written: the log can't take it now.
    #[error("the log can't be written now: {0}")]
    Refused(String),
    /// It may have been written or not.
    #[error("it is unknown whether the log was written: {0}")]
    Unknown(String),
    /// What is stored is damaged.
    #[error("the log is damaged: {0}")]
    Corrupt(String),
}

/// What the controller could not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the controller could not {what}: {why}")]
pub struct ControllerError {
    /// What was asked.
    pub what: &'static str,
    /// Why it was not done.
    pub why: String,
    /// What sort of failure.
    pub kind: ErrorKind,
}

/// What is asked of the controller.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    /// How many partitions the internal topic `name` has, as far as this node knows; none while it does not exist.
    fn internal_topic(&self, name: &str) -> Option<i32>;

    /// Makes the internal topic `name` if it does not exist, with the partitions and settings it is to have. Returns its partitions.
    ///
    /// # Errors
    /// Whatever kept the controller from it; the call can be made again.
    async fn ensure_internal_topic(&self, name: &str) -> Result<i32, ControllerError>;

    /// A block of producer ids that nobody else has or will have.
    ///
    /// # Errors
    /// Whatever kept the controller from it; the call can be made again.
    async fn allocate_producer_ids(&self) -> Result<Range<i64>, ControllerError>;
}
