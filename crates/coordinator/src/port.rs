//! What the coordinator needs of the rest: a log for each partition of its topics, and the controller.

use async_trait::async_trait;
use millstream_record::Batch;
use millstream_txn::{Guard, Marker, Partition, Unverified, Version};
use millstream_types::{ErrorKind, LeaderEpoch, Offset};
use std::ops::Range;

/// One led partition of an internal topic.
#[async_trait]
pub trait OffsetsLog: Send + Sync + 'static {
    /// Appends the batches together and returns when they are committed: below the high watermark.
    ///
    /// # Errors
    /// Says whether something may have been written.
    async fn append(&self, batches: Vec<Batch>) -> Result<(), LogError>;

    /// Appends what a coordinator writes for a transactional producer, or the marker that ends its transaction; returns when it is committed.
    /// A batch that may begin a transaction has the `guard` of [`OffsetsLog::verify`].
    ///
    /// # Errors
    /// As [`Self::append`], or `Producer`.
    async fn append_transactional(&self, batch: Batch, guard: Option<Guard>, version: Version) -> Result<(), LogError>;

    /// What to append with where a batch may begin its transaction here; none where it is open already.
    fn verify(&self, asked: &Unverified) -> Option<Guard>;

    /// The epoch in which this node leads the partition.
    fn leader_epoch(&self) -> LeaderEpoch;

    /// The offset after the last record.
    fn end(&self) -> Offset;

    /// Deletes the records before `offset`.
    ///
    /// # Errors
    /// As [`Self::append`]; the call can be made again.
    async fn delete_before(&self, offset: Offset) -> Result<(), LogError>;

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
    /// Nothing was written: the producer may not write now.
    #[error(transparent)]
    Producer(millstream_txn::Error),
    /// It may have been written or not.
    #[error("it is unknown whether the log was written: {0}")]
    Unknown(String),
    /// What is stored is damaged.
    #[error("the log is damaged: {0}")]
    Corrupt(String),
}

/// Why a partition did not take a marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// It can be tried again.
    #[error("{0}")]
    Retry(String),
    /// The partition has seen a newer epoch: the marker is late.
    #[error("{0}")]
    Refused(String),
    /// A newer coordinator has written there.
    #[error("{0}")]
    Superseded(String),
}

/// The partitions that transactions write to, wherever they are led.
#[async_trait]
pub trait Participants: Send + Sync + 'static {
    /// Writes a marker to a partition. A partition that is no more has it already.
    ///
    /// # Errors
    /// Says whether to try again.
    async fn mark(&self, partition: &Partition, marker: &Marker, version: Version) -> Result<(), MarkError>;
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
