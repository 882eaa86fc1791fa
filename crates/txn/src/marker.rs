//! The marker that ends a transaction in a partition: Kafka's control record. Stored: never renumber.
//!
//! ```text
//! batch header: producerId, producerEpoch, baseSequence -1, attributes transactional | control
//! key    version i16 = 0 | type i16: 0 abort, 1 commit
//! value  version i16 = 0 | coordinatorEpoch i32
//! ```

use millstream_types::{ProducerEpoch, ProducerId};

const VERSION: i16 = 0;
/// Bytes of a marker's key.
const KEY_BYTES: usize = 4;
/// Bytes of a marker's value.
const VALUE_BYTES: usize = 6;

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Its records are skipped.
    Abort,
    /// Its records count.
    Commit,
}

impl Outcome {
    const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
        }
    }
}

/// What a transaction's coordinator tells a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction ends.
    pub producer: ProducerId,
    /// The producer's epoch: with `transaction.version=2` one above that of the transaction's records.
    pub epoch: ProducerEpoch,
    /// The epoch in which the coordinator leads its partition of `__transaction_state`.
    pub coordinator_epoch: i32,
    /// How it ends.
    pub outcome: Outcome,
}

impl Marker {
    /// The key of the control record.
    #[must_use]
    pub fn key(&self) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        key[..2].copy_from_slice(&VERSION.to_be_bytes());
        key[2..].copy_from_slice(&self.outcome.id().to_be_bytes());
        key
    }

    /// The value of the control record.
    #[must_use]
    pub fn value(&self) -> [u8; VALUE_BYTES] {
        let mut value = [0; VALUE_BYTES];
        value[..2].copy_from_slice(&VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        value
    }

    /// The marker that a control record of this producer and epoch says; none where it is a control record of another kind.
    #[must_use]
    pub fn read(producer: ProducerId, epoch: ProducerEpoch, key: &[u8], value: &[u8]) -> Option<Self> {
        let kind = i16::from_be_bytes(key.get(2..KEY_BYTES)?.try_into().ok()?);
        let outcome = [Outcome::Abort, Outcome::Commit].into_iter().find(|outcome| outcome.id() == kind)?;
        // Later versions of the value only add to it.
        let coordinator_epoch = i32::from_be_bytes(value.get(2..VALUE_BYTES)?.try_into().ok()?);
        Some(Self { producer, epoch, coordinator_epoch, outcome })
    }
}

/// Kafka's feature `transaction.version`, as a client's request shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 0 and 1: a producer keeps its epoch from one transaction to the next, and adds partitions itself.
    Classic,
    /// 2 (KIP-890): the epoch is bumped at every end, and partitions are added by the brokers that are written to.
    Bumping,
}

impl Version {
    /// The number that is stored and sent.
    #[must_use]
    pub const fn level(self) -> i16 {
        match self {
            Self::Classic => 0,
            Self::Bumping => 2,
        }
    }

    /// What a stored or sent number says.
    #[must_use]
    pub const fn of_level(level: i16) -> Self {
        if level >= Self::Bumping.level() { Self::Bumping } else { Self::Classic }
    }

    /// Whether every end of a transaction bumps the producer's epoch.
    #[must_use]
    pub const fn bumps(self) -> bool {
        matches!(self, Self::Bumping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_records_are_kafkas() {
        let marker = Marker {
            producer: ProducerId(7),
            epoch: ProducerEpoch(3),
            coordinator_epoch: 0x0102,
            outcome: Outcome::Commit,
        };
        assert_eq!(marker.key(), [0, 0, 0, 1]);
        assert_eq!(marker.value(), [0, 0, 0, 0, 1, 2]);
        assert_eq!(Marker::read(marker.producer, marker.epoch, &marker.key(), &marker.value()), Some(marker));
        assert_eq!(Marker::read(marker.producer, marker.epoch, &[0, 0, 0, 2], &marker.value()), None, "leader change");
        assert_eq!(Marker::read(marker.producer, marker.epoch, &[0, 0], &[]), None);
    }
}
