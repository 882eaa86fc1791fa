//! The state of share partitions as the share coordinator keeps it: snapshots, and what changed since (`__share_group_state`).
//!
//! Who leads a share partition writes what it settled; a newer leader epoch or a newer state epoch fences whoever came before.

use super::batch::{StateBatch, overlaid};
use crate::Error;
use millstream_types::{TimestampMs, TopicId};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::Arc;

/// Where a start offset, or a count, is not known.
pub const UNKNOWN: i64 = -1;

/// A partition of a topic, for one share group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShareKey {
    /// The group.
    pub group: Arc<str>,
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: i32,
}

impl Display for ShareKey {
    /// As Kafka names the coordinator's key.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self { group, topic, partition } = self;
        write!(out, "{group}:{topic}:{partition}")
    }
}

/// A text that names no share partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this names no share partition: expected group:topicId:partition")]
pub struct NoShareKey;

impl FromStr for ShareKey {
    type Err = NoShareKey;

    /// The group's name may have colons in it.
    fn from_str(name: &str) -> Result<Self, NoShareKey> {
        let mut parts = name.rsplitn(3, ':');
        let (partition, topic, group) = (parts.next(), parts.next(), parts.next());
        let (Some(partition), Some(topic), Some(group)) = (partition, topic, group) else { return Err(NoShareKey) };
        if group.trim().is_empty() {
            return Err(NoShareKey);
        }
        let topic = topic.parse().map_err(|_| NoShareKey)?;
        Ok(Self { group: Arc::from(group), topic, partition: partition.parse().map_err(|_| NoShareKey)? })
    }
}

/// All of a share partition's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareState {
    /// How many snapshots came before.
    pub snapshot_epoch: i32,
    /// How often the state was initialized anew.
    pub state_epoch: i32,
    /// The newest leader that is known.
    pub leader_epoch: i32,
    /// The first offset that is not settled; [`UNKNOWN`] before it was decided.
    pub start: i64,
    /// How many offsets from there on are settled; -1 where nobody said.
    pub complete: i32,
    /// When it was made.
    pub created_at: TimestampMs,
    /// When it was written.
    pub written_at: TimestampMs,
    /// What is known of offsets from `start` on, in order.
    pub batches: Vec<StateBatch>,
}

/// A change to a share partition's state since its snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateUpdate {
    /// The snapshot that it belongs to.
    pub snapshot_epoch: i32,
    /// The leader that wrote it.
    pub leader_epoch: i32,
    /// The first offset that is not settled; [`UNKNOWN`] where it does not change.
    pub start: i64,
    /// How many offsets from there on are settled; -1 where nobody said.
    pub complete: i32,
    /// What changed.
    pub batches: Vec<StateBatch>,
}

/// A record of the state topic, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// All of the state; none where it is deleted.
    Snapshot(ShareKey, Option<ShareState>),
    /// A change to it; none where it is not worth keeping any more.
    Update(ShareKey, Option<StateUpdate>),
    /// A key of another kind, of the given version: not ours to read.
    Other(i16),
}

impl StateChange {
    /// The share partition that it is about.
    #[must_use]
    pub const fn key(&self) -> Option<&ShareKey> {
        match self {
            Self::Snapshot(key, _) | Self::Update(key, _) => Some(key),
            Self::Other(_) => None,
        }
    }
}

/// What the leader of a share partition asks to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteState {
    /// The state epoch it was given.
    pub state_epoch: i32,
    /// Its leader epoch.
    pub leader_epoch: i32,
    /// The first offset that is not settled; [`UNKNOWN`] where it does not change.
    pub start: i64,
    /// How many offsets from there on are settled; -1 where it does not say.
    pub complete: i32,
    /// What changed.
    pub batches: Vec<StateBatch>,
}

/// What is told of a share partition without its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How often the state was initialized anew.
    pub state_epoch: i32,
    /// The newest leader that is known.
    pub leader_epoch: i32,
    /// The first offset that is not settled; [`UNKNOWN`] where there is none.
    pub start: i64,
    /// How many offsets from there on are settled; -1 where nobody said.
    pub complete: i32,
}

#[derive(Debug, Clone)]
struct Kept {
    state: ShareState,
    updates: u32,
}

/// The share partitions of one partition of the state topic. A decision gives the record to write; what is written is replayed.
#[derive(Debug, Clone)]
pub struct ShareStates {
    kept: BTreeMap<ShareKey, Kept>,
    updates_per_snapshot: u32,
}

