//! The producers of one partition: the check before an append, the update after it, snapshots, expiry.
//!
//! ```text
//! batch of (pid, epoch, first..=last)         known: epoch e, last sequence s
//!   epoch < e                                 InvalidProducerEpoch
//!   epoch = e, one of the last 5 batches      Duplicate: answered as then, not appended again
//!   epoch = e, first = s + 1 (0 after MAX)    Accept
//!   epoch > e, first = 0                      Accept
//!   else                                      OutOfOrderSequence
//!   pid unknown                               Accept, whatever the sequence
//! ```

use crate::{Error, ProducerState, SnapshotEntry};
use millstream_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::collections::BTreeMap;

/// What a batch's header says of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequenced {
    /// The producer; [`ProducerId::NONE`] is not idempotent and passes.
    pub producer: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The sequence of the first record.
    pub first_sequence: i32,
    /// How many sequences the batch spans: its last offset delta + 1.
    pub records: i32,
    /// Whether it is part of a transaction.
    pub is_transactional: bool,
}

/// Where the batch went when it came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate {
    /// Its first offset.
    pub base_offset: Offset,
    /// Its largest timestamp, as appended.
    pub timestamp: TimestampMs,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Append it, then call [`Producers::apply`].
    Accept,
    /// It is in the log already: answer with where it is.
    Duplicate(Duplicate),
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Producers {
    states: BTreeMap<ProducerId, ProducerState>,
}

impl Producers {
    /// No producer is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a client's batch may be appended now, after all that was applied before.
    ///
    /// # Errors
    /// `InvalidProducerEpoch`, `OutOfOrderSequence`, `NotTransactional`.
    pub fn check(&self, batch: &Sequenced) -> Result<Verdict, Error> {
        if batch.producer == ProducerId::NONE {
            return Ok(Verdict::Accept);
        }
        let Some(state) = self.states.get(&batch.producer) else { return Ok(Verdict::Accept) };
        if let Some(duplicate) = state.duplicate(batch) {
            return Ok(Verdict::Duplicate(duplicate));
        }
        state.check(batch).map(|()| Verdict::Accept)
    }

    /// A batch was given its place in the log: by this leader, by the leader that is followed, or when the log is read again.
    pub fn apply(&mut self, batch: &Sequenced, base_offset: Offset, timestamp: TimestampMs) {
        if batch.producer != ProducerId::NONE {
            self.states.entry(batch.producer).or_insert_with(ProducerState::new).apply(batch, base_offset, timestamp);
        }
    }

    /// Forgets producers that were idle for `expiration_ms` (`producer.id.expiration.ms`). Returns how many.
    pub fn expire(&mut self, now: TimestampMs, expiration_ms: i64) -> usize {
        let before = self.states.len();
        self.states.retain(|_, state| {
            state.current_txn_first_offset().is_some() || now.0.saturating_sub(state.last_timestamp().0) < expiration_ms
        });
        before - self.states.len()
    }

    /// What a snapshot file holds, by producer id.
    #[must_use]
    pub fn snapshot(&self) -> Vec<SnapshotEntry> {
        self.states.iter().map(|(id, state)| state.to_entry(*id)).collect()
    }

    /// The state a snapshot file held. Batches after it are then applied in log order.
    #[must_use]
    pub fn restore(entries: &[SnapshotEntry]) -> Self {
        let states = entries.iter().map(|entry| (entry.producer_id, ProducerState::from_entry(entry))).collect();
        Self { states }
    }

    /// What is known of a producer.
    #[must_use]
    pub fn get(&self, producer: ProducerId) -> Option<&ProducerState> {
        self.states.get(&producer)
    }

    /// Every producer, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerState)> {
        self.states.iter().map(|(id, state)| (*id, state))
    }

    /// How many producers are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether no producer is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }
}

/// The sequence after `last`: 0 follows i32::MAX.
pub(crate) const fn next_sequence(last: i32) -> i32 {
    if last == i32::MAX { 0 } else { last + 1 }
}

/// The sequence of the last of `records` records whose first has `first`.
#[must_use]
pub const fn last_sequence(first: i32, records: i32) -> i32 {
    let last = first.wrapping_add(records.saturating_sub(1));
    // i32::MIN is what 0 wraps to.
    if last < 0 && first >= 0 { last.wrapping_sub(i32::MIN) } else { last }
}

#[cfg(test)]
#[path = "producers_tests.rs"]
mod tests;
