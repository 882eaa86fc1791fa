//! Who asked the transaction's coordinator whether a partition is part of the transaction, and may therefore begin it here (KIP-890).
//!
//! ```text
//!   produce --> verify (guard) --> ask the coordinator --> append with the guard --> the transaction is open here
//!                                       |
//!                     a marker that comes meanwhile takes the guard away: the late append is refused
//! ```

use millstream_types::{ProducerEpoch, ProducerId, TimestampMs};
use std::collections::BTreeMap;

/// Says that the coordinator was asked after this number was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard(u64);

/// What the first batch of a transaction is checked against.
#[derive(Debug, Clone)]
pub(crate) struct Verification {
    guard: Guard,
    epoch: ProducerEpoch,
    /// The lowest sequence that asked: a later one must not begin the transaction.
    pub(crate) lowest_sequence: i32,
    /// The client bumps epochs: it begins each one at sequence 0.
    pub(crate) bumps: bool,
    begun: TimestampMs,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verifications {
    given: u64,
    waiting: BTreeMap<ProducerId, Verification>,
}

/// What asks: the first batch of a transaction in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unverified {
    /// Its producer.
    pub producer: ProducerId,
    /// The producer's epoch.
    pub epoch: ProducerEpoch,
    /// The batch's first sequence; -1 for offsets that a coordinator writes.
    pub first_sequence: i32,
    /// Whether the client speaks `transaction.version=2`.
    pub bumps: bool,
}

impl Verifications {
    pub(crate) fn begin(&mut self, asked: &Unverified, now: TimestampMs) -> Guard {
        let Unverified { producer, epoch, first_sequence, bumps } = *asked;
        let given = &mut self.given;
        let entry = self.waiting.entry(producer).or_insert_with(|| {
            *given += 1;
            Verification { guard: Guard(*given), epoch, lowest_sequence: first_sequence, bumps, begun: now }
        });
        if epoch > entry.epoch {
            (entry.epoch, entry.lowest_sequence, entry.bumps) = (epoch, first_sequence, bumps);
        } else if epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(first_sequence);
        }
        entry.guard
    }

    pub(crate) fn only(&self, producer: ProducerId) -> Self {
        let waiting = self.waiting.get(&producer).map(|waiting| (producer, waiting.clone()));
        Self { given: self.given, waiting: waiting.into_iter().collect() }
    }

    pub(crate) fn get(&self, producer: ProducerId) -> Option<&Verification> {
        self.waiting.get(&producer)
    }

    pub(crate) fn is_given(&self, producer: ProducerId, guard: Option<Guard>) -> bool {
        guard.is_some() && self.waiting.get(&producer).map(|waiting| waiting.guard) == guard
    }

    pub(crate) fn end(&mut self, producer: ProducerId) {
        self.waiting.remove(&producer);
    }

    pub(crate) fn expire(&mut self, now: TimestampMs, expiration_ms: i64) {
        self.waiting.retain(|_, waiting| now.0.saturating_sub(waiting.begun.0) < expiration_ms);
    }
}
