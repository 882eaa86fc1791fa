//! One partition as one share group sees it: what of it is in flight, and where the group begins to read.
//!
//! ```text
//!   offsets:  acknowledged ...  |  in flight: runs without a hole  |  not read yet ...
//!                               ^ start                            ^ end
//! ```

use super::batch::{Delivery, StateBatch};
use super::run::{Phase, Runs};
use super::together::Together;
use crate::Error;
use millstream_types::{Ticket, TimestampMs};
use std::collections::BTreeMap;
use std::ops::Range;

/// By what records are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Offsets that may be in flight at once, about (`share.partition.max.record.locks`).
    pub in_flight_max: i64,
    /// How often a record is delivered (`share.delivery.count.limit`).
    pub deliveries_max: i16,
    /// How long a member has a record for itself (`share.record.lock.duration.ms`).
    pub lock_ms: u64,
    /// Whether records that are given up go to a topic first.
    pub buries: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight_max: 2_000, deliveries_max: 5, lock_ms: 30_000, buries: false }
    }
}

impl Limits {
    /// From this count on fewer records are delivered together, so that one that can't be processed does not take others with it.
    pub(super) fn cautious_from(&self) -> i16 {
        (self.deliveries_max / 2 + self.deliveries_max % 2).max(2)
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct SharePartition {
    pub(super) limits: Limits,
    pub(super) runs: Runs,
    pub(super) together: Together,
    pub(super) start: i64,
    pub(super) end: i64,
    /// What is being written, by the write.
    pub(super) pending: BTreeMap<Ticket, Vec<Range<i64>>>,
    pub(super) tickets: u64,
    /// No run below it is available.
    pub(super) search_from: i64,
    /// No lock ends before it.
    pub(super) lock_ends: u64,
}

impl SharePartition {
    /// A partition of which nothing is in flight, read from `start` on.
    #[must_use]
    pub fn new(start: i64, limits: Limits) -> Self {
        Self {
            limits,
            runs: Runs::default(),
            together: Together::default(),
            start,
            end: start,
            pending: BTreeMap::new(),
            tickets: 0,
            search_from: start,
            lock_ends: u64::MAX,
        }
    }

    /// A partition as it was stored. What is not said of an offset between others is that it was not settled: it is available.
    ///
    /// # Errors
    /// `CorruptRecord` where the batches are not in order, or begin below `start`.
    pub fn loaded(start: i64, batches: &[StateBatch], limits: Limits) -> Result<Self, Error> {
        let mut partition = Self::new(start, limits);
        for batch in batches {
            if batch.first < partition.end || batch.last < batch.first || batch.last == i64::MAX {
                let field = "state batch";
                let why = "its offsets are not in order";
                return Err(Error::CorruptRecord { field, timestamp: TimestampMs(-1), why });
            }
            let end = batch.last + 1;
            partition.runs.push(partition.end..batch.first, 0, Phase::Available);
            partition.runs.push(batch.first..end, batch.count, Phase::settled(batch.delivery));
            partition.together.add(&(batch.first..end));
            partition.end = end;
        }
        partition.go_on();
        Ok(partition)
    }

    /// From now on other limits hold; locks that are held stay as long as they were given.
    pub const fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The first offset that is not settled.
    #[must_use]
    pub const fn start(&self) -> i64 {
        self.start
    }

    /// The offset after the last that was given out.
    #[must_use]
    pub const fn end(&self) -> i64 {
        self.end
    }

    /// Where to read next: the first record that is available again, or what was not read yet.
    pub fn next_fetch_offset(&mut self) -> i64 {
        let mut runs = self.runs.from(self.search_from);
        let available = runs.find(|(_, run)| run.phase == Phase::Available).map(|(first, _)| first);
        self.search_from = available.unwrap_or(self.end).max(self.start);
        self.search_from
    }

    /// Whether anything may be acquired now.
    pub fn has_room(&mut self) -> bool {
        self.end - self.start < self.limits.in_flight_max || self.next_fetch_offset() < self.end
    }

    /// Whether nobody has any of it, and nothing of it is being written: what is stored says all that is known of it.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        !self.runs.iter().any(|(_, run)| matches!(run.phase, Phase::Acquired(_) | Phase::Settling { .. }))
    }

    /// When to call [`Self::expire`] next, in elapsed milliseconds.
    #[must_use]
    pub const fn next_deadline(&self) -> u64 {
        self.lock_ends
    }

    /// The log begins at `offset` now: what is below it is nobody's any more.
    pub fn log_starts_at(&mut self, offset: i64) {
        if offset <= self.start {
            return;
        }
        // Splits the run that it is in.
        let _ = self.runs.cut(&(offset..offset)).count();
        while self.runs.pop_first_if(|first, _| first < offset).is_some() {}
        (self.start, self.end) = (offset, self.end.max(offset));
        self.go_on();
    }

    /// How many offsets from the start on are settled, or will be by what is being written.
    pub(super) fn complete(&self) -> i64 {
        let settled = self.runs.iter().filter(|(_, run)| match &run.phase {
            Phase::Settling { to, .. } => to.is_final(),
            phase => phase.is_final(),
        });
        settled.map(|(first, run)| run.end - first).sum()
    }

    /// Moves the start over what is settled.
    pub(super) fn go_on(&mut self) {
        while let Some(run) = self.runs.pop_first_if(|_, run| run.phase.is_final()) {
            self.start = run.end;
        }
        if self.runs.is_empty() {
            self.start = self.end;
        }
        self.together.forget_below(self.start);
        self.search_from = self.search_from.max(self.start);
    }

    /// Everything in flight, in order: for a look at it.
    #[must_use]
    pub fn in_flight(&self) -> Vec<StateBatch> {
        let delivery = |phase: &Phase| match phase {
            Phase::Available => Delivery::Available,
            Phase::Acquired(_) | Phase::Settling { .. } => Delivery::Acquired,
            Phase::Acknowledged => Delivery::Acknowledged,
            Phase::Archived => Delivery::Archived,
        };
        let runs = self.runs.iter();
        let batch = |(first, run): (i64, &super::run::Run)| StateBatch {
            first,
            last: run.end - 1,
            delivery: delivery(&run.phase),
            count: run.count,
        };
        super::batch::joined(runs.map(batch))
    }
}
