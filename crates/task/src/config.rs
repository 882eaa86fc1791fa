//! The limits and periods of the task runtime.

use millstream_record::Limits;
use std::time::Duration;

/// How tasks are run. Every number is a limit that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Time between two commits of tasks' progress, where a deployment does not say otherwise (`commit.interval.ms`). Higher commits less,
    /// shows outputs of transactions later and repeats more after a crash.
    pub commit_interval: Duration,
    /// Time between two commits of a source's position; as above.
    pub position_interval: Duration,
    /// How long a transaction of tasks may take before its coordinator undoes it (`transaction.timeout.ms`).
    pub transaction_timeout: Duration,
    /// Wait before the first retry of what may work later.
    pub retry_min: Duration,
    /// Longest wait between two retries.
    pub retry_max: Duration,
    /// How long a task that is told to stop may take to finish its batch.
    pub stop_grace: Duration,
    /// Bytes of keys, values and headers in one append. Higher makes larger batches; above `max.message.bytes` they are refused.
    pub append_bytes_max: usize,
    /// How often a deployment looks whether its inputs have new partitions.
    pub topology_interval: Duration,
    /// What one batch may become when it is decompressed.
    pub batch: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_millis(100),
            position_interval: Duration::from_millis(500),
            transaction_timeout: Duration::from_secs(10),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(30),
            stop_grace: Duration::from_secs(10),
            append_bytes_max: 512 << 10,
            topology_interval: Duration::from_secs(1),
            batch: Limits::default(),
        }
    }
}
