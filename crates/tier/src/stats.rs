//! What was asked of the object store: counters of this process.

use millstream_telemetry::catalogue::TIER_REQUESTS;
use millstream_telemetry::{Counter, Metrics};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests and bytes since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Reads of objects or of ranges of them.
    pub gets: u64,
    /// Objects written; a part of a large one counts as one.
    pub puts: u64,
    /// Lists and looks at an object's length.
    pub lists: u64,
    /// Objects deleted.
    pub deletes: u64,
    /// Bytes read.
    pub bytes_got: u64,
    /// Bytes written.
    pub bytes_put: u64,
    /// Chunks that were served from the local cache.
    pub cache_hits: u64,
    /// Requests that failed.
    pub failures: u64,
}

#[derive(Default)]
pub struct Counters {
    gets: Cell,
    puts: Cell,
    lists: Cell,
    deletes: Cell,
    bytes_got: Cell,
    bytes_put: Cell,
    cache_hits: Cell,
    failures: Cell,
    exported: Option<[Counter; 4]>,
}

#[derive(Default)]
struct Cell(AtomicU64);

impl Cell {
    fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub fn new(metrics: &Metrics) -> Self {
        let counter = |operation| metrics.counter(&TIER_REQUESTS, &[operation]);
        Self { exported: Some([counter("get"), counter("put"), counter("list"), counter("delete")]), ..Self::default() }
    }

    fn export(&self, which: usize) {
        if let Some(counters) = &self.exported {
            counters[which].inc();
        }
    }

    pub fn got(&self, bytes: usize) {
        self.gets.add(1);
        self.bytes_got.add(bytes as u64);
        self.export(0);
    }

    pub fn put(&self, bytes: usize) {
        self.puts.add(1);
        self.bytes_put.add(bytes as u64);
        self.export(1);
    }

    pub fn listed(&self) {
        self.lists.add(1);
        self.export(2);
    }

    pub fn deleted(&self) {
        self.deletes.add(1);
        self.export(3);
    }

    pub fn hit(&self) {
        self.cache_hits.add(1);
    }

    pub fn failed(&self) {
        self.failures.add(1);
    }

    pub fn stats(&self) -> Stats {
        Stats {
            gets: self.gets.value(),
            puts: self.puts.value(),
            lists: self.lists.value(),
            deletes: self.deletes.value(),
            bytes_got: self.bytes_got.value(),
            bytes_put: self.bytes_put.value(),
            cache_hits: self.cache_hits.value(),
            failures: self.failures.value(),
        }
    }
}
