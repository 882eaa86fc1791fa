//! What a partition remembers of one producer: its epoch and its last batches.

use crate::marker::{Marker, Version};
use crate::producers::{NO_SEQUENCE, Sequenced, last_sequence, next_sequence};
use crate::verification::Verification;
use crate::{Duplicate, Error};
use millstream_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::collections::VecDeque;

/// Batches remembered of each producer: a client has at most this many in flight, so a retry is of one of them.
pub(crate) const BATCHES_REMEMBERED: usize = 5;

/// A batch that was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The sequence of its last record; -1 where it has none.
    pub last_sequence: i32,
    /// Its last offset.
    pub last_offset: Offset,
    /// Its last offset less the first.
    pub offset_delta: i32,
    /// Its largest timestamp, as appended.
    pub timestamp: TimestampMs,
}

impl Remembered {
    fn first_sequence(&self) -> i32 {
        if self.last_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        // The inverse of `last_sequence`: sequences wrap to 0 after i32::MAX.
        let back = self.last_sequence.wrapping_sub(self.offset_delta);
        if back < 0 { back.wrapping_sub(i32::MIN) } else { back }
    }

    fn base_offset(&self) -> Offset {
        Offset(self.last_offset.0 - i64::from(self.offset_delta))
    }
}

/// A producer in a partition's snapshot file: Kafka stores its last batch only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
    /// The last sequence of its last batch, -1 when it has none.
    pub last_sequence: i32,
    /// The last offset of its last batch, [`Offset::NONE`] when it has none.
    pub last_offset: Offset,
    /// The last offset of its last batch less the first.
    pub offset_delta: i32,
    /// The largest timestamp of its last batch.
    pub timestamp: TimestampMs,
    /// The epoch of the transaction coordinator that last wrote a marker, -1 when none has.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins, [`Offset::NONE`] when none is open.
    pub current_txn_first_offset: Offset,
}

/// All that is remembered of a producer: beside what Kafka's snapshot has, the batches before its last one, so that a retry of any of them is
/// known after a restart as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerMemory {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
    /// Its last batches of that epoch, oldest first.
    pub batches: Vec<Remembered>,
    /// The largest timestamp of its last batch or marker.
    pub last_timestamp: TimestampMs,
    /// The epoch of the transaction coordinator that last wrote a marker, -1 when none has.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub current_txn_first_offset: Option<Offset>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    epoch: ProducerEpoch,
    /// Of this epoch, oldest first.
    batches: VecDeque<Remembered>,
    last_timestamp: TimestampMs,
    coordinator_epoch: i32,
    current_txn_first_offset: Option<Offset>,
}

impl ProducerState {
    pub(crate) fn new() -> Self {
        Self {
            epoch: ProducerEpoch::NONE,
            batches: VecDeque::with_capacity(BATCHES_REMEMBERED),
            last_timestamp: TimestampMs::NONE,
            coordinator_epoch: -1,
            current_txn_first_offset: None,
        }
    }

    /// Its newest epoch.
    #[must_use]
    pub const fn epoch(&self) -> ProducerEpoch {
        self.epoch
    }

    /// The last sequence it wrote in its epoch.
    #[must_use]
    pub fn last_sequence(&self) -> Option<i32> {
        self.batches.back().map(|batch| batch.last_sequence)
    }

    /// The last offset it wrote in its epoch.
    #[must_use]
    pub fn last_offset(&self) -> Option<Offset> {
        self.batches.back().map(|batch| batch.last_offset)
    }

    /// The largest timestamp of its last batch.
    #[must_use]
    pub const fn last_timestamp(&self) -> TimestampMs {
        self.last_timestamp
    }

    /// The epoch of the coordinator that last wrote a marker, or -1.
    #[must_use]
    pub const fn coordinator_epoch(&self) -> i32 {
        self.coordinator_epoch
    }

    /// Where its open transaction begins.
    #[must_use]
    pub const fn current_txn_first_offset(&self) -> Option<Offset> {
        self.current_txn_first_offset
    }

    /// The remembered batch of which this one is a retry.
    pub(crate) fn duplicate(&self, batch: &Sequenced) -> Option<Duplicate> {
        if batch.epoch != self.epoch || batch.first_sequence == NO_SEQUENCE {
            return None;
        }
        let last = last_sequence(batch.first_sequence, batch.records);
        self.batches
            .iter()
            .find(|known| known.first_sequence() == batch.first_sequence && known.last_sequence == last)
            .map(|known| Duplicate { base_offset: known.base_offset(), timestamp: known.timestamp })
    }

    /// That the batch may come next.
    pub(crate) fn check(&self, batch: &Sequenced, verification: Option<&Verification>) -> Result<(), Error> {
        if batch.epoch < self.epoch {
            return Err(Error::InvalidProducerEpoch {
                producer: batch.producer,
                sent: batch.epoch,
                current: self.epoch,
            });
        }
        if batch.first_sequence != NO_SEQUENCE {
            self.check_sequence(batch, verification)?;
        }
        if self.current_txn_first_offset.is_some() && !batch.is_transactional {
            return Err(Error::NotTransactional { producer: batch.producer });
        }
        Ok(())
    }

