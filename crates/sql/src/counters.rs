//! What a query has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one running query; read by [`Self::stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    rows_read: AtomicU64,
    bad_rows: AtomicU64,
    bytes_read: AtomicU64,
    batches_skipped: AtomicU64,
    rows_returned: AtomicU64,
}

/// What a query has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Rows that its topics gave it.
    pub rows_read: u64,
    /// Records that do not fit their topic's schema and were left out: they are in `"topic$quarantine"`.
    pub bad_rows: u64,
    /// Bytes of log it read.
    pub bytes_read: u64,
    /// Batches it could skip by their headers.
    pub batches_skipped: u64,
    /// Rows it returned.
    pub rows_returned: u64,
}

impl Counters {
    pub(crate) fn add_rows(&self, good: usize, bad: usize) {
        self.rows_read.fetch_add(good as u64, Ordering::Relaxed);
        self.bad_rows.fetch_add(bad as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn skip_batch(&self) {
        self.batches_skipped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_returned(&self, rows: usize) {
        self.rows_returned.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            rows_read: self.rows_read.load(Ordering::Relaxed),
            bad_rows: self.bad_rows.load(Ordering::Relaxed),
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            batches_skipped: self.batches_skipped.load(Ordering::Relaxed),
            rows_returned: self.rows_returned.load(Ordering::Relaxed),
        }
    }
}
