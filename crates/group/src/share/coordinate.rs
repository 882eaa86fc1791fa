//! The share coordinator's part of one partition of `__share_group_state`: requests in, records to write and replies out.
//!
//! A decision counts at once for those after it, and is answered when it is written. What could not be written is undone, and what was
//! decided after it about the same share partition is done anew on what is left.

use super::stored::{ShareKey, ShareState, ShareStates, StateChange, Summary, WriteState};
use crate::effects::WriteError;
use crate::turn::not_written;
use crate::{Error, Write};
use millstream_types::{Now, Ticket, Waiter};
use std::collections::BTreeMap;

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

impl StateReply {
    fn failed(self, error: Error) -> Self {
        match self {
            Self::Stored(_) => Self::Stored(Err(error)),
            Self::Read(_) => Self::Read(Err(error)),
        }
    }
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

/// A change that is being written.
struct Pending {
    changes: Vec<StateChange>,
    /// What each share partition was before.
    before: BTreeMap<ShareKey, Option<ShareState>>,
    replies: Vec<(Waiter, StateReply)>,
}

/// See the module.
pub struct StateShard {
    config: StateConfig,
    states: ShareStates,
    pending: BTreeMap<Ticket, Pending>,
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
        Self { config, states, pending: BTreeMap::new(), tickets: 0, records: 0, prune_at: 0 }
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
            effects.prunes = self.records > remains.saturating_mul(2);
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
        let decided = self.states.initialize(key, state_epoch, start, now.wall).map(Some);
        self.store(key, decided, waiter)
    }

    /// WriteShareGroupState: what a leader settled.
    pub fn write(&mut self, key: &ShareKey, write: &WriteState, waiter: Waiter, now: Now) -> StateEffects {
        let decided = self.states.write(key, write, now.wall).map(Some);
        self.store(key, decided, waiter)
    }

    /// DeleteShareGroupState.
    pub fn delete(&mut self, key: &ShareKey, waiter: Waiter) -> StateEffects {
        let decided = Ok(self.states.delete(key));
        self.store(key, decided, waiter)
    }

    /// ReadShareGroupState: leaders of before `leader_epoch` are fenced from here on. Answered when what is answered is written.
    pub fn read(&mut self, key: &ShareKey, leader_epoch: i32, waiter: Waiter) -> StateEffects {
        let (changes, group) = match self.states.read(key, leader_epoch) {
            Ok(change) => (change.into_iter().collect::<Vec<_>>(), key.group.clone()),
            Err(refused) => return answer(waiter, StateReply::Read(Err(refused))),
        };
        let mut effects = StateEffects::default();
        if !changes.is_empty()
            && let Err(error) = self.push(changes, &mut effects)
        {
            return answer(waiter, StateReply::Read(Err(error)));
        }
        let missing = || Error::CoordinatorNotAvailable { group: group.to_string() };
        let state = self.states.get(key).cloned().map(Box::new).ok_or_else(missing);
        self.reply_when_written(key, waiter, StateReply::Read(state), &mut effects);
        effects
    }

    /// ReadShareGroupStateSummary: what is decided, which may still be being written.
    #[must_use]
    pub fn summary(&self, key: &ShareKey) -> Summary {
        self.states.summary(key)
    }

    /// Writes a snapshot of every share partition: when that is answered, what was in the log before it was asked for says nothing any more.
    pub fn snapshot_all(&mut self, waiter: Waiter, now: Now) -> StateEffects {
        let changes = self.states.snapshots(now.wall);
        self.records = 0;
        let mut effects = StateEffects::default();
        if changes.is_empty() {
            return answer(waiter, StateReply::Stored(Ok(())));
        }
        match self.push(changes, &mut effects) {
            Ok(ticket) => {
                if let Some(pending) = self.pending.get_mut(&ticket) {
                    pending.replies.push((waiter, StateReply::Stored(Ok(()))));
                }
                effects
            }
            Err(error) => answer(waiter, StateReply::Stored(Err(error))),
        }
    }

