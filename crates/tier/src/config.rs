//! Settings of cold storage, and the limits that are not settings.

use std::path::PathBuf;
use std::time::Duration;

/// Segments whose copies one manifest takes up: a crash loses the copies of so many at most.
pub(crate) const SEGMENTS_PER_COMMIT: usize = 8;
/// Times that a manifest is tried against other writers before its change is put off.
pub(crate) const COMMIT_ATTEMPTS: usize = 8;
/// Times that the copy of one segment is tried in one round.
pub(crate) const UPLOAD_ATTEMPTS: u32 = 3;
/// Bytes of one part of a large upload. S3 wants 5 MiB at least.
pub(crate) const PART_BYTES: usize = 8 << 20;
/// Parts of one upload on their way at the same time.
pub(crate) const PARTS_IN_FLIGHT: usize = 2;
/// Bytes of the largest manifest that is read.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// Settings of [`crate::Tier`].
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the local cache.
    pub cache_dir: PathBuf,
    /// Bytes the cache may take on local disk; 0 keeps nothing.
    pub cache_bytes_max: u64,
    /// Bytes of chunk indexes kept in memory.
    pub index_bytes_max: u64,
    /// Bytes of log in one chunk: the least that a read moves. Fixed per segment at its upload.
    pub chunk_bytes: usize,
    /// Bytes that one read moves at most (a single larger batch excepted).
    pub read_bytes_max: usize,
    /// Segments of one partition copied at the same time.
    pub uploads_max: usize,
    /// Segments of all partitions copied at the same time.
    pub uploads_in_all_max: usize,
    /// Requests for cold data on their way at the same time. Others wait.
    pub reads_max: usize,
    /// Manifests kept of each partition.
    pub manifests_kept: u64,
    /// The wait after a first failure; it doubles.
    pub backoff_min: Duration,
    /// The longest wait after failures.
    pub backoff_max: Duration,
    /// Time between two looks for objects that no manifest names.
    pub sweep_interval: Duration,
    /// Age from which an object that no manifest names is garbage: longer than any upload takes.
    pub garbage_age: Duration,
}

impl Config {
    /// The defaults, with a cache in `cache_dir`.
    #[must_use]
    pub fn new(cache_dir: PathBuf) -> Self {
        Self {
            cache_dir,
            cache_bytes_max: 1 << 30,
            index_bytes_max: 64 << 20,
            chunk_bytes: 1 << 20,
            read_bytes_max: 4 << 20,
            uploads_max: 2,
            uploads_in_all_max: 4,
            reads_max: 32,
            manifests_kept: 10,
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(60),
            sweep_interval: Duration::from_secs(3600),
            garbage_age: Duration::from_secs(24 * 3600),
        }
    }
}
