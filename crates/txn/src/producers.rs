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
//!
//! transactions of the log:   [a a b a A b b B c]      A, B: markers; a, b, c: records of three producers
//!                             ^                       at first the offset of a, after A that of b, after B that of c is unstable
//! ```
//!
//! A transaction's first offset is unstable until its marker is below the high watermark: what a reader of committed records has seen is
//! never taken back.

use crate::marker::{Marker, Outcome, Version};
use crate::verification::{Guard, Unverified, Verifications};
use crate::{Error, ProducerMemory, ProducerState, SnapshotEntry};
use millstream_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::collections::BTreeMap;

/// What a batch's header says of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequenced {
    /// The producer; [`ProducerId::NONE`] is not idempotent and passes.
    pub producer: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The sequence of the first record; [`NO_SEQUENCE`] for what a coordinator writes for a producer.
    pub first_sequence: i32,
    /// How many sequences the batch spans: its last offset delta + 1.
    pub records: i32,
    /// Whether it is part of a transaction.
    pub is_transactional: bool,
}

/// The sequence of a batch that has none.
pub const NO_SEQUENCE: i32 = -1;

/// A transaction that a marker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed {
    /// Whose it was.
    pub producer: ProducerId,
    /// Its first record.
    pub first_offset: Offset,
    /// Its marker.
    pub last_offset: Offset,
    /// The first offset of the transactions still open then; the one after the marker when there was none.
    pub last_stable: Offset,
    /// How it ended.
    pub outcome: Outcome,
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

/// All that a partition remembers of its producers, in the order of their ids: what a restart goes on with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The producers.
    pub producers: Vec<ProducerMemory>,
    /// Transactions whose marker is not known to be below the high watermark: first offset and marker.
    pub ended: Vec<(Offset, Offset)>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Producers {
    states: BTreeMap<ProducerId, ProducerState>,
    /// Open transactions by their first offset.
    open: BTreeMap<Offset, ProducerId>,
    /// Transactions whose marker is not known to be below the high watermark: first offset to marker.
    ended: BTreeMap<Offset, Offset>,
    verifications: Verifications,
}

impl Producers {
    /// No producer is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a batch may be appended now, after all that was applied before. The first batch of a transaction needs a `guard` that
    /// was given out for it and not taken away since.
    ///
    /// # Errors
    /// `InvalidProducerEpoch`, `OutOfOrderSequence`, `NotTransactional`, `NotInTransaction`.
    pub fn check(&self, batch: &Sequenced, guard: Option<Guard>) -> Result<Verdict, Error> {
        if batch.producer == ProducerId::NONE {
            return Ok(Verdict::Accept);
        }
        let state = self.states.get(&batch.producer);
        if let Some(duplicate) = state.and_then(|state| state.duplicate(batch)) {
            return Ok(Verdict::Duplicate(duplicate));
        }
        let is_open = self.is_open(batch.producer, batch.epoch);
        if batch.is_transactional && !is_open && !self.verifications.is_given(batch.producer, guard) {
            return Err(Error::NotInTransaction { producer: batch.producer, epoch: batch.epoch });
        }
        let verification = self.verifications.get(batch.producer);
        match state {
            Some(state) => state.check(batch, verification)?,
            None => ProducerState::new().check(batch, verification)?,
        }
        Ok(Verdict::Accept)
    }

    /// Whether the producer has an open transaction here, in that epoch.
    #[must_use]
    pub fn is_open(&self, producer: ProducerId, epoch: ProducerEpoch) -> bool {
        self.states
            .get(&producer)
            .is_some_and(|state| state.epoch() == epoch && state.current_txn_first_offset().is_some())
    }

    /// What is known of one producer alone: what its batches that are not in the log yet are checked against and applied to.
    #[must_use]
    pub fn only(&self, producer: ProducerId) -> Self {
        let mut only = Self::default();
        if let Some(state) = self.states.get(&producer) {
            only.open.extend(state.current_txn_first_offset().map(|first| (first, producer)));
            only.states.insert(producer, state.clone());
        }
        only.verifications = self.verifications.only(producer);
        only
    }

    /// What to have with a batch that may begin a transaction here, before its coordinator is asked; none where it is open already.
    pub fn verify(&mut self, asked: &Unverified, now: TimestampMs) -> Option<Guard> {
        (!self.is_open(asked.producer, asked.epoch)).then(|| self.verifications.begin(asked, now))
    }

