//! Settings of the service, and the limits that are not settings.

use millstream_types::BrokerId;
use std::time::Duration;

/// Appends that may wait for their turn in one partition. Each connection has one at most, so this is more than a node accepts.
pub(crate) const APPENDS_QUEUED_MAX: usize = 100_000;
/// Bytes that one write to the log takes from the queue; the rest waits for the next.
pub(crate) const WRITE_BYTES_MAX: usize = 16 << 20;

/// Settings of [`crate::Partitions`].
#[derive(Debug, Clone)]
pub struct Config {
    /// This broker.
    pub local: BrokerId,
    /// Logs opened at the same time at start. More is faster on a disk that can do many things at once, and takes more memory.
    pub open_parallel: usize,
    /// Time between two looks for segments to roll, retain or delete.
    pub retention_interval: Duration,
    /// Time between two rounds of the flusher: what a power cut can take, and what recovery has to check.
    pub flush_interval: Duration,
    /// Time between two looks whether a disk that failed takes writes again.
    pub revive_interval: Duration,
    /// Time between two writes of the checkpoint files.
    pub checkpoint_interval: Duration,
    /// Time after which an idempotent producer that sent nothing is forgotten.
    pub producer_expiry: Duration,
    /// Compaction.
    pub cleaner: CleanerConfig,
    /// Looking for damage.
    pub scrub: ScrubConfig,
}

/// Settings of looking for damage in closed segments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScrubConfig {
    /// Time between two looks; zero for none.
    pub interval: Duration,
    /// Bytes read in a second.
    pub bytes_per_second: f64,
}

impl ScrubConfig {
    /// A look a day, at 8 MiB a second.
    #[must_use]
    pub const fn new() -> Self {
        Self { interval: Duration::from_secs(86_400), bytes_per_second: 8_388_608.0 }
    }
}

impl Default for ScrubConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Settings of compaction: Kafka's `log.cleaner.*`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanerConfig {
    /// Whether logs are compacted at all.
    pub enabled: bool,
    /// Logs compacted at once.
    pub threads: usize,
    /// Bytes of memory for keys, over all threads. What does not fit takes another round over the log.
    pub dedupe_buffer_bytes: usize,
    /// The share of it that is filled.
    pub load_factor: f64,
    /// Bytes of memory for reading and writing, over all threads.
    pub io_buffer_bytes: usize,
    /// Bytes read and written in a second, over all threads.
    pub io_bytes_per_second: f64,
    /// Time between two looks for logs that are due.
    pub backoff: Duration,
}

impl CleanerConfig {
    /// Kafka's defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            enabled: true,
            threads: 1,
            dedupe_buffer_bytes: 128 << 20,
            load_factor: 0.9,
            io_buffer_bytes: 512 << 10,
            io_bytes_per_second: f64::MAX,
            backoff: Duration::from_secs(15),
        }
    }
}

impl Default for CleanerConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// The defaults, which are Kafka's where Kafka has the setting (the flusher it has not).
    #[must_use]
    pub const fn new(local: BrokerId) -> Self {
        Self {
            local,
            open_parallel: 16,
            retention_interval: Duration::from_secs(300),
            flush_interval: Duration::from_secs(5),
            revive_interval: Duration::from_secs(3),
            checkpoint_interval: Duration::from_secs(60),
            producer_expiry: Duration::from_secs(86_400),
            cleaner: CleanerConfig::new(),
            scrub: ScrubConfig::new(),
        }
    }
}
