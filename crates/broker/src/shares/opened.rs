//! A share partition that is open here: its decisions behind one short lock, and who waits for it.

use crate::codes::Failure;
use crate::shares::writes::Queue;
use millstream_group::share::{Acknowledgement, ShareKey, SharePartition};
use millstream_partition::PartitionHandle;
use millstream_types::LeaderEpoch;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{oneshot, watch};

/// See the module.
pub(crate) struct Opened {
    pub(crate) key: ShareKey,
    pub(crate) log: PartitionHandle,
    /// The leadership that it belongs to.
    pub(crate) leader_epoch: LeaderEpoch,
    /// The state that it goes on with.
    pub(super) state_epoch: i32,
    pub(super) state: Mutex<State>,
    /// One request reads at a time: two would read the same for one to get it.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Counts up whenever there may be something to acquire that was not before.
    pub(super) moved: watch::Sender<u64>,
    /// When it was used last, in elapsed milliseconds.
    used_at: AtomicU64,
    /// Somebody else has taken over: this one is used no more.
    fenced: AtomicBool,
}

/// What is decided, and what is to be written of it.
pub(super) struct State {
    pub(super) partition: SharePartition,
    pub(super) queue: Queue,
    /// Where it begins is stored: whoever opens it anew begins there.
    pub(super) has_start: bool,
}

/// What became of something that is written: nothing where it was not.
pub(crate) type Outcome = Result<(), Failure>;

impl Opened {
    pub(super) fn new(
        key: ShareKey,
        log: PartitionHandle,
        epochs: (LeaderEpoch, i32),
        (partition, has_start): (SharePartition, bool),
    ) -> Self {
        let (leader_epoch, state_epoch) = epochs;
        Self {
            key,
            log,
            leader_epoch,
            state_epoch,
            state: Mutex::new(State { partition, queue: Queue::default(), has_start }),
            turn: tokio::sync::Mutex::default(),
            moved: watch::Sender::new(0),
            used_at: AtomicU64::new(0),
            fenced: AtomicBool::new(false),
        }
    }

    /// Whether it is still what `log` is shared by.
    pub(crate) fn is_of(&self, log: &PartitionHandle) -> bool {
        !self.fenced.load(Ordering::Acquire) && self.log.is_same(log) && log.bounds().leader_epoch == self.leader_epoch
    }

    /// Whether it is of no use any more.
    pub(super) fn is_over(&self) -> bool {
        let bounds = self.log.bounds();
        let is_closed = *self.log.high_watermark().borrow() == millstream_types::Offset::NONE;
        self.fenced.load(Ordering::Acquire)
            || is_closed
            || !bounds.is_leader
            || bounds.leader_epoch != self.leader_epoch
    }

    /// Somebody uses it.
    pub(super) fn touch(&self, now_ms: u64) {
        self.used_at.store(now_ms, Ordering::Relaxed);
    }

    /// Whether it was not used for `idle_ms`, and nothing is known of it that is not stored.
    pub(super) fn is_idle(&self, now_ms: u64, idle_ms: u64) -> bool {
        if now_ms.saturating_sub(self.used_at.load(Ordering::Relaxed)) < idle_ms {
            return false;
        }
        let state = self.state.lock();
        state.has_start && state.queue.is_empty() && state.partition.is_at_rest()
    }

    /// What tells that there may be something to acquire that was not before.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Whoever waits is sent to look again.
    pub(super) fn fence(&self) {
        self.fenced.store(true, Ordering::Release);
        self.tell();
    }

    /// Something may be there to acquire.
    pub(super) fn tell(&self) {
        self.moved.send_modify(|count| *count += 1);
    }

    /// What `member` says of records is decided. What is to be written comes through the receiver; none where nothing is.
    ///
    /// # Errors
    /// As [`SharePartition::acknowledge`].
    pub(super) fn acknowledge(
        &self,
        member: &str,
        said: &[Acknowledgement],
        now_ms: u64,
    ) -> Result<Option<oneshot::Receiver<Outcome>>, Failure> {
        let mut state = self.state.lock();
        let write = state.partition.acknowledge(member, said, now_ms)?;
        Ok(write.map(|write| state.queue.push(write)))
    }

    /// What `member` has is given back.
    pub(super) fn release(&self, member: &str) -> Option<oneshot::Receiver<Outcome>> {
        let mut state = self.state.lock();
        let write = state.partition.release(member)?;
        Some(state.queue.push(write))
    }

    /// Locks that have ended are taken. Gives when the next ends, and whether something is to be written.
    pub(super) fn expire(&self, now_ms: u64) -> (u64, bool) {
        let mut state = self.state.lock();
        let write = state.partition.expire(now_ms);
        let writes = write.is_some();
        // Nobody waits for it but those who wait for records.
        if let Some(write) = write {
            drop(state.queue.push(write));
        }
        (state.partition.next_deadline(), writes)
    }
}
