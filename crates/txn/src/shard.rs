//! All transactional ids of one partition of `__transaction_state`: one decision for each request, timer, finished write and marker.
//!
//! ```text
//!   request --> decide: the next state of the id --> write --> written: the state changes, the request is answered
//!                                                                |
//!                          a decided end: markers to all partitions --> all there --> write: complete
//! ```
//!
//! An id has one step under way at most; whoever comes meanwhile is told CONCURRENT_TRANSACTIONS and comes again. A state changes only when
//! its record is written, so that what was answered survives, and what is read back from the log is what was.

mod add;
mod admin;
mod end;
mod init;
mod timers;

use crate::Error;
use crate::effects::{Effects, Ending, Reply, Write, WriteError};
use crate::layout::{self, Change};
use crate::marker::Marker;
use crate::request::Config;
use crate::transaction::{Partition, Transaction};
use millstream_types::{Now, Ticket, Waiter};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What is going on with an id.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Nothing.
    Idle,
    /// Its next state is being written.
    Writing,
    /// Its end is decided; these partitions lack the marker. None: what is lacking is the record that says so.
    Marking(BTreeSet<Partition>),
}

/// One id.
#[derive(Debug)]
struct Entry {
    transaction: Transaction,
    step: Step,
    /// The epoch was bumped to fence the producer, and that could not be written: it is not bumped again, since nobody was given it.
    fence_failed: bool,
}

/// A write that the shell has not reported on yet.
#[derive(Debug)]
struct Outstanding {
    ticket: Ticket,
    id: Arc<str>,
    /// None: the id expires.
    next: Option<Transaction>,
    /// Who is told what once it is written.
    then: Option<(Waiter, Reply)>,
    /// Its epoch was bumped to fence the producer.
    fences: bool,
}

/// See the module.
pub struct Shard {
    config: Config,
    coordinator_epoch: i32,
    entries: BTreeMap<Arc<str>, Entry>,
    outstanding: VecDeque<Outstanding>,
    next_ticket: u64,
    /// When what takes too long is looked for next.
    timeouts_at: u64,
    /// When ids that nobody uses are looked for next.
    expiry_at: u64,
}

impl Shard {
    /// A shard without ids, of a coordinator that leads its partition in `coordinator_epoch`.
    #[must_use]
    pub const fn new(config: Config, coordinator_epoch: i32) -> Self {
        Self {
            config,
            coordinator_epoch,
            entries: BTreeMap::new(),
            outstanding: VecDeque::new(),
            next_ticket: 0,
            timeouts_at: 0,
            expiry_at: 0,
        }
    }

    /// Takes over one record of the log, in log order, before the shard is used.
    pub fn replay(&mut self, change: Change) {
        match change {
            Change::Transaction(id, Some(transaction)) => {
                let entry = Entry { transaction, step: Step::Idle, fence_failed: false };
                self.entries.insert(id.into(), entry);
            }
            Change::Transaction(id, None) => {
                self.entries.remove(id.as_str());
            }
            Change::Other(_) => {}
        }
    }