    /// What became of a write.
    pub fn written(&mut self, ticket: Ticket, outcome: Result<(), WriteError>) -> StateEffects {
        let mut effects = StateEffects::default();
        let Some(pending) = self.pending.remove(&ticket) else { return effects };
        let Err(cause) = outcome else {
            effects.replies = pending.replies;
            return effects;
        };
        let group = pending.before.keys().next().map(|key| key.group.clone()).unwrap_or_else(|| "".into());
        self.undo(ticket, pending.before);
        let failed = pending.replies.into_iter();
        effects.replies = failed.map(|(waiter, reply)| (waiter, reply.failed(not_written(&group, cause)))).collect();
        effects
    }

    /// The partition is served here no more: whoever waits is sent to look again.
    pub fn unload(&mut self) -> StateEffects {
        let mut effects = StateEffects::default();
        for (_, pending) in std::mem::take(&mut self.pending) {
            for (waiter, reply) in pending.replies {
                let group = pending.before.keys().next().map(|key| key.group.to_string()).unwrap_or_default();
                effects.replies.push((waiter, reply.failed(Error::NotCoordinator { group })));
            }
        }
        effects
    }

    fn store(&mut self, key: &ShareKey, decided: Result<Option<StateChange>, Error>, waiter: Waiter) -> StateEffects {
        let mut effects = StateEffects::default();
        let pushed = match decided {
            Ok(Some(change)) => self.push(vec![change], &mut effects).map(|_| ()),
            Ok(None) => Ok(()),
            Err(refused) => Err(refused),
        };
        match pushed {
            Ok(()) => self.reply_when_written(key, waiter, StateReply::Stored(Ok(())), &mut effects),
            Err(error) => effects.replies.push((waiter, StateReply::Stored(Err(error)))),
        }
        effects
    }

    /// Takes `changes` over, and asks for them to be written.
    fn push(&mut self, changes: Vec<StateChange>, effects: &mut StateEffects) -> Result<Ticket, Error> {
        let too_long = || Error::InvalidGroupId;
        let records = changes.iter().map(StateChange::encode).collect::<Option<Vec<_>>>().ok_or_else(too_long)?;
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.records += u64::try_from(records.len()).unwrap_or(0);
        let mut before = BTreeMap::new();
        for change in &changes {
            if let Some(key) = change.key() {
                before.entry(key.clone()).or_insert_with(|| self.states.get(key).cloned());
            }
            self.states.replay(change.clone());
        }
        self.pending.insert(ticket, Pending { changes, before, replies: Vec::new() });
        effects.writes.push(Write { ticket, records, transaction: None });
        Ok(ticket)
    }

    /// Answers once the last write about `key` that is under way is written; now, when there is none.
    fn reply_when_written(&mut self, key: &ShareKey, waiter: Waiter, reply: StateReply, effects: &mut StateEffects) {
        let last = self.pending.values_mut().rev().find(|pending| pending.before.contains_key(key));
        match last {
            Some(pending) => pending.replies.push((waiter, reply)),
            None => effects.replies.push((waiter, reply)),
        }
    }

    /// Puts back what was before the write named `ticket`, with what was decided since on top.
    fn undo(&mut self, ticket: Ticket, before: BTreeMap<ShareKey, Option<ShareState>>) {
        for (key, state) in before {
            self.states.restore(key.clone(), state);
            for (_, later) in self.pending.range_mut(ticket..) {
                if let Some(known) = later.before.get_mut(&key) {
                    *known = self.states.get(&key).cloned();
                }
                let same = later.changes.iter().filter(|change| change.key() == Some(&key));
                same.for_each(|change| self.states.replay(change.clone()));
            }
        }
    }
}

fn answer(waiter: Waiter, reply: StateReply) -> StateEffects {
    StateEffects { replies: vec![(waiter, reply)], ..StateEffects::default() }
}
