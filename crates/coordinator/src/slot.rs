//! One partition of an internal topic that this node leads: its shard behind one short lock, and who waits for what.

use crate::config::QUEUED_BYTES_MAX;
use crate::error::Error;
use crate::shard::{Asked, Shard, Stored, Unavailable};
use millstream_record::StoredRecord;
use millstream_runtime::Clock;
use millstream_types::{Now, PartitionIndex, Ticket, Waiter};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// See the module.
pub(crate) struct Slot<S: Shard> {
    index: PartitionIndex,
    clock: Arc<dyn Clock>,
    state: Mutex<State<S>>,
    /// Something is to be done, or a timer may have become earlier.
    pub(crate) wake: Notify,
    /// Tells all that wait for a step of others: one may be done.
    pub(crate) moved: Notify,
}

/// A write in its turn.
pub(crate) struct Queued<S: Shard> {
    pub(crate) write: S::Write,
    /// For whom, where it comes alone.
    pub(crate) alone: Option<S::Alone>,
}

impl<S: Shard> Queued<S> {
    fn bytes(&self) -> usize {
        self.write.records().iter().map(StoredRecord::size).sum()
    }
}

struct State<S: Shard> {
    /// The partition is led here no more: whoever still holds the slot is sent away.
    is_closed: bool,
    /// None while the log is being read.
    shard: Option<S>,
    waiters: BTreeMap<Waiter, oneshot::Sender<S::Reply>>,
    waiter_count: u64,
    queue: VecDeque<Queued<S>>,
    queued_bytes: usize,
    /// At most a few for each thing that the shard holds.
    errands: Vec<S::Errand>,
}

impl<S: Shard> State<S> {
    /// Queues what is to be done and answers what is decided. A reply that nobody waits for any more is dropped.
    fn absorb(&mut self, effects: S::Effects, alone: Option<S::Alone>) {
        let Asked { writes, replies, errands } = S::asked(effects);
        for write in writes {
            let alone = alone.filter(|_| write.is_alone());
            let queued = Queued { write, alone };
            self.queued_bytes += queued.bytes();
            self.queue.push_back(queued);
        }
        for (waiter, reply) in replies {
            if let Some(answer) = self.waiters.remove(&waiter) {
                let _ = answer.send(reply);
            }
        }
        self.errands.extend(errands);
    }
}

impl<S: Shard> Slot<S> {
    /// A partition whose log is not read yet.
    pub(crate) fn new(index: PartitionIndex, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            is_closed: false,
            shard: None,
            waiters: BTreeMap::new(),
            waiter_count: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            errands: Vec::new(),
        };
        Self { index, clock, state: Mutex::new(state), wake: Notify::new(), moved: Notify::new() }
    }

    pub(crate) const fn index(&self) -> PartitionIndex {
        self.index
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.state.lock().shard.is_some()
    }

    /// Begins a request about `name` that may wait; the answer comes through the receiver. Dropping the receiver gives the answer up.
    pub(crate) fn begin(
        &self,
        name: &str,
        decide: impl FnOnce(&mut S, Waiter, Now) -> S::Effects,
    ) -> Result<oneshot::Receiver<S::Reply>, Error> {
        self.begin_for(name, None, decide)
    }

    /// The same, where what it writes is for somebody.
    pub(crate) fn begin_for(
        &self,
        name: &str,
        alone: Option<S::Alone>,
        decide: impl FnOnce(&mut S, Waiter, Now) -> S::Effects,
    ) -> Result<oneshot::Receiver<S::Reply>, Error> {
        let now = self.now();
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.queued_bytes > QUEUED_BYTES_MAX {
            return Err(Error::Busy { queued_bytes: state.queued_bytes, limit_bytes: QUEUED_BYTES_MAX });
        }
        let Some(shard) = &mut state.shard else { return Err(self.not_loaded(name, state.is_closed)) };
        let waiter = Waiter(state.waiter_count);
        state.waiter_count += 1;
        let (answer, receiver) = oneshot::channel();
        state.waiters.insert(waiter, answer);
        let effects = decide(shard, waiter, now);
        state.absorb(effects, alone);
        self.wake.notify_one();
        Ok(receiver)
    }

    /// Asks what can be answered at once.
    pub(crate) fn ask<T>(&self, name: &str, answer: impl FnOnce(&mut S, Now) -> T) -> Result<T, Error> {
        let now = self.now();
        let mut state = self.state.lock();
        let is_closed = state.is_closed;
        match &mut state.shard {
            Some(shard) => Ok(answer(shard, now)),
            None => Err(self.not_loaded(name, is_closed)),
        }
    }

    fn not_loaded(&self, name: &str, is_closed: bool) -> Error {
        let why = if is_closed { Unavailable::NotLed(self.index) } else { Unavailable::Loading(self.index) };
        S::unavailable(name, why)
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: self.clock.now(), elapsed_ms: u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }

    /// The log is read: requests are taken, unless the slot was closed meanwhile.
    pub(crate) fn install(&self, mut shard: S) {
        let effects = shard.loaded(self.now());
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        state.shard = Some(shard);
        state.absorb(effects, None);
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
            state.absorb(effects, None);
        }
        state.queue.clear();
        state.queued_bytes = 0;
        state.errands.clear();
        // Dropped senders tell the rest; the shard has answered all it knows of.
        state.waiters.clear();
        drop(state);
        self.moved.notify_waiters();
    }

    /// Does what time asks for.
    pub(crate) fn tick(&self) {
        self.decide(S::tick);
    }

    /// What became of the writes up to `ticket`.
    pub(crate) fn settle(&self, ticket: Ticket, alone: Option<S::Alone>, outcome: Result<(), S::WriteError>) {
        self.decide(|shard, now| match alone {
            Some(alone) => shard.written_alone(alone, ticket, outcome, now),
            None => shard.written(ticket, outcome, now),
        });
    }

    /// A decision that nobody waits for.
    pub(crate) fn decide(&self, decide: impl FnOnce(&mut S, Now) -> S::Effects) {
        let now = self.now();
        let mut state = self.state.lock();
        if let Some(shard) = &mut state.shard {
            let effects = decide(shard, now);
            state.absorb(effects, None);
        }
        drop(state);
        self.moved.notify_waiters();
    }

    /// How long until something may be due.
    pub(crate) fn until_next_timer(&self) -> Duration {
        let now = self.now();
        let deadline = self.state.lock().shard.as_ref().map_or(u64::MAX, Shard::next_deadline);
        Duration::from_millis(deadline.saturating_sub(now.elapsed_ms))
    }

    /// Takes writes off the queue, in order: about `bytes_max` of them, one at least. One that is for somebody comes alone.
    pub(crate) fn take_writes(&self, bytes_max: usize) -> Vec<Queued<S>> {
        let mut state = self.state.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(front) = state.queue.front() {
            let (next, is_alone) = (front.bytes(), front.alone.is_some());
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

    /// Takes what is to be done besides.
    pub(crate) fn take_errands(&self) -> Vec<S::Errand> {
        std::mem::take(&mut self.state.lock().errands)
    }
}
