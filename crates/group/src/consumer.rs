//! A group of the new protocol (KIP-848): the server decides who has what, and members are told in their heartbeats. Share groups (KIP-932)
//! are such groups too, of another assignor and without anything to give back.
//!
//! A decision changes what is stored at once and asks for the records of it; until they are written the group takes no other request
//! (the shard keeps those), so that what is answered is stored, and what could not be written is undone.

pub mod assignor;
mod beat;
mod classic_member;
mod describe;
mod leave;
pub mod member;
mod migrate;
mod reconcile;
pub(crate) mod regex;
pub(crate) mod share;
mod share_state;
pub mod stored;

pub(crate) use classic_member::Joining;
pub(crate) use describe::Committer;

use crate::Error;
use crate::effects::{Reply, WriteError};
use crate::layout::{Change, StoredGroup};
use crate::request::GroupType;
use crate::timers::Timer;
use crate::turn::{Then, Turn, not_written};
use millstream_types::{TimestampMs, Waiter};
use share_state::Work;
use std::collections::VecDeque;
use std::sync::Arc;
use stored::{ConsumerChange, GroupEpoch, Stored};

/// What becomes of a group once its records are written.
#[derive(Debug)]
pub(crate) enum Next {
    /// It goes on.
    Stay,
    /// It is deleted.
    Gone,
    /// Only members of the classic protocol are left: it is a classic group from here on, and rebalances.
    Classic(Box<StoredGroup>),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) id: Arc<str>,
    /// Of consumers or of share consumers: the records are others, and so are the settings.
    pub(crate) kind: GroupType,
    pub(crate) stored: Stored,
    /// Changes that are made and not asked to be written yet, and what undoes these and those that are being written.
    changes: Vec<ConsumerChange>,
    undo: Vec<ConsumerChange>,
    /// The group's record of the classic protocol is to be removed with them.
    removes_classic: bool,
    /// What is to follow: it ends the draft.
    next: Option<(Next, Vec<Change>)>,
    held: VecDeque<(Waiter, Reply)>,
    pub(crate) in_flight: bool,
    /// It was a classic group a moment ago, whose assignment may be of before its last rebalance: it is made anew.
    is_upgraded: bool,
    /// The version of the cluster that the group has taken account of.
    seen_version: Option<u64>,
    /// Its patterns are being matched.
    resolving: bool,
    /// When they were matched last, and the version of the cluster then, where that is not stored because nothing came of it.
    resolved: Option<(TimestampMs, u64)>,
    /// What is done with the state of a share group's partitions.
    work: Work,
}

impl Consumer {
    /// A group without members.
    pub(crate) fn new(id: Arc<str>, kind: GroupType) -> Self {
        Self {
            id,
            kind,
            stored: Stored::default(),
            changes: Vec::new(),
            undo: Vec::new(),
            removes_classic: false,
            next: None,
            held: VecDeque::new(),
            in_flight: false,
            is_upgraded: false,
            seen_version: None,
            resolving: false,
            resolved: None,
            work: Work::default(),
        }
    }

    /// Whether there is nothing to keep of it.
    pub(crate) fn is_blank(&self) -> bool {
        self.stored.is_blank() && self.changes.is_empty() && !self.is_closed() && self.work.is_none()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stored.len() == 0
    }

    /// Whether no decision can be made before what is decided is written.
    pub(crate) const fn is_closed(&self) -> bool {
        self.in_flight || self.next.is_some()
    }

    /// Makes a change that is to be written.
    fn change(&mut self, change: ConsumerChange) {
        let undo = self.stored.apply(change.clone());
        self.undo.push(undo);
        self.changes.push(change);
    }

