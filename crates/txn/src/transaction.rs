//! What is known of one transactional id, and what each step makes of it. Nothing here is stored or answered: [`crate::Shard`] does that.

use crate::Error;
use crate::marker::{Outcome, Version};
use crate::state::TransactionState;
use millstream_types::{ProducerEpoch, ProducerId, TimestampMs};
use std::collections::BTreeSet;

/// A partition by the name of its topic, as Kafka's layout has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// The partition within it.
    pub index: i32,
}

/// The last epoch a client is given: the one above is the coordinator's, to fence with.
const EPOCH_MAX: ProducerEpoch = ProducerEpoch(i16::MAX - 1);

/// Whether no epoch is left for clients after `epoch`.
pub(crate) const fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch.0 >= EPOCH_MAX.0
}

/// A producer id and epoch that a client believes to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The id.
    pub producer: ProducerId,
    /// The epoch.
    pub epoch: ProducerEpoch,
}

impl Identity {
    /// Of who has none.
    pub const NONE: Self = Self { producer: ProducerId::NONE, epoch: ProducerEpoch::NONE };
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its producer id.
    pub producer: ProducerId,
    /// The producer id before the last change; [`ProducerId::NONE`] for none.
    pub previous_producer: ProducerId,
    /// The producer id after the end that is prepared, where the epochs of this one are used up.
    pub next_producer: ProducerId,
    /// Its epoch; [`ProducerEpoch::NONE`] until the first initialization is stored.
    pub epoch: ProducerEpoch,
    /// The epoch before, where a client may ask for this one again. Not stored.
    pub last_epoch: ProducerEpoch,
    /// How long a transaction may take.
    pub timeout_ms: i32,
    /// Its state.
    pub state: TransactionState,
    /// The partitions that have, or may have, records of the open transaction.
    pub partitions: BTreeSet<Partition>,
    /// When the transaction began; [`TimestampMs::NONE`] before the first.
    pub started_at: TimestampMs,
    /// When it changed last.
    pub updated_at: TimestampMs,
    /// What the client that last changed it speaks.
    pub version: Version,
}

impl Transaction {
    /// A transactional id that nobody used before.
    pub(crate) const fn new(producer: ProducerId, timeout_ms: i32, now: TimestampMs) -> Self {
        Self {
            producer,
            previous_producer: ProducerId::NONE,
            next_producer: ProducerId::NONE,
            epoch: ProducerEpoch::NONE,
            last_epoch: ProducerEpoch::NONE,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            started_at: TimestampMs::NONE,
            updated_at: now,
            version: Version::Classic,
        }
    }

