//! All groups of one partition of `__consumer_offsets`: one decision for each request, timer and finished write.
//!
//! What members do (join, sync, leave) changes the group at once, as in Kafka: it is soft state that a reload forgets. What is stored
//! (offsets, generations, deletions) changes only when its records are written.

mod admin;
mod commit;
mod consumer;
mod expire;
mod share;
mod transaction;

use crate::Error;
use crate::classic::Classic;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::consumer::Consumer;
use crate::consumer::stored::ConsumerChange;
use crate::effects::{Effects, Reply, WriteError};
use crate::group::{Ask, Group, Membership};
use crate::layout::Change;
use crate::offsets::Offsets;
use crate::request::{GroupType, HeartbeatRequest, JoinRequest, LeaveRequest, SyncRequest, UNKNOWN_MEMBER};
use crate::timers::Timers;
use crate::turn::{Outstanding, Pending, Then, Turn, not_written};
use millstream_types::{Now, ProducerId, Ticket, Waiter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// See the module.
pub struct Shard {
    config: Config,
    cluster: Arc<dyn Cluster>,
    groups: BTreeMap<Arc<str>, Group>,
    timers: Timers,
    pending: Pending,
    /// The groups that transactional producers hold offsets of.
    held: BTreeMap<ProducerId, BTreeSet<Arc<str>>>,
    /// When expired offsets are looked for next.
    cleanup_at: u64,
}

impl Shard {
    /// A shard without groups, of a node that knows `cluster`.
    #[must_use]
    pub fn new(config: Config, cluster: Arc<dyn Cluster>) -> Self {
        Self {
            config,
            cluster,
            groups: BTreeMap::new(),
            timers: Timers::default(),
            pending: Pending::default(),
            held: BTreeMap::new(),
            cleanup_at: 0,
        }
    }

    /// Takes over one record of the log, in log order, before the shard is used.
    pub fn replay(&mut self, change: Change) {
        match change {
            Change::Offset { group, topic, partition, committed } => {
                if committed.is_some() || self.groups.contains_key(group.as_str()) {
                    self.group_or_new(&group, None).offsets.replay(&topic, partition, committed);
                }
            }
            Change::Group { group, stored: Some(stored) } => {
                let id: Arc<str> = group.into();
                let offsets = self.groups.remove(&id).map(|group| group.offsets).unwrap_or_default();
                self.groups.insert(id.clone(), Group::new(Classic::loaded(id, stored), offsets));
            }
            Change::Group { group, stored: None } => {
                // Offsets committed after a group was deleted outlive its tombstone: a group without members holds them. One of the
                // new protocol has its own.
                if let Some(classic) = self.groups.get_mut(group.as_str()).and_then(Group::classic_mut) {
                    *classic = Classic::new(classic.id.clone(), None);
                }
            }
            Change::Consumer { group, change } => self.replay_modern(&group, GroupType::Consumer, change),
            Change::Share { group, change } => self.replay_modern(&group, GroupType::Share, change),
            Change::Other(_) => {}
        }
    }

    fn replay_modern(&mut self, id: &str, kind: GroupType, change: ConsumerChange) {
        let is_end = change == ConsumerChange::Group(None);
        // What is removed of a group that is not there is of one that became a classic group, or was deleted.
        if change.is_removal() && self.groups.get(id).is_none_or(|group| group.group_type() != kind) {
            return;
        }
        let group = self.group_or_new(id, None);
        if group.group_type() != kind {
            let modern = Box::new(Consumer::new(group.id.clone(), kind));
            group.membership =
                if kind == GroupType::Share { Membership::Share(modern) } else { Membership::Consumer(modern) };
        }
        if let Membership::Consumer(modern) | Membership::Share(modern) = &mut group.membership {
            modern.stored.apply(change);
        }
        if is_end {
            group.membership = Membership::Classic(Box::new(Classic::new(group.id.clone(), None)));
        }
    }

    /// The log is read: sessions begin, and groups over the size limit rebalance.
    pub fn loaded(&mut self, now: Now) -> Effects {
        self.groups.retain(|_, group| !group.is_unused());
        self.cleanup_at = now.elapsed_ms.saturating_add(self.config.offsets_retention_check_interval_ms);
        self.turn(now, |groups, turn| {
            for group in groups.values_mut() {
                match &mut group.membership {
                    Membership::Classic(classic) => classic.begin_sessions(turn),
                    Membership::Consumer(modern) | Membership::Share(modern) => modern.loaded(turn),
                }
            }
        })
    }

    /// This node no longer coordinates these groups: everything that waits is answered.
    pub fn unload(&mut self, now: Now) -> Effects {
        let mut effects = self.turn(now, |groups, turn| {
            for group in groups.values_mut() {
                group.unload(turn);
            }
        });
        for outstanding in std::mem::take(&mut self.pending.queue) {
            let name = outstanding.changes.first().and_then(Change::group).unwrap_or_default();
            fail_held(name, outstanding.held, WriteError::NotLeader, &mut effects);
        }
        self.groups.clear();
        self.held.clear();
        self.timers = Timers::default();
        effects
    }

    /// JoinGroup.
    pub fn join(&mut self, request: &JoinRequest, waiter: Waiter, now: Now) -> Effects {
        if let Err(error) = self.check_join(request) {
            let refused = crate::JoinRefused { member: request.member.clone(), error };
            return Effects::answer(waiter, Reply::Join(Err(refused)));
        }
        let group = self.group_or_new(&request.group, Some(now)).id.clone();
        self.turn_of(&group, now, |group, turn| group.ask(Ask::Join(request.clone(), waiter), turn))
    }

    fn check_join(&self, request: &JoinRequest) -> Result<(), Error> {
        if request.group.is_empty() {
            return Err(Error::InvalidGroupId);
        }
        let (min_ms, max_ms) = (self.config.session_timeout_ms_min, self.config.session_timeout_ms_max);
        if !(min_ms..=max_ms).contains(&request.session_timeout_ms) {
            return Err(Error::InvalidSessionTimeout { sent_ms: request.session_timeout_ms, min_ms, max_ms });
        }
        // Only who has no id yet makes a group.
        if request.member != UNKNOWN_MEMBER && !self.groups.contains_key(request.group.as_str()) {
            return Err(unknown(&request.group, &request.member));
        }
        Ok(())
    }

    /// SyncGroup.
    pub fn sync(&mut self, request: SyncRequest, waiter: Waiter, now: Now) -> Effects {
        let error = match self.groups.get_key_value(request.group.as_str()) {
            _ if request.group.is_empty() => Error::InvalidGroupId,
            None => unknown(&request.group, &request.member),
            Some((id, _)) => {
                let id = id.clone();
                return self.turn_of(&id, now, |group, turn| group.ask(Ask::Sync(request, waiter), turn));
            }
        };
        Effects::answer(waiter, Reply::Sync(Err(error)))
    }

    /// Heartbeat.
    ///
    /// # Errors
    /// As Kafka's: `RebalanceInProgress` tells a member to join again.
    pub fn heartbeat(&mut self, request: &HeartbeatRequest, now: Now) -> Result<(), Error> {
        if request.group.is_empty() {
            return Err(Error::InvalidGroupId);
        }
        let mut effects = Effects::default();
        let Self { config, cluster, groups, timers, pending, .. } = self;
        let group = groups.get(request.group.as_str()).ok_or_else(|| unknown(&request.group, &request.member))?;
        let turn = &mut Turn { now, config, cluster: &**cluster, timers, pending, effects: &mut effects };
        match &group.membership {
            Membership::Classic(classic) => classic.heartbeat(request, turn),
            Membership::Consumer(consumer) => consumer.classic_beat(request, turn),
            Membership::Share(_) => Err(unknown(&request.group, &request.member)),
        }
    }

    /// LeaveGroup.
    pub fn leave(&mut self, request: &LeaveRequest, waiter: Waiter, now: Now) -> Effects {
        let error = match self.groups.get_key_value(request.group.as_str()) {
            _ if request.group.is_empty() => Error::InvalidGroupId,
            None => unknown(&request.group, request.members.first().map_or("", |member| member.member.as_str())),
            Some((id, _)) => {
                let id = id.clone();
                return self.turn_of(&id, now, |group, turn| group.ask(Ask::Leave(request.clone(), waiter), turn));
            }
        };
        Effects::answer(waiter, Reply::Leave(Err(error)))
    }

    /// Fires every timer whose time has come, at most a bounded number: call again while `next_deadline` is in the past.
    pub fn tick(&mut self, now: Now) -> Effects {
        const TIMERS_MAX: usize = 1_000;
        let mut effects = Effects::default();
        for _ in 0..TIMERS_MAX {
            let Some((id, timer)) = self.timers.pop_due(now.elapsed_ms) else { break };
            let fired = self.turn_of(&id, now, |group, turn| group.ask(Ask::Due(timer), turn));
            effects.extend(fired);
        }
        if self.cleanup_at <= now.elapsed_ms {
            self.cleanup_at = now.elapsed_ms.saturating_add(self.config.offsets_retention_check_interval_ms);
            effects.extend(self.expire_offsets(now));
        }
        effects
    }

    /// When to call `tick` next, in elapsed milliseconds.
    #[must_use]
    pub fn next_deadline(&self) -> u64 {
        self.timers.next().map_or(self.cleanup_at, |at| at.min(self.cleanup_at))
    }

    /// What became of a write. Outcomes come in the order of the writes.
    pub fn written(&mut self, ticket: Ticket, outcome: Result<(), WriteError>, now: Now) -> Effects {
        let mut effects = Effects::default();
        while self.pending.queue.front().is_some_and(|first| first.ticket <= ticket) {
            let Some(Outstanding { changes, then, held, .. }) = self.pending.queue.pop_front() else { break };
            let name = changes.first().and_then(Change::group).unwrap_or_default().to_owned();
            let held_by = match &then {
                Then::Hold(producer) => Some(*producer),
                Then::Nothing | Then::Assign { .. } | Then::Replaced(_) | Then::Consumer { .. } => None,
            };
            let touched = self.settle(changes, held_by, outcome);
            effects.extend(self.after(then, outcome, now));
            match outcome {
                Ok(()) => effects.replies.extend(held),
                Err(cause) => fail_held(&name, held, cause, &mut effects),
            }
            touched.iter().for_each(|id| self.forget_if_unused(id));
        }
        effects
    }

    /// Applies what is written now, or gives up what is not. Gives back the groups it was about.
    fn settle(
        &mut self,
        changes: Vec<Change>,
        held_by: Option<ProducerId>,
        outcome: Result<(), WriteError>,
    ) -> Vec<Arc<str>> {
        let mut touched: Vec<Arc<str>> = Vec::new();
        for change in changes {
            let Some(group) = change.group().and_then(|id| self.groups.get_mut(id)) else { continue };
            if touched.last() != Some(&group.id) {
                touched.push(group.id.clone());
            }
            match (change, outcome) {
                (Change::Offset { topic, partition, committed, .. }, outcome) => {
                    match (outcome, held_by, committed) {
                        (Err(_), ..) => {}
                        (Ok(()), Some(producer), Some(committed)) => {
                            self.held.entry(producer).or_default().insert(group.id.clone());
                            group.offsets.hold(producer, &topic, partition, committed);
                        }
                        (Ok(()), _, committed) => group.offsets.replay(&topic, partition, committed),
                    }
                    group.offsets.end(&topic, partition);
                }
                (Change::Group { stored, .. }, outcome) => {
                    // Where a group changes its protocol, what follows the write sees to it.
                    let Some(classic) = group.classic_mut() else { continue };
                    match (stored, outcome) {
                        (Some(_), Ok(())) => classic.is_stored = true,
                        (None, Ok(())) => *classic = Classic::new(classic.id.clone(), None),
                        (None, Err(_)) => classic.revive(),
                        (Some(_), Err(_)) => {}
                    }
                }
                (Change::Consumer { .. } | Change::Share { .. } | Change::Other(_), _) => {}
            }
        }
        touched
    }

    fn after(&mut self, then: Then, outcome: Result<(), WriteError>, now: Now) -> Effects {
        match then {
            Then::Nothing | Then::Hold(_) => Effects::default(),
            Then::Assign { group, generation, assignments } => self.turn_of(&group, now, |group, turn| {
                if let Some(classic) = group.classic_mut() {
                    classic.assignment_written(generation, &assignments, outcome, turn);
                }
            }),
            Then::Replaced(replaced) => {
                let id = replaced.group.clone();
                self.turn_of(&id, now, |group, turn| {
                    if let Some(classic) = group.classic_mut() {
                        classic.replacement_written(&replaced, outcome, turn);
                    }
                })
            }
            Then::Consumer { group, next } => {
                self.turn_of(&group, now, |group, turn| group.written(next, outcome, turn))
            }
        }
    }

    fn group_or_new(&mut self, id: &str, now: Option<Now>) -> &mut Group {
        let id: Arc<str> = self.groups.get_key_value(id).map_or_else(|| Arc::from(id), |(id, _)| id.clone());
        let classic = || Classic::new(id.clone(), now.map(|now| now.wall));
        self.groups.entry(id.clone()).or_insert_with(|| Group::new(classic(), Offsets::default()))
    }

    fn turn(&mut self, now: Now, act: impl FnOnce(&mut BTreeMap<Arc<str>, Group>, &mut Turn<'_>)) -> Effects {
        let mut effects = Effects::default();
        let Self { config, cluster, groups, timers, pending, .. } = self;
        act(groups, &mut Turn { now, config, cluster: &**cluster, timers, pending, effects: &mut effects });
        effects
    }

    /// One decision about the group `id`; a group that nothing is left of is forgotten.
    fn turn_of(&mut self, id: &Arc<str>, now: Now, act: impl FnOnce(&mut Group, &mut Turn<'_>)) -> Effects {
        let effects = self.turn(now, |groups, turn| {
            if let Some(group) = groups.get_mut(id) {
                act(group, turn);
            }
        });
        self.forget_if_unused(id);
        effects
    }

    fn forget_if_unused(&mut self, id: &Arc<str>) {
        if self.groups.get(id).is_some_and(Group::is_unused) {
            self.groups.remove(id);
        }
    }
}

fn unknown(group: &str, member: &str) -> Error {
    Error::UnknownMemberId { group: group.to_owned(), member: member.to_owned() }
}

/// Answers requests whose records could not be written.
fn fail_held(group: &str, held: Vec<(Waiter, Reply)>, cause: WriteError, effects: &mut Effects) {
    for (waiter, reply) in held {
        let failed = match reply {
            Reply::Deleted(answers) => Reply::Deleted(
                answers
                    .into_iter()
                    .map(|(group, result)| {
                        let result = result.and_then(|()| Err(not_written(&group, cause)));
                        (group, result)
                    })
                    .collect(),
            ),
            Reply::Ended(_) => Reply::Ended(Err(cause)),
            reply => reply.failed(&not_written(group, cause)),
        };
        effects.replies.push((waiter, failed));
    }
}
