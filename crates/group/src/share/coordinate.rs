//! The share coordinator's part of one partition of `__share_group_state`: requests in, records to write and replies out.
//!
//! About one share partition one record is written at a time, and whoever asks meanwhile waits for it: what is decided, and told, builds on
//! what is stored alone. A record tells all of a state, or the start that holds from then on; one that was decided on top of another that is
//! then not written would store, and a new leader would be told, what its asker was told is not stored.

use super::stored::{ShareKey, ShareState, ShareStates, StateChange, Summary, WriteState};
use crate::config::PARKED_MAX;
use crate::effects::WriteError;
use crate::turn::not_written;
use crate::{Error, Write};
use millstream_types::{Now, Ticket, TimestampMs, Waiter};
use std::collections::{BTreeMap, VecDeque};

/// By what the share coordinator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateConfig {
    /// After so many updates of a share partition a snapshot is written (`share.coordinator.snapshot.update.records.per.snapshot`).
    pub updates_per_snapshot: u32,
    /// How often records that say nothing any more are deleted, in milliseconds (`share.coordinator.state.topic.prune.interval.ms`).
    pub prune_interval_ms: u64,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { updates_per_snapshot: 500, prune_interval_ms: 300_000 }
    }
}

/// What a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateReply {
    /// To what stores something.
    Stored(Result<(), Error>),
    /// To a read.
    Read(Result<Box<ShareState>, Error>),
}

/// What one decision asks for.
#[derive(Debug, Default)]
pub struct StateEffects {
    /// Records to append, in order.
    pub writes: Vec<Write>,
    /// Requests that are answered now.
    pub replies: Vec<(Waiter, StateReply)>,
    /// What is in the log up to now is to be made redundant ([`StateShard::snapshot_all`]), and then deleted.
    pub prunes: bool,
}

/// What is asked about a share partition.
#[derive(Debug)]
enum Ask {
    Initialize {
        state_epoch: i32,
        start: i64,
    },
    Write(WriteState),
    Delete,
    Read {
        leader_epoch: i32,
    },
    /// All of it, for a round of snapshots.
    Snapshot,
}

#[derive(Debug)]
struct Asked {
    ask: Ask,
    waiter: Waiter,
    at: TimestampMs,
}

/// Changes that are being written: of several share partitions where they are a round of snapshots.
struct Pending {
    changes: Vec<StateChange>,
    asked: Asked,
}

/// A round of snapshots.
struct Round {
    waiter: Waiter,
    /// Writes that belong to it and are not done.
    left: usize,
    outcome: Result<(), Error>,
}

/// See the module.
pub struct StateShard {
    config: StateConfig,
    states: ShareStates,
    pending: BTreeMap<Ticket, Pending>,
    /// Share partitions of which something is being written, and who waits for that.
    busy: BTreeMap<ShareKey, VecDeque<Asked>>,
    round: Option<Round>,
    tickets: u64,
    /// Records since the log was pruned last.
    records: u64,
    prune_at: u64,
}

impl StateShard {
    /// A shard that knows of nothing.
    #[must_use]
    pub fn new(config: StateConfig) -> Self {
        let states = ShareStates::new(config.updates_per_snapshot);
        let (pending, busy) = (BTreeMap::new(), BTreeMap::new());
        Self { config, states, pending, busy, round: None, tickets: 0, records: 0, prune_at: 0 }
    }

    /// Takes over one record of the log, in log order, before the shard is used.
    pub fn replay(&mut self, change: StateChange) {
        self.records += 1;
        self.states.replay(change);
    }

    /// The log is read.
    pub const fn loaded(&mut self, now: Now) -> StateEffects {
        self.prune_at = now.elapsed_ms.saturating_add(self.config.prune_interval_ms);
        StateEffects { writes: Vec::new(), replies: Vec::new(), prunes: false }
    }

