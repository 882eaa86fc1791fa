//! One partition of the offsets topic that this node leads: its groups behind one short lock, and who waits for what.

use crate::config::QUEUED_BYTES_MAX;
use crate::error::Error;
use millstream_group::{Effects, Now, Producer, Reply, Shard, Ticket, Waiter, Write, WriteError};
use millstream_runtime::Clock;
use millstream_telemetry::Counter;
use millstream_txn::{Guard, Marker, Outcome, Version};
use millstream_types::PartitionIndex;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// See the module.
pub(crate) struct Slot {
    index: PartitionIndex,
    clock: Arc<dyn Clock>,
    rebalances: Counter,
    state: Mutex<State>,
    /// Something is to be written, or a timer may have become earlier.
    pub(crate) wake: Notify,
}

/// What is to be appended for a transactional producer, alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Transactional {
    /// Offsets, with what says that the transaction's coordinator was asked.
    Offsets(Producer, Option<Guard>),
    /// The end of its transaction.
    Marker(Marker, Version),
}

/// A write in its turn.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) write: Write,
    pub(crate) transactional: Option<Transactional>,
}

#[derive(Default)]
struct State {
    /// The partition is led here no more: whoever still holds the slot is sent away.
    is_closed: bool,
    /// None while the log is being read.
    shard: Option<Shard>,
    waiters: BTreeMap<Waiter, oneshot::Sender<Reply>>,
    waiter_count: u64,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
}

impl State {
    /// Queues what is to be written and answers what is decided. A reply that nobody waits for any more is dropped.
    fn absorb(&mut self, effects: Effects) {
        self.absorb_for(None, effects);
    }

    fn absorb_for(&mut self, transactional: Option<Transactional>, effects: Effects) {
        for write in effects.writes {
            self.queued_bytes += bytes_of(&write);
            let transactional = transactional.filter(|_| write.transaction.is_some());
            self.queue.push_back(Queued { write, transactional });
        }
        for (waiter, reply) in effects.replies {
            if let Some(answer) = self.waiters.remove(&waiter) {
                let _ = answer.send(reply);
            }
        }
    }
}

impl Slot {
    /// A partition whose log is not read yet.
    pub(crate) fn new(index: PartitionIndex, clock: Arc<dyn Clock>, rebalances: Counter) -> Self {
        Self { index, clock, rebalances, state: Mutex::new(State::default()), wake: Notify::new() }
    }

    pub(crate) const fn index(&self) -> PartitionIndex {
        self.index
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.state.lock().shard.is_some()
    }

    /// Begins a request that may wait; the answer comes through the receiver. Dropping the receiver gives the answer up.
    pub(crate) fn begin(
        &self,
        group: &str,
        decide: impl FnOnce(&mut Shard, Waiter, Now) -> Effects,
    ) -> Result<oneshot::Receiver<Reply>, Error> {
        self.begin_for(group, None, decide)
    }

    /// The same, where what it writes is for a transactional producer.
    pub(crate) fn begin_for(
        &self,
        group: &str,
        transactional: Option<Transactional>,
        decide: impl FnOnce(&mut Shard, Waiter, Now) -> Effects,
    ) -> Result<oneshot::Receiver<Reply>, Error> {
        let now = self.now();
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.queued_bytes > QUEUED_BYTES_MAX {
            return Err(Error::Busy { queued_bytes: state.queued_bytes, limit_bytes: QUEUED_BYTES_MAX });
        }
        let Some(shard) = &mut state.shard else { return Err(self.not_loaded(group, state.is_closed)) };
        let waiter = Waiter(state.waiter_count);
        state.waiter_count += 1;
        let (answer, receiver) = oneshot::channel();
        state.waiters.insert(waiter, answer);
        let effects = decide(shard, waiter, now);
        state.absorb_for(transactional, effects);
        self.wake.notify_one();
        Ok(receiver)
    }

    /// Asks what can be answered at once.
    pub(crate) fn ask<T>(&self, group: &str, answer: impl FnOnce(&mut Shard, Now) -> T) -> Result<T, Error> {
        let now = self.now();
        let mut state = self.state.lock();
        let is_closed = state.is_closed;
        match &mut state.shard {
            Some(shard) => Ok(answer(shard, now)),
            None => Err(self.not_loaded(group, is_closed)),
        }
    }

    fn not_loaded(&self, group: &str, is_closed: bool) -> Error {
        let (group, partition) = (group.to_owned(), self.index);
        if is_closed { Error::NotCoordinator { group, partition } } else { Error::LoadInProgress { group, partition } }
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: self.clock.now(), elapsed_ms: u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }

    /// The log is read: requests are taken, unless the slot was closed meanwhile.
    pub(crate) fn install(&self, mut shard: Shard) {
        let effects = shard.loaded(self.now());
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        state.shard = Some(shard);
        state.absorb(effects);
    }

    /// The partition is led here no more.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.unload();
    }

    /// No request is taken until the log is read again, and whoever waits is told to find the coordinator again.
    pub(crate) fn unload(&self) {
        let mut state = self.state.lock();
        if let Some(mut shard) = state.shard.take() {
            let effects = shard.unload(self.now());
            state.absorb(effects);
        }
        state.queue.clear();
        state.queued_bytes = 0;
        // Dropped senders tell the rest; the shard has answered all it knows of.
        state.waiters.clear();
    }

    /// Fires the timers that are due.
    pub(crate) fn tick(&self) {
        let now = self.now();
        let mut state = self.state.lock();
        if let Some(shard) = &mut state.shard {
            let effects = shard.tick(now);
            state.absorb(effects);
        }
    }

    /// How long until a timer may be due.
    pub(crate) fn until_next_timer(&self) -> Duration {
        let now = self.now();
        let deadline = self.state.lock().shard.as_ref().map_or(u64::MAX, Shard::next_deadline);
        Duration::from_millis(deadline.saturating_sub(now.elapsed_ms))
    }

    /// Takes writes off the queue, in order: about `bytes_max` of them, one at least. One of a transaction comes alone.
    pub(crate) fn take_writes(&self, bytes_max: usize) -> Vec<Queued> {
        let mut state = self.state.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(front) = state.queue.front() {
            let (next, is_alone) = (bytes_of(&front.write), front.transactional.is_some());
            if !taken.is_empty() && (is_alone || bytes + next > bytes_max) {
                break;
            }
            bytes += next;
            taken.extend(state.queue.pop_front());
            if is_alone {
                break;
            }
        }
        state.queued_bytes = state.queued_bytes.saturating_sub(bytes);
        taken
    }

    /// What became of the writes up to `ticket`.
    pub(crate) fn settle(&self, ticket: Ticket, outcome: Result<(), WriteError>) {
        let now = self.now();
        let mut state = self.state.lock();
        if let Some(shard) = &mut state.shard {
            let effects = shard.written(ticket, outcome, now);
            self.rebalances.add(effects.rebalances_completed);
            state.absorb(effects);
        }
    }
}

impl Slot {
    /// What became of a marker.
    pub(crate) fn settle_end(&self, ticket: Ticket, marker: &Marker, outcome: Result<(), WriteError>) {
        let now = self.now();
        let mut state = self.state.lock();
        if let Some(shard) = &mut state.shard {
            let commits = marker.outcome == Outcome::Commit;
            let effects = shard.ended(ticket, (marker.producer, commits), outcome, now);
            state.absorb(effects);
        }
    }
}

fn bytes_of(write: &Write) -> usize {
    write.records.iter().map(|record| record.key.len() + record.value.as_ref().map_or(0, |value| value.len())).sum()
}
