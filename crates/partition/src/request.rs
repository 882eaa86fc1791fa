//! What is asked of a partition, and what it answers.

use bytes::Bytes;
use millstream_replica::Acks;
use millstream_runtime::FileRange;
use millstream_storage::AbortedTxn;
use millstream_txn::{Guard, Version};
use millstream_types::{LeaderEpoch, Offset, TimestampMs};
use std::io;
use std::time::Duration;

/// How long an append of ours waits for the in-sync replicas.
const INTERNAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Who appends: it decides what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client: every limit of the topic holds, and control batches are refused.
    Client,
    /// A coordinator writing its own topic: size and timestamp limits don't hold.
    Coordinator,
    /// A task or connector of this node: as a client, and trusted to have made whole batches.
    Internal,
}

/// How an append is to be made.
#[derive(Debug, Clone, Copy)]
pub struct AppendOptions {
    /// When to answer.
    pub acks: Acks,
    /// Who asks.
    pub origin: Origin,
    /// How long to wait for the in-sync replicas. Past it the outcome is unknown, never "failed".
    pub timeout: Duration,
    /// The epoch the caller believes to be current, `NONE` where it does not care.
    pub leader_epoch: LeaderEpoch,
    /// For the first batch of a transaction: that its coordinator was asked ([`crate::PartitionHandle::verify`]).
    pub guard: Option<Guard>,
    /// For a marker: what its transaction's client speaks.
    pub version: Version,
}

impl AppendOptions {
    /// All in-sync replicas, 30 s, any epoch.
    #[must_use]
    pub const fn new(origin: Origin) -> Self {
        Self {
            acks: Acks::All,
            origin,
            timeout: INTERNAL_TIMEOUT,
            leader_epoch: LeaderEpoch::NONE,
            guard: None,
            version: Version::Classic,
        }
    }
}

/// Where an append went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The offset after its last record.
    pub next_offset: Offset,
    /// The broker's timestamp, where the topic has `LogAppendTime`.
    pub append_time: Option<TimestampMs>,
    /// The partition's first offset.
    pub log_start: Offset,
    /// The epoch it was written in.
    pub leader_epoch: LeaderEpoch,
    /// It had been appended before: a retry of an idempotent producer.
    pub duplicate: bool,
}

/// What of a partition there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that can be read, cold ones included.
    pub log_start: Offset,
    /// The first offset on local disk.
    pub local_start: Offset,
    /// The offset after the last one that no open transaction can undo.
    pub last_stable: Offset,
    /// The offset after the last one on every in-sync replica.
    pub high_watermark: Offset,
    /// The offset after the last one.
    pub log_end: Offset,
    /// The current leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// Whether this broker leads.
    pub is_leader: bool,
}

impl Bounds {
    /// The offset a reader of that isolation stops before.
    #[must_use]
    pub const fn end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::LogEnd => self.log_end,
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable,
        }
    }
}

/// How far a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// To the log end: replicas and coordinators.
    LogEnd,
    /// To the high watermark.
    ReadUncommitted,
    /// To the last stable offset.
    ReadCommitted,
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest {
    /// The first offset wanted. The first batch may begin before it.
    pub from: Offset,
    /// Bytes to read at most.
    pub max_bytes: usize,
    /// Whether one whole batch is read even if it is larger.
    pub at_least_one: bool,
    /// The epoch the caller believes to be current, `NONE` where it does not care.
    pub leader_epoch: LeaderEpoch,
    /// How far it may see.
    pub isolation: Isolation,
}

impl ReadRequest {
    /// Committed records from `from`: `max_bytes` at most, one batch at least.
    #[must_use]
    pub const fn new(from: Offset, max_bytes: usize) -> Self {
        let (leader_epoch, isolation) = (LeaderEpoch::NONE, Isolation::ReadCommitted);
        Self { from, max_bytes, at_least_one: true, leader_epoch, isolation }
    }
}

/// Record batches on their way to a reader: in memory, or still in a file.
#[derive(Debug, Clone)]
pub enum Chunk {
    /// In memory.
    Bytes(Bytes),
    /// In a file.
    File(FileRange),
}

impl Chunk {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(range) => range.len,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in memory.
    ///
    /// # Errors
    /// The disk's.
    pub async fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(range) => range.read().await,
        }
    }
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Read {
    /// Whole batches one after another; none at the end of what may be seen.
    pub records: Vec<Chunk>,
    /// Their bytes in all.
    pub len: usize,
    /// What of the partition there is, at the moment of reading.
    pub bounds: Bounds,
    /// For a reader of committed records: the transactions among them that were aborted.
    pub aborted: Vec<AbortedTxn>,
}

/// What offset is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeQuery {
    /// The first record whose timestamp is at or after this one.
    At(TimestampMs),
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first offset.
    Earliest,
    /// The first offset on local disk.
    EarliestLocal,
    /// The end, as a reader of that isolation sees it.
    Latest(Isolation),
    /// The last offset that is cold.
    LatestTiered,
}

/// An offset and what is known of the record there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAt {
    /// The offset.
    pub offset: Offset,
    /// The record's timestamp, `NONE` where the question was not about time.
    pub timestamp: TimestampMs,
    /// The epoch it was written in, `NONE` when unknown.
    pub leader_epoch: LeaderEpoch,
}

/// Where a leader epoch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch at or below the one asked for; `NONE` when there is none.
    pub epoch: LeaderEpoch,
    /// The offset after its last record; `NONE` when there is none.
    pub end_offset: Offset,
}