    /// The log is read: ends that were decided go on.
    pub fn loaded(&mut self, now: Now) -> Effects {
        self.timeouts_at = now.elapsed_ms.saturating_add(self.config.timeout_check_interval_ms);
        self.expiry_at = now.elapsed_ms.saturating_add(self.config.id_expiration_check_interval_ms);
        let decided: Vec<Arc<str>> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.transaction.outcome().is_some())
            .map(|(id, _)| id.clone())
            .collect();
        let mut effects = Effects::default();
        for id in &decided {
            effects.extend(self.begin_marking(id, now));
        }
        effects
    }

    /// This node no longer coordinates these ids: whoever waits is sent away.
    pub fn unload(&mut self) -> Effects {
        let mut effects = Effects::default();
        for outstanding in std::mem::take(&mut self.outstanding) {
            if let Some((waiter, _)) = outstanding.then {
                let error = not_written(&outstanding.id, WriteError::NotLeader);
                effects.replies.push((waiter, Err(error)));
            }
        }
        self.entries.clear();
        effects
    }

    /// What became of a write. Outcomes come in the order of the writes.
    pub fn written(&mut self, ticket: Ticket, outcome: Result<(), WriteError>, now: Now) -> Effects {
        let mut effects = Effects::default();
        while self.outstanding.front().is_some_and(|first| first.ticket <= ticket) {
            let Some(Outstanding { id, next, then, fences, .. }) = self.outstanding.pop_front() else { break };
            let reply = match outcome {
                Ok(()) => {
                    effects.extend(self.take_over(&id, next, now));
                    then
                }
                Err(cause) => {
                    self.give_up(&id, fences);
                    then.map(|(waiter, _)| (waiter, Err(not_written(&id, cause))))
                }
            };
            effects.replies.extend(reply);
        }
        effects
    }

    fn take_over(&mut self, id: &Arc<str>, next: Option<Transaction>, now: Now) -> Effects {
        let Some(next) = next else {
            self.entries.remove(id);
            return Effects::default();
        };
        let Some(entry) = self.entries.get_mut(id) else { return Effects::default() };
        let is_decided = next.outcome().is_some();
        entry.transaction = next;
        entry.step = Step::Idle;
        entry.fence_failed = false;
        if is_decided { self.begin_marking(id, now) } else { Effects::default() }
    }

    fn give_up(&mut self, id: &Arc<str>, fences: bool) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let was_decided = entry.transaction.outcome().is_some();
        // Every marker is there, and only the record that says so is not: the next tick writes it again.
        entry.step = if was_decided { Step::Marking(BTreeSet::new()) } else { Step::Idle };
        entry.fence_failed |= fences;
    }

    fn begin_marking(&mut self, id: &Arc<str>, now: Now) -> Effects {
        let Some(entry) = self.entries.get_mut(id) else { return Effects::default() };
        let Some(outcome) = entry.transaction.outcome() else { return Effects::default() };
        let partitions = entry.transaction.partitions.clone();
        entry.step = Step::Marking(partitions.clone());
        if partitions.is_empty() {
            return self.complete(id, now);
        }
        let (producer, epoch) = (entry.transaction.producer, entry.transaction.epoch);
        let marker = Marker { producer, epoch, coordinator_epoch: self.coordinator_epoch, outcome };
        let ending = Ending { id: id.clone(), marker, version: entry.transaction.version, partitions };
        Effects { endings: vec![ending], ..Effects::default() }
    }

    /// A partition has the marker, or is no more.
    pub fn marked(&mut self, id: &Arc<str>, marker: &Marker, partition: &Partition, now: Now) -> Effects {
        let Some(entry) = self.entries.get_mut(id) else { return Effects::default() };
        let is_of_now = (entry.transaction.producer, entry.transaction.epoch) == (marker.producer, marker.epoch);
        match &mut entry.step {
            Step::Marking(left) if is_of_now => {
                if left.remove(partition) && left.is_empty() {
                    return self.complete(id, now);
                }
            }
            Step::Marking(_) | Step::Idle | Step::Writing => {}
        }
        Effects::default()
    }

    fn complete(&mut self, id: &Arc<str>, now: Now) -> Effects {
        let next = self.entries.get(id).map(|entry| entry.transaction.completed(now.wall));
        self.write(id, next, None)
    }

    /// Asks for the id's next state to be written, and who is told then.
    fn write(&mut self, id: &Arc<str>, next: Option<Transaction>, then: Option<(Waiter, Reply)>) -> Effects {
        let Some(entry) = self.entries.get_mut(id) else { return Effects::default() };
        let Some(record) = layout::encode(id, next.as_ref()) else {
            let refused = then.map(|(waiter, _)| (waiter, Err(not_written(id, WriteError::TooLarge))));
            return Effects { replies: refused.into_iter().collect(), ..Effects::default() };
        };
        entry.step = Step::Writing;
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.outstanding.push_back(Outstanding { ticket, id: id.clone(), next, then, fences: false });
        Effects { writes: vec![Write { ticket, record }], ..Effects::default() }
    }

    /// The id under the name that the shard keeps.
    fn find(&self, id: &str) -> Option<(Arc<str>, &Entry)> {
        self.entries.get_key_value(id).map(|(id, entry)| (id.clone(), entry))
    }
}

impl Entry {
    const fn is_busy(&self) -> bool {
        !matches!(self.step, Step::Idle)
    }
}

fn not_written(id: &str, cause: WriteError) -> Error {
    let id = id.to_owned();
    match cause {
        WriteError::NotAvailable => Error::CoordinatorNotAvailable { id },
        WriteError::NotLeader => Error::NotCoordinator { id },
        WriteError::TooLarge => Error::RecordTooLarge { id },
    }
}

fn concurrent(id: &str) -> Error {
    Error::ConcurrentTransactions { id: id.to_owned() }
}