impl ShareStates {
    /// None, of each of which a snapshot is written after so many updates.
    #[must_use]
    pub const fn new(updates_per_snapshot: u32) -> Self {
        Self { kept: BTreeMap::new(), updates_per_snapshot }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The state of `key`.
    #[must_use]
    pub fn get(&self, key: &ShareKey) -> Option<&ShareState> {
        self.kept.get(key).map(|kept| &kept.state)
    }

    /// What is told of `key` in short: of what is not there too.
    #[must_use]
    pub fn summary(&self, key: &ShareKey) -> Summary {
        let nothing = Summary { state_epoch: 0, leader_epoch: 0, start: UNKNOWN, complete: -1 };
        self.get(key).map_or(nothing, |state| Summary {
            state_epoch: state.state_epoch,
            leader_epoch: state.leader_epoch,
            start: state.start,
            complete: state.complete,
        })
    }

    /// Begins the state anew, at `start`.
    ///
    /// # Errors
    /// `FencedStateEpoch`.
    pub fn initialize(
        &self,
        key: &ShareKey,
        state_epoch: i32,
        start: i64,
        now: TimestampMs,
    ) -> Result<StateChange, Error> {
        let before = self.get(key);
        if let Some(state) = before {
            check_state_epoch(state_epoch, state)?;
        }
        let state = ShareState {
            snapshot_epoch: before.map_or(0, |state| state.snapshot_epoch.saturating_add(1)),
            state_epoch,
            leader_epoch: 0,
            start,
            // What comes before a start that somebody chose is settled, and nothing after it.
            complete: if start == UNKNOWN { -1 } else { 0 },
            created_at: now,
            written_at: now,
            batches: Vec::new(),
        };
        Ok(StateChange::Snapshot(key.clone(), Some(state)))
    }

    /// A leader reads the state: those of before it are fenced from here on, which is a record where it is the first to come.
    ///
    /// # Errors
    /// `NoShareState`, `FencedShareLeader`.
    pub fn read(&self, key: &ShareKey, leader_epoch: i32) -> Result<Option<StateChange>, Error> {
        let state = self.found(key)?;
        check_leader_epoch(leader_epoch, state)?;
        if leader_epoch <= state.leader_epoch {
            return Ok(None);
        }
        let update = StateUpdate {
            snapshot_epoch: state.snapshot_epoch,
            leader_epoch,
            start: state.start,
            complete: state.complete,
            batches: Vec::new(),
        };
        Ok(Some(StateChange::Update(key.clone(), Some(update))))
    }

    /// Stores what a leader settled.
    ///
    /// # Errors
    /// `NoShareState`, `FencedShareLeader`, `FencedStateEpoch`.
    pub fn write(&self, key: &ShareKey, write: &WriteState, now: TimestampMs) -> Result<StateChange, Error> {
        let Kept { state, updates } = self.kept.get(key).ok_or_else(|| not_there(key))?;
        check_leader_epoch(write.leader_epoch, state)?;
        check_state_epoch(write.state_epoch, state)?;
        let update = StateUpdate {
            snapshot_epoch: state.snapshot_epoch,
            leader_epoch: if write.leader_epoch == -1 { state.leader_epoch } else { write.leader_epoch },
            start: write.start,
            complete: write.complete,
            batches: overlaid(&[], &write.batches, i64::MIN),
        };
        if *updates < self.updates_per_snapshot {
            return Ok(StateChange::Update(key.clone(), Some(update)));
        }
        let mut next = state.with(&update);
        next.snapshot_epoch = state.snapshot_epoch.saturating_add(1);
        next.state_epoch = state.state_epoch.max(write.state_epoch);
        next.written_at = now;
        Ok(StateChange::Snapshot(key.clone(), Some(next)))
    }

    /// Deletes the state; nothing is to be written where there is none.
    #[must_use]
    pub fn delete(&self, key: &ShareKey) -> Option<StateChange> {
        self.get(key).map(|_| StateChange::Snapshot(key.clone(), None))
    }

    /// What there is.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ShareKey> {
        self.kept.keys()
    }

    /// All of the state of `key`, which makes the records before it redundant.
    pub(super) fn snapshot(&self, key: &ShareKey, now: TimestampMs) -> Option<StateChange> {
        let state = self.get(key)?;
        let snapshot_epoch = state.snapshot_epoch.saturating_add(1);
        let next = ShareState { snapshot_epoch, written_at: now, ..state.clone() };
        Some(StateChange::Snapshot(key.clone(), Some(next)))
    }

    /// The state of `key`.
    ///
    /// # Errors
    /// `NoShareState`.
    pub(super) fn found(&self, key: &ShareKey) -> Result<&ShareState, Error> {
        self.get(key).ok_or_else(|| not_there(key))
    }

    /// Takes over one record, in the order of the log.
    pub fn replay(&mut self, change: StateChange) {
        match change {
            StateChange::Snapshot(key, Some(state)) => {
                self.kept.insert(key, Kept { state, updates: 0 });
            }
            StateChange::Snapshot(key, None) => {
                self.kept.remove(&key);
            }
            StateChange::Update(key, Some(update)) => {
                if let Some(kept) = self.kept.get_mut(&key) {
                    kept.state = kept.state.with(&update);
                    kept.updates = kept.updates.saturating_add(1);
                }
            }
            StateChange::Update(_, None) | StateChange::Other(_) => {}
        }
    }
}

impl ShareState {
    fn with(&self, update: &StateUpdate) -> Self {
        let start = if update.start == UNKNOWN { self.start } else { update.start };
        Self {
            leader_epoch: update.leader_epoch.max(self.leader_epoch),
            start,
            complete: update.complete,
            batches: overlaid(&self.batches, &update.batches, start),
            ..self.clone()
        }
    }
}

const fn check_leader_epoch(sent: i32, state: &ShareState) -> Result<(), Error> {
    if sent != -1 && sent < state.leader_epoch {
        return Err(Error::FencedShareLeader { sent, current: state.leader_epoch });
    }
    Ok(())
}

const fn check_state_epoch(sent: i32, state: &ShareState) -> Result<(), Error> {
    if sent != -1 && sent < state.state_epoch {
        return Err(Error::FencedStateEpoch { sent, current: state.state_epoch });
    }
    Ok(())
}

fn not_there(key: &ShareKey) -> Error {
    Error::NoShareState { group: key.group.to_string(), topic: key.topic, partition: key.partition }
}
