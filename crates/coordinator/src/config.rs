//! The coordinator's settings, by Kafka's names where Kafka has them.

use std::time::Duration;

/// Settings of every group coordinated here.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What groups decide by.
    pub group: millstream_group::Config,
    /// What transactions decide by.
    pub transactions: millstream_txn::Config,
    /// What the state of share partitions is decided by.
    pub shares: millstream_group::share::StateConfig,
}

/// Bytes of records in one append to an internal topic, unless one write alone is larger. Below the topic's `max.message.bytes`.
pub(crate) const APPEND_BYTES_MAX: usize = 512 << 10;

/// Bytes of records that may wait to be written in one shard. Past it commits are refused: come back later.
pub(crate) const QUEUED_BYTES_MAX: usize = 64 << 20;

/// Bytes that a read of the log asks for while it is loaded.
pub(crate) const LOAD_READ_BYTES: usize = 4 << 20;

/// How long to wait before the log is read or the shard loaded again after a failure.
pub(crate) const RELOAD_BACKOFF: Duration = Duration::from_millis(250);
/// The longest that this wait grows to.
pub(crate) const RELOAD_BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How long a group waits for the state of its share partitions at most, and how many of them are asked for at once.
pub(crate) const SHARE_WORK_MAX: Duration = Duration::from_secs(20);
pub(crate) const SHARE_WORKERS: usize = 32;

/// How long a call of our own waits for its group to be loaded.
pub(crate) const INTERNAL_WAIT: Duration = Duration::from_secs(10);

/// Timers wait at most this long at once, so that an infinite deadline is a number.
pub(crate) const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// Pause before a marker that could not be written is written again: at first, and at most.
pub(crate) const MARKER_BACKOFF: Duration = Duration::from_millis(20);
pub(crate) const MARKER_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// How long a partition's question to a busy transaction's coordinator is asked again before its client is told to try again, and how often
/// (`add.partitions.to.txn.retry.backoff.max.ms` and `add.partitions.to.txn.retry.backoff.ms`).
pub(crate) const ADD_RETRY_MAX: Duration = Duration::from_millis(100);
pub(crate) const ADD_RETRY_BACKOFF: Duration = Duration::from_millis(20);
