//! One partition of `__transaction_state` that this node leads: its transactions behind one short lock, and who waits for what.

use crate::error::Error;
use millstream_runtime::Clock;
use millstream_txn::{Effects, Ending, Marker, Now, Partition, Reply, Shard, Ticket, Waiter, Write, WriteError};
use millstream_types::PartitionIndex;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// See the module.
pub(crate) struct TxnSlot {
    index: PartitionIndex,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Something is to be written or told to partitions, or a timer may have become earlier.
    pub(crate) wake: Notify,
}

#[derive(Default)]
struct State {
    /// The partition is led here no more: whoever still holds the slot is sent away.
    is_closed: bool,
    /// None while the log is being read.
    shard: Option<Shard>,
    waiters: BTreeMap<Waiter, oneshot::Sender<Reply>>,
    waiter_count: u64,
    /// At most one write for each transactional id: an id has one step under way.
    queue: VecDeque<Write>,
    endings: Vec<Ending>,
}

impl State {
    /// Queues what is to be done and answers what is decided. A reply that nobody waits for any more is dropped.
    fn absorb(&mut self, effects: Effects) {
        self.queue.extend(effects.writes);
        self.endings.extend(effects.endings);
        for (waiter, reply) in effects.replies {
            if let Some(answer) = self.waiters.remove(&waiter) {
                let _ = answer.send(reply);
            }
        }
    }
}

impl TxnSlot {
    /// A partition whose log is not read yet.
    pub(crate) fn new(index: PartitionIndex, clock: Arc<dyn Clock>) -> Self {
        Self { index, clock, state: Mutex::new(State::default()), wake: Notify::new() }
    }

    /// Begins a request; the answer comes through the receiver. Dropping the receiver gives the answer up.
    pub(crate) fn begin(
        &self,
        id: &str,
        decide: impl FnOnce(&mut Shard, Waiter, Now) -> Effects,
    ) -> Result<oneshot::Receiver<Reply>, Error> {
        let now = self.now();
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(shard) = &mut state.shard else { return Err(self.not_loaded(id, state.is_closed)) };
        let waiter = Waiter(state.waiter_count);
        state.waiter_count += 1;
        let (answer, receiver) = oneshot::channel();
        state.waiters.insert(waiter, answer);
        let effects = decide(shard, waiter, now);
        state.absorb(effects);
        self.wake.notify_one();
        Ok(receiver)
    }

    /// Asks what can be answered at once.
    pub(crate) fn ask<T>(&self, id: &str, answer: impl FnOnce(&Shard, Now) -> T) -> Result<T, Error> {
        let now = self.now();
        let state = self.state.lock();
        match &state.shard {
            Some(shard) => Ok(answer(shard, now)),
            None => Err(self.not_loaded(id, state.is_closed)),
        }
    }

    fn not_loaded(&self, id: &str, is_closed: bool) -> Error {
        let (id, partition) = (id.to_owned(), self.index);
        if is_closed { Error::NotTxnCoordinator { id, partition } } else { Error::TxnLoadInProgress { id, partition } }
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
            let effects = shard.unload();
            state.absorb(effects);
        }
        state.queue.clear();
        state.endings.clear();
        // Dropped senders tell the rest; the shard has answered all it knows of.
        state.waiters.clear();
    }

    /// Does what time asks for.
    pub(crate) fn tick(&self) {
        let now = self.now();
        self.decide(|shard| shard.tick(now));
    }

    /// What became of the writes up to `ticket`.
    pub(crate) fn settle(&self, ticket: Ticket, outcome: Result<(), WriteError>) {
        let now = self.now();
        self.decide(|shard| shard.written(ticket, outcome, now));
    }

    /// A partition has its marker.
    pub(crate) fn marked(&self, id: &Arc<str>, marker: &Marker, partition: &Partition) {
        let now = self.now();
        self.decide(|shard| shard.marked(id, marker, partition, now));
        self.wake.notify_one();
    }

    fn decide(&self, decide: impl FnOnce(&mut Shard) -> Effects) {
        let mut state = self.state.lock();
        if let Some(shard) = &mut state.shard {
            let effects = decide(shard);
            state.absorb(effects);
        }
    }

    /// How long until something may be due.
    pub(crate) fn until_next_timer(&self) -> Duration {
        let now = self.now();
        let deadline = self.state.lock().shard.as_ref().map_or(u64::MAX, Shard::next_deadline);
        Duration::from_millis(deadline.saturating_sub(now.elapsed_ms))
    }

    /// Takes what waits to be written off the queue, in order: `max` writes at most.
    pub(crate) fn take_writes(&self, max: usize) -> Vec<Write> {
        let mut state = self.state.lock();
        let count = max.min(state.queue.len());
        state.queue.drain(..count).collect()
    }

    /// Takes the transactions that are to be ended in their partitions.
    pub(crate) fn take_endings(&self) -> Vec<Ending> {
        std::mem::take(&mut self.state.lock().endings)
    }
}
