//! One decision under way: its time and settings, and where it puts timers, writes and replies.

use crate::cluster::Cluster;
use crate::config::Config;
use crate::consumer::Next;
use crate::effects::{Effects, Producer, Reply, Write, WriteError};
use crate::layout::Change;
use crate::timers::Timers;
use crate::{Error, request::JoinRefused};
use bytes::Bytes;
use millstream_types::{Now, ProducerId, Ticket, Waiter};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a group does once its records are written, or could not be.
#[derive(Debug)]
pub(crate) enum Then {
    Nothing,
    /// The leader's assignments take effect.
    Assign {
        group: Arc<str>,
        generation: i32,
        assignments: BTreeMap<String, Bytes>,
    },
    /// A static member that came back under a new id is told so.
    Replaced(Box<Replaced>),
    /// The offsets are known once the producer's transaction commits.
    Hold(ProducerId),
    /// A group of the new protocol goes on.
    Consumer {
        group: Arc<str>,
        next: Next,
    },
}

/// A static member's replacement that is being written.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) group: Arc<str>,
    pub(crate) old: crate::member::Member,
    pub(crate) new_id: Arc<str>,
    pub(crate) waiter: Waiter,
    pub(crate) leader_before: Option<Arc<str>>,
    pub(crate) supports_skipping_assignment: bool,
}

/// A write that the shell has not reported on yet.
#[derive(Debug)]
pub(crate) struct Outstanding {
    pub(crate) ticket: Ticket,
    pub(crate) changes: Vec<Change>,
    pub(crate) then: Then,
    /// Replies that become visible once it is written.
    pub(crate) held: Vec<(Waiter, Reply)>,
}

/// The writes that are under way, in log order.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) queue: VecDeque<Outstanding>,
    next: u64,
}

impl Pending {
    /// The number of the next write.
    pub(crate) fn next_ticket(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// See the module.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a Config,
    pub(crate) cluster: &'a dyn Cluster,
    pub(crate) timers: &'a mut Timers,
    pub(crate) pending: &'a mut Pending,
    pub(crate) effects: &'a mut Effects,
}

impl Turn<'_> {
    /// Answers `waiter`.
    pub(crate) fn reply(&mut self, waiter: Waiter, reply: Reply) {
        self.effects.replies.push((waiter, reply));
    }

    /// Refuses a join.
    pub(crate) fn refuse_join(&mut self, waiter: Waiter, member: &str, error: Error) {
        self.reply(waiter, Reply::Join(Err(JoinRefused { member: member.to_owned(), error })));
    }

    /// Asks for `changes` to be written, and `then` to follow. Gives `then` back when they can't be stored in Kafka's layout.
    pub(crate) fn write(&mut self, changes: Vec<Change>, then: Then) -> Result<(), Then> {
        self.write_in(None, changes, then)
    }

    /// The same, in a transaction of `transaction` where there is one.
    pub(crate) fn write_in(
        &mut self,
        transaction: Option<Producer>,
        changes: Vec<Change>,
        then: Then,
    ) -> Result<(), Then> {
        let Some(records) = changes.iter().map(Change::encode).collect::<Option<Vec<_>>>() else { return Err(then) };
        let ticket = Ticket(self.pending.next_ticket());
        self.effects.writes.push(Write { ticket, records, transaction });
        self.pending.queue.push_back(Outstanding { ticket, changes, then, held: Vec::new() });
        Ok(())
    }

    /// Answers `waiter` once what this decision writes is written; now, when it writes nothing.
    pub(crate) fn reply_when_written(&mut self, waiter: Waiter, reply: Reply) {
        match self.pending.queue.back_mut() {
            Some(last) if !self.effects.writes.is_empty() => last.held.push((waiter, reply)),
            _ => self.reply(waiter, reply),
        }
    }
}

/// What a request about `group` is told when its records could not be written.
pub(crate) fn not_written(group: &str, cause: WriteError) -> Error {
    let group = group.to_owned();
    match cause {
        WriteError::NotAvailable => Error::CoordinatorNotAvailable { group },
        WriteError::NotLeader => Error::NotCoordinator { group },
        WriteError::TooLarge => Error::RecordTooLarge { group },
        WriteError::ProducerFenced => Error::ProducerFenced { group },
        WriteError::NotInTransaction => Error::NotInTransaction { group },
    }
}