    /// One decision: what a refused one has changed is undone.
    fn decide<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let (changes, undo) = (self.changes.len(), self.undo.len());
        act(self).inspect_err(|_| {
            self.changes.truncate(changes);
            self.undo_to(undo);
        })
    }

    fn undo_to(&mut self, length: usize) {
        if self.undo.len() > length {
            // What was taken account of may be among what is undone: it is looked at again.
            self.seen_version = None;
            self.resolved = None;
        }
        while self.undo.len() > length {
            if let Some(change) = self.undo.pop() {
                self.stored.apply(change);
            }
        }
    }

    /// Answers `waiter` once what is decided so far is written.
    pub(crate) fn answer(&mut self, waiter: Waiter, reply: Reply) {
        self.held.push_back((waiter, reply));
    }

    /// Asks for what is decided to be written. What needs no writing is answered now.
    pub(crate) fn flush(&mut self, turn: &mut Turn<'_>) {
        let mut changes: Vec<Change> = Vec::new();
        if std::mem::take(&mut self.removes_classic) {
            changes.push(Change::Group { group: self.id.to_string(), stored: None });
        }
        let made = std::mem::take(&mut self.changes);
        changes.extend(made.into_iter().map(|change| self.record(change)));
        let next = self.next.take().map_or(Next::Stay, |(next, last)| {
            changes.extend(last);
            next
        });
        let held = std::mem::take(&mut self.held);
        if changes.is_empty() {
            held.into_iter().for_each(|(waiter, reply)| turn.reply(waiter, reply));
            self.begin_work(turn);
            return;
        }
        match turn.write(changes, Then::Consumer { group: self.id.clone(), next }) {
            Ok(()) => {
                self.in_flight = true;
                held.into_iter().for_each(|(waiter, reply)| turn.reply_when_written(waiter, reply));
            }
            Err(_) => {
                self.undo_to(0);
                self.time_again(turn);
                self.give_up_work(turn);
                let error = not_written(&self.id, WriteError::TooLarge);
                held.into_iter().for_each(|(waiter, reply)| turn.reply(waiter, reply.failed(&error)));
            }
        }
    }

    /// The change as one of its kind of group.
    fn record(&self, change: ConsumerChange) -> Change {
        let group = self.id.to_string();
        match self.kind {
            GroupType::Share => Change::Share { group, change },
            GroupType::Classic | GroupType::Consumer => Change::Consumer { group, change },
        }
    }

    /// What was decided is written, or is undone.
    pub(crate) fn settled(&mut self, outcome: Result<(), WriteError>, turn: &mut Turn<'_>) {
        self.in_flight = false;
        match outcome {
            Ok(()) => {
                self.undo.clear();
                self.begin_work(turn);
            }
            Err(_) => {
                self.undo_to(0);
                self.time_again(turn);
                self.give_up_work(turn);
            }
        }
    }

    /// A member whose timer fired, and whose removal could not be written, is timed again.
    fn time_again(&self, turn: &mut Turn<'_>) {
        for (id, _) in self.stored.members() {
            if !turn.timers.is_set(&self.id, &Timer::Session(id.clone())) {
                self.renew_session(id, turn);
            }
            if !turn.timers.is_set(&self.id, &Timer::Revocation(id.clone())) {
                self.time_revocation(id, turn);
            }
        }
    }

    /// The group is to be deleted, with what `changes` are besides.
    pub(crate) fn delete(&mut self, mut changes: Vec<Change>) {
        let removals = self.stored.removals().into_iter();
        changes.extend(removals.map(|change| self.record(change)));
        self.next = Some((Next::Gone, changes));
    }

    /// The log is read: sessions begin, and members that are to give partitions back have their time for it.
    pub(crate) fn loaded(&self, turn: &mut Turn<'_>) {
        for (id, _) in self.stored.members() {
            self.renew_session(id, turn);
            self.time_revocation(id, turn);
        }
    }

    /// Starts the session timer of a member anew.
    fn renew_session(&self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let Some((_, metadata)) = self.stored.member(id) else { return };
        let session_ms = metadata.classic.as_ref().map_or_else(
            || {
                let times = turn.cluster.times_of(&self.id);
                match self.kind {
                    GroupType::Share => turn.config.share.session_ms(times),
                    GroupType::Classic | GroupType::Consumer => turn.config.consumer.session_ms(times),
                }
            },
            |classic| classic.session_timeout_ms,
        );
        self.time(Timer::Session(id.clone()), session_ms, turn);
    }

    /// A member of the new protocol that is to give partitions back has its rebalance timeout for it.
    fn time_revocation(&self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let Some((_, metadata)) = self.stored.member(id) else { return };
        let timer = Timer::Revocation(id.clone());
        if metadata.classic.is_none() && self.stored.current(id).state == member::MemberState::Unrevoked {
            self.time(timer, metadata.rebalance_timeout_ms, turn);
        } else {
            turn.timers.cancel(&self.id, timer);
        }
    }

    fn time(&self, timer: Timer, ms: i32, turn: &mut Turn<'_>) {
        let deadline = turn.now.elapsed_ms.saturating_add(u64::try_from(ms).unwrap_or(0));
        turn.timers.set(&self.id, timer, deadline);
    }

    fn cancel_timers(&self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let of = [Timer::Session, Timer::Revocation, Timer::Rejoin, Timer::MemberSync];
        of.into_iter().for_each(|timer| turn.timers.cancel(&self.id, timer(id.clone())));
    }

    /// Notes what the group knows of its topics now; bumps its epoch where that, or its `members`, changed.
    fn take_account(&mut self, members_changed: bool, turn: &mut Turn<'_>) {
        let version = turn.cluster.version();
        if !members_changed && self.seen_version == Some(version) {
            return;
        }
        self.seen_version = Some(version);
        let metadata_hash = self.stored.hash_of_topics(turn.cluster);
        if members_changed || metadata_hash != self.stored.metadata_hash() {
            self.change(ConsumerChange::Group(Some(GroupEpoch { epoch: self.stored.epoch() + 1, metadata_hash })));
            turn.effects.rebalances_completed += 1;
        }
        if self.stored.has_topics_record() {
            self.change(ConsumerChange::Topics(false));
        }
    }

    fn unknown(&self, member: &str) -> Error {
        Error::UnknownMemberId { group: self.id.to_string(), member: member.to_owned() }
    }
}