    /// How many share partitions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.states.len()
    }

    /// When to call [`Self::tick`] next, in elapsed milliseconds.
    #[must_use]
    pub const fn next_deadline(&self) -> u64 {
        self.prune_at
    }

    /// Looks whether most of the log is redundant.
    pub fn tick(&mut self, now: Now) -> StateEffects {
        let mut effects = StateEffects::default();
        if now.elapsed_ms >= self.prune_at {
            self.prune_at = now.elapsed_ms.saturating_add(self.config.prune_interval_ms);
            // One snapshot of each is what remains.
            let remains = u64::try_from(self.states.len()).unwrap_or(u64::MAX);
            effects.prunes = self.round.is_none() && self.records > remains.saturating_mul(2);
        }
        effects
    }

    /// InitializeShareGroupState: the state begins anew, at `start`.
    pub fn initialize(
        &mut self,
        key: &ShareKey,
        (state_epoch, start): (i32, i64),
        waiter: Waiter,
        now: Now,
    ) -> StateEffects {
        self.ask(key, Asked { ask: Ask::Initialize { state_epoch, start }, waiter, at: now.wall })
    }

    /// WriteShareGroupState: what a leader settled.
    pub fn write(&mut self, key: &ShareKey, write: WriteState, waiter: Waiter, now: Now) -> StateEffects {
        self.ask(key, Asked { ask: Ask::Write(write), waiter, at: now.wall })
    }

    /// DeleteShareGroupState.
    pub fn delete(&mut self, key: &ShareKey, waiter: Waiter, now: Now) -> StateEffects {
        self.ask(key, Asked { ask: Ask::Delete, waiter, at: now.wall })
    }

    /// ReadShareGroupState: leaders of before `leader_epoch` are fenced from here on.
    pub fn read(&mut self, key: &ShareKey, leader_epoch: i32, waiter: Waiter, now: Now) -> StateEffects {
        self.ask(key, Asked { ask: Ask::Read { leader_epoch }, waiter, at: now.wall })
    }

    /// ReadShareGroupStateSummary: what is stored.
    #[must_use]
    pub fn summary(&self, key: &ShareKey) -> Summary {
        self.states.summary(key)
    }

    /// Writes a snapshot of every share partition: when that is answered, what was in the log before it was asked for says nothing any more.
    pub fn snapshot_all(&mut self, waiter: Waiter, now: Now) -> StateEffects {
        let mut effects = StateEffects::default();
        if self.round.is_some() {
            let error = Error::CoordinatorNotAvailable { group: String::new() };
            effects.replies.push((waiter, StateReply::Stored(Err(error))));
            return effects;
        }
        self.records = 0;
        let (busy, free): (Vec<&ShareKey>, Vec<&ShareKey>) =
            self.states.keys().partition(|key| self.busy.contains_key(key));
        let changes: Vec<StateChange> = free.iter().filter_map(|key| self.states.snapshot(key, now.wall)).collect();
        let asked = || Asked { ask: Ask::Snapshot, waiter, at: now.wall };
        let left = busy.len() + usize::from(!changes.is_empty());
        for key in busy {
            if let Some(waiting) = self.busy.get_mut(key) {
                waiting.push_back(asked());
            }
        }
        if left == 0 {
            effects.replies.push((waiter, StateReply::Stored(Ok(()))));
            return effects;
        }
        self.round = Some(Round { waiter, left, outcome: Ok(()) });
        if !changes.is_empty() {
            self.push(changes, asked(), &mut effects);
        }
        effects
    }

    /// What became of a write.
    pub fn written(&mut self, ticket: Ticket, outcome: Result<(), WriteError>) -> StateEffects {
        let mut effects = StateEffects::default();
        let Some(Pending { changes, asked }) = self.pending.remove(&ticket) else { return effects };
        let keys: Vec<ShareKey> = changes.iter().filter_map(StateChange::key).cloned().collect();
        let Some(first) = keys.first() else { return effects };
        let outcome = match outcome {
            Ok(()) => {
                changes.into_iter().for_each(|change| self.states.replay(change));
                Ok(())
            }
            Err(cause) => Err(not_written(&first.group, cause)),
        };
        self.answer(first, outcome, asked, &mut effects);
        for key in &keys {
            self.go_on(key, &mut effects);
        }
        effects
    }

    /// The partition is served here no more: whoever waits is sent to look again.
    pub fn unload(&mut self) -> StateEffects {
        let mut effects = StateEffects::default();
        let gone = |key: &ShareKey| Err(Error::NotCoordinator { group: key.group.to_string() });
        for (_, Pending { changes, asked }) in std::mem::take(&mut self.pending) {
            if let Some(key) = changes.first().and_then(StateChange::key) {
                self.answer(key, gone(key), asked, &mut effects);
            }
        }
        for (key, waiting) in std::mem::take(&mut self.busy) {
            for asked in waiting {
                self.answer(&key, gone(&key), asked, &mut effects);
            }
        }
        effects
    }

    fn ask(&mut self, key: &ShareKey, asked: Asked) -> StateEffects {
        let mut effects = StateEffects::default();
        match self.busy.get_mut(key) {
            Some(waiting) if waiting.len() >= PARKED_MAX => {
                let error = Error::CoordinatorNotAvailable { group: key.group.to_string() };
                self.answer(key, Err(error), asked, &mut effects);
            }
            Some(waiting) => waiting.push_back(asked),
            None => self.decide(key, asked, &mut effects),
        }
        effects
    }

    /// Decides what waited for a write, up to the next thing to write.
    fn go_on(&mut self, key: &ShareKey, effects: &mut StateEffects) {
        let mut waiting = self.busy.remove(key).unwrap_or_default();
        while let Some(asked) = waiting.pop_front() {
            self.decide(key, asked, effects);
            if let Some(busy) = self.busy.get_mut(key) {
                busy.extend(waiting);
                return;
            }
        }
    }

    fn decide(&mut self, key: &ShareKey, asked: Asked, effects: &mut StateEffects) {
        let decided = match &asked.ask {
            Ask::Initialize { state_epoch, start } => {
                self.states.initialize(key, *state_epoch, *start, asked.at).map(Some)
            }
            Ask::Write(write) => self.states.write(key, write, asked.at).map(Some),
            Ask::Delete => Ok(self.states.delete(key)),
            Ask::Read { leader_epoch } => self.states.read(key, *leader_epoch),
            Ask::Snapshot => Ok(self.states.snapshot(key, asked.at)),
        };
        match decided {
            Ok(Some(change)) => self.push(vec![change], asked, effects),
            Ok(None) => self.answer(key, Ok(()), asked, effects),
            Err(error) => self.answer(key, Err(error), asked, effects),
        }
    }

    /// Asks for `changes` to be written.
    fn push(&mut self, changes: Vec<StateChange>, asked: Asked, effects: &mut StateEffects) {
        let keys: Vec<ShareKey> = changes.iter().filter_map(StateChange::key).cloned().collect();
        let Some(records) = changes.iter().map(StateChange::encode).collect::<Option<Vec<_>>>() else {
            // A name that is longer than the layout can hold.
            if let Some(first) = keys.first() {
                self.answer(first, Err(Error::InvalidGroupId), asked, effects);
            }
            return;
        };
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.records += u64::try_from(records.len()).unwrap_or(0);
        self.busy.extend(keys.into_iter().map(|key| (key, VecDeque::new())));
        self.pending.insert(ticket, Pending { changes, asked });
        effects.writes.push(Write { ticket, records, transaction: None });
    }

    /// Tells who asked about `key` what came of it.
    fn answer(&mut self, key: &ShareKey, outcome: Result<(), Error>, asked: Asked, effects: &mut StateEffects) {
        let reply = match asked.ask {
            Ask::Snapshot => return self.count_round(outcome, effects),
            Ask::Read { .. } => StateReply::Read(outcome.and_then(|()| self.states.found(key).cloned().map(Box::new))),
            Ask::Initialize { .. } | Ask::Write(_) | Ask::Delete => StateReply::Stored(outcome),
        };
        effects.replies.push((asked.waiter, reply));
    }

    /// One write of a round of snapshots is done.
    fn count_round(&mut self, outcome: Result<(), Error>, effects: &mut StateEffects) {
        let Some(round) = &mut self.round else { return };
        round.left = round.left.saturating_sub(1);
        if outcome.is_err() {
            round.outcome = outcome;
        }
        if let Some(Round { waiter, outcome, .. }) = self.round.take_if(|round| round.left == 0) {
            effects.replies.push((waiter, StateReply::Stored(outcome)));
        }
    }
}