    /// Its producer id and epoch.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        Identity { producer: self.producer, epoch: self.epoch }
    }

    /// Whether a client that says it is `expected` may be initialized (KIP-360): it has the current id, or the one before whose epochs
    /// were used up, so that it may not have heard of this one.
    pub(crate) fn may_be(&self, expected: Identity) -> bool {
        self.epoch == ProducerEpoch::NONE
            || expected.producer == self.producer
            || (expected.producer == self.previous_producer && is_exhausted(expected.epoch))
    }

    /// Whether an initialization takes a producer id that was never used.
    pub(crate) fn wants_producer(&self, expected: Option<Identity>) -> bool {
        is_exhausted(self.epoch) && expected.is_none_or(|expected| expected.epoch == self.epoch)
    }

    /// Initialized, from a state in which no transaction is open: the epoch is bumped, so that older instances are fenced.
    pub(crate) fn initialized(
        &self,
        expected: Option<Identity>,
        timeout_ms: i32,
        now: TimestampMs,
        fresh: Option<ProducerId>,
    ) -> Result<Self, Error> {
        let (producer, epoch, last_epoch) = self.after_init(expected, fresh)?;
        Ok(Self {
            producer,
            previous_producer: self.producer,
            epoch,
            last_epoch,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            started_at: TimestampMs::NONE,
            updated_at: now,
            ..self.clone()
        })
    }

    fn after_init(
        &self,
        expected: Option<Identity>,
        fresh: Option<ProducerId>,
    ) -> Result<(ProducerId, ProducerEpoch, ProducerEpoch), Error> {
        if self.wants_producer(expected) {
            let last_epoch = if expected.is_some() { self.epoch } else { ProducerEpoch::NONE };
            return Ok((fresh.ok_or(Error::IdsUsedUp)?, ProducerEpoch::FIRST, last_epoch));
        }
        match expected {
            // The same question again: the same answer.
            Some(expected) if self.epoch != ProducerEpoch::NONE && expected.epoch != self.epoch => {
                if expected.epoch == self.last_epoch {
                    return Ok((self.producer, self.epoch, self.last_epoch));
                }
                Err(Error::ProducerFenced { sent: expected.epoch, current: self.epoch })
            }
            Some(_) => Ok((self.producer, self.epoch.next(), self.epoch)),
            None => Ok((self.producer, self.epoch.next(), ProducerEpoch::NONE)),
        }
    }

    /// With partitions that will be written to.
    pub(crate) fn with_partitions(&self, added: &BTreeSet<Partition>, version: Version, now: TimestampMs) -> Self {
        Self {
            previous_producer: self.producer,
            state: TransactionState::Ongoing,
            partitions: self.partitions.union(added).cloned().collect(),
            started_at: if self.state == TransactionState::Ongoing { self.started_at } else { now },
            updated_at: now,
            version,
            ..self.clone()
        }
    }

    /// Decided: from now on it ends so, whatever happens. `fresh` is the producer id to go on with where the epochs are used up.
    pub(crate) fn prepared(
        &self,
        outcome: Outcome,
        version: Version,
        now: TimestampMs,
        fresh: Option<ProducerId>,
    ) -> Self {
        let (epoch, last_epoch) = match version {
            // Nobody was ever given the largest epoch: it can't be bumped, and need not be.
            Version::Bumping if self.epoch.0 == i16::MAX => (self.epoch, self.epoch),
            Version::Bumping => (self.epoch.next(), self.epoch),
            Version::Classic => (self.epoch, self.last_epoch),
        };
        Self {
            previous_producer: self.producer,
            next_producer: fresh.unwrap_or(ProducerId::NONE),
            epoch,
            last_epoch,
            state: match outcome {
                Outcome::Commit => TransactionState::PrepareCommit,
                Outcome::Abort => TransactionState::PrepareAbort,
            },
            // An abort of nothing begins and ends now.
            started_at: if self.state == TransactionState::Ongoing { self.started_at } else { now },
            updated_at: now,
            version,
            ..self.clone()
        }
    }

    /// Every partition has its marker.
    pub(crate) fn completed(&self, now: TimestampMs) -> Self {
        let is_rotated = self.version.bumps() && self.next_producer != ProducerId::NONE;
        Self {
            producer: if is_rotated { self.next_producer } else { self.producer },
            previous_producer: self.producer,
            next_producer: ProducerId::NONE,
            epoch: if is_rotated { ProducerEpoch::FIRST } else { self.epoch },
            state: match self.state {
                TransactionState::PrepareCommit => TransactionState::CompleteCommit,
                _ => TransactionState::CompleteAbort,
            },
            partitions: BTreeSet::new(),
            updated_at: now,
            ..self.clone()
        }
    }

    /// What a client is told that ends it: what it is to go on with.
    pub(crate) fn identity_after(&self) -> Identity {
        self.completed(self.updated_at).identity()
    }

    /// How the prepared end goes; none where nothing is prepared.
    pub(crate) const fn outcome(&self) -> Option<Outcome> {
        match self.state {
            TransactionState::PrepareCommit => Some(Outcome::Commit),
            TransactionState::PrepareAbort => Some(Outcome::Abort),
            _ => None,
        }
    }
}