    /// A batch was given its place in the log: by this leader, by the leader that is followed, or when the log is read again.
    pub fn apply(&mut self, batch: &Sequenced, base_offset: Offset, timestamp: TimestampMs) {
        if batch.producer == ProducerId::NONE {
            return;
        }
        let state = self.states.entry(batch.producer).or_insert_with(ProducerState::new);
        let was_open = state.current_txn_first_offset().is_some();
        state.apply(batch, base_offset, timestamp);
        if batch.is_transactional {
            self.verifications.end(batch.producer);
            if !was_open {
                self.open.insert(base_offset, batch.producer);
            }
        }
    }

    /// Whether a coordinator's marker may be appended now. A marker that ended its transaction before may come again.
    ///
    /// # Errors
    /// `InvalidProducerEpoch`, `CoordinatorFenced`.
    pub fn check_marker(&self, marker: &Marker, version: Version) -> Result<(), Error> {
        self.states.get(&marker.producer).map_or(Ok(()), |state| state.check_marker(marker, version))
    }

    /// A marker was given its place in the log. Returns the transaction that it ended, if one was open here.
    pub fn end(&mut self, marker: &Marker, offset: Offset, timestamp: TimestampMs) -> Option<Completed> {
        let state = self.states.entry(marker.producer).or_insert_with(ProducerState::new);
        self.verifications.end(marker.producer);
        let first_offset = state.end(marker, timestamp)?;
        self.open.remove(&first_offset);
        self.ended.insert(first_offset, offset);
        let last_stable = self.open.keys().next().copied().unwrap_or(offset + 1);
        let Marker { producer, outcome, .. } = *marker;
        Some(Completed { producer, first_offset, last_offset: offset, last_stable, outcome })
    }

    /// What is below the high watermark can't be undone: transactions whose marker is there are over.
    pub fn replicated_to(&mut self, high_watermark: Offset) {
        if !self.ended.is_empty() {
            self.ended.retain(|_, marker| *marker >= high_watermark);
        }
    }

    /// The first offset of a transaction that is not over; readers of committed records stop before it.
    #[must_use]
    pub fn first_unstable(&self) -> Option<Offset> {
        let (open, ended) = (self.open.keys().next(), self.ended.keys().next());
        open.into_iter().chain(ended).min().copied()
    }

    /// Forgets producers that were idle for `expiration_ms` (`producer.id.expiration.ms`). Returns how many.
    pub fn expire(&mut self, now: TimestampMs, expiration_ms: i64) -> usize {
        let before = self.states.len();
        self.states.retain(|_, state| {
            state.current_txn_first_offset().is_some() || now.0.saturating_sub(state.last_timestamp().0) < expiration_ms
        });
        self.verifications.expire(now, expiration_ms);
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
        Self::over(entries.iter().map(|entry| (entry.producer_id, ProducerState::from_entry(entry))).collect())
    }

    /// All of it but which batches were verified: those ask again.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            producers: self.states.iter().map(|(id, state)| state.to_memory(*id)).collect(),
            ended: self.ended.iter().map(|(first, marker)| (*first, *marker)).collect(),
        }
    }

    /// The state of which [`Producers::memory`] is. Batches after it are then applied in log order.
    #[must_use]
    pub fn recall(memory: &Memory) -> Self {
        let states: BTreeMap<ProducerId, ProducerState> =
            memory.producers.iter().map(|one| (one.producer_id, ProducerState::from_memory(one))).collect();
        Self { ended: memory.ended.iter().copied().collect(), ..Self::over(states) }
    }

    fn over(states: BTreeMap<ProducerId, ProducerState>) -> Self {
        let open = states.iter().filter_map(|(id, state)| Some((state.current_txn_first_offset()?, *id))).collect();
        Self { states, open, ..Self::default() }
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
    if first == NO_SEQUENCE {
        return NO_SEQUENCE;
    }
    let last = first.wrapping_add(records.saturating_sub(1));
    // i32::MIN is what 0 wraps to.
    if last < 0 && first >= 0 { last.wrapping_sub(i32::MIN) } else { last }
}

#[cfg(test)]
#[path = "producers_tests.rs"]
mod tests;