    fn check_sequence(&self, batch: &Sequenced, verification: Option<&Verification>) -> Result<(), Error> {
        let (producer, epoch, sent) = (batch.producer, batch.epoch, batch.first_sequence);
        let refused = |expected| Err(Error::OutOfOrderSequence { producer, epoch, sent, expected });
        if let Some(verification) = verification.filter(|_| batch.is_transactional) {
            // A client that bumps epochs begins each at 0: a later sequence says that a batch before it is on its way.
            if verification.bumps && self.batches.is_empty() && sent != 0 {
                return refused(0);
            }
            if sent > verification.lowest_sequence {
                return refused(verification.lowest_sequence);
            }
        }
        // Nothing is known of the producer: its records were deleted or expired, so that any sequence may come next.
        if self.epoch == ProducerEpoch::NONE {
            return Ok(());
        }
        let expected = match self.last_sequence() {
            Some(last) if epoch == self.epoch => next_sequence(last),
            _ => 0,
        };
        if sent == expected { Ok(()) } else { refused(expected) }
    }

    /// That the marker may come next.
    pub(crate) fn check_marker(&self, marker: &Marker, version: Version) -> Result<(), Error> {
        // With bumped epochs a marker's is above that of the records; one that came before and is sent again ends nothing.
        let is_again = marker.epoch == self.epoch && self.current_txn_first_offset.is_none();
        let is_stale = match version {
            Version::Bumping => marker.epoch <= self.epoch && !is_again,
            Version::Classic => marker.epoch < self.epoch,
        };
        if is_stale {
            let (producer, sent, current) = (marker.producer, marker.epoch, self.epoch);
            return Err(Error::InvalidProducerEpoch { producer, sent, current });
        }
        if marker.coordinator_epoch < self.coordinator_epoch {
            let (sent, current) = (marker.coordinator_epoch, self.coordinator_epoch);
            return Err(Error::CoordinatorFenced { producer: marker.producer, sent, current });
        }
        Ok(())
    }

    /// Ends the open transaction; returns where it began.
    pub(crate) fn end(&mut self, marker: &Marker, timestamp: TimestampMs) -> Option<Offset> {
        self.take_epoch(marker.epoch);
        self.coordinator_epoch = marker.coordinator_epoch;
        self.last_timestamp = timestamp;
        self.current_txn_first_offset.take()
    }

    fn take_epoch(&mut self, epoch: ProducerEpoch) {
        if epoch != self.epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    pub(crate) fn apply(&mut self, batch: &Sequenced, base_offset: Offset, timestamp: TimestampMs) {
        self.take_epoch(batch.epoch);
        if self.batches.len() == BATCHES_REMEMBERED {
            self.batches.pop_front();
        }
        let offset_delta = batch.records.saturating_sub(1);
        self.batches.push_back(Remembered {
            last_sequence: last_sequence(batch.first_sequence, batch.records),
            last_offset: base_offset + i64::from(offset_delta),
            offset_delta,
            timestamp,
        });
        self.last_timestamp = timestamp;
        if batch.is_transactional && self.current_txn_first_offset.is_none() {
            self.current_txn_first_offset = Some(base_offset);
        }
    }

    pub(crate) fn to_entry(&self, producer_id: ProducerId) -> SnapshotEntry {
        let last = self.batches.back();
        SnapshotEntry {
            producer_id,
            epoch: self.epoch,
            last_sequence: last.map_or(-1, |batch| batch.last_sequence),
            last_offset: last.map_or(Offset::NONE, |batch| batch.last_offset),
            offset_delta: last.map_or(0, |batch| batch.offset_delta),
            timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            current_txn_first_offset: self.current_txn_first_offset.unwrap_or(Offset::NONE),
        }
    }

    pub(crate) fn to_memory(&self, producer_id: ProducerId) -> ProducerMemory {
        ProducerMemory {
            producer_id,
            epoch: self.epoch,
            batches: self.batches.iter().cloned().collect(),
            last_timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            current_txn_first_offset: self.current_txn_first_offset,
        }
    }

    pub(crate) fn from_memory(memory: &ProducerMemory) -> Self {
        let newest = memory.batches.len().saturating_sub(BATCHES_REMEMBERED);
        let mut state = Self::new();
        state.epoch = memory.epoch;
        state.batches.extend(memory.batches[newest..].iter().cloned());
        state.last_timestamp = memory.last_timestamp;
        state.coordinator_epoch = memory.coordinator_epoch;
        state.current_txn_first_offset = memory.current_txn_first_offset;
        state
    }

    pub(crate) fn from_entry(entry: &SnapshotEntry) -> Self {
        let mut state = Self::new();
        state.epoch = entry.epoch;
        state.last_timestamp = entry.timestamp;
        state.coordinator_epoch = entry.coordinator_epoch;
        state.current_txn_first_offset = Some(entry.current_txn_first_offset).filter(|&offset| offset != Offset::NONE);
        if entry.last_offset != Offset::NONE {
            state.batches.push_back(Remembered {
                last_sequence: entry.last_sequence,
                last_offset: entry.last_offset,
                offset_delta: entry.offset_delta,
                timestamp: entry.timestamp,
            });
        }
        state
    }
}
