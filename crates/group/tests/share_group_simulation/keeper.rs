//! A share coordinator with a log: what it asks to be written is written, or refused, when the world says so.

use millstream_group::share::{StateChange, StateConfig, StateEffects, StateReply, StateShard};
use millstream_group::{Now, StoredRecord, Ticket, Waiter, WriteError};
use millstream_types::TimestampMs;
use std::collections::{BTreeMap, VecDeque};

const CONFIG: StateConfig = StateConfig { updates_per_snapshot: 6, prune_interval_ms: 20_000 };

/// See the module.
pub struct Keeper {
    shard: StateShard,
    pub log: Vec<StoredRecord>,
    /// Writes that were asked for and not settled.
    pub held: VecDeque<(Ticket, Vec<StoredRecord>)>,
    replies: BTreeMap<Waiter, StateReply>,
    waiters: u64,
    /// Once this is answered, so many records of the log say nothing any more.
    pruning: Option<(Waiter, usize)>,
    pub prunes: usize,
}

impl Keeper {
    pub fn new(now: Now) -> Self {
        let mut shard = StateShard::new(CONFIG);
        shard.loaded(now);
        let (log, held, replies) = (Vec::new(), VecDeque::new(), BTreeMap::new());
        Self { shard, log, held, replies, waiters: 0, pruning: None, prunes: 0 }
    }

    pub fn ask(&mut self, now: Now, decide: impl FnOnce(&mut StateShard, Waiter, Now) -> StateEffects) -> Waiter {
        self.waiters += 1;
        let waiter = Waiter(self.waiters);
        let effects = decide(&mut self.shard, waiter, now);
        self.absorb(effects);
        waiter
    }

    fn absorb(&mut self, effects: StateEffects) {
        self.held.extend(effects.writes.into_iter().map(|write| (write.ticket, write.records)));
        for (waiter, reply) in effects.replies {
            assert!(self.replies.insert(waiter, reply).is_none(), "{waiter:?} is answered twice");
        }
    }

    /// What `waiter` was answered, once.
    pub fn answer(&mut self, waiter: Waiter) -> Option<StateReply> {
        self.replies.remove(&waiter)
    }

    /// Looks whether the log is worth pruning.
    pub fn tick(&mut self, now: Now) {
        if self.shard.tick(now).prunes && self.pruning.is_none() {
            let redundant = self.log.len();
            let waiter = self.ask(now, StateShard::snapshot_all);
            self.pruning = Some((waiter, redundant));
        }
    }

    /// The oldest write that is held ends so. Gives what was stored.
    pub fn settle(&mut self, outcome: Result<(), WriteError>) -> Vec<StateChange> {
        let Some((ticket, records)) = self.held.pop_front() else { return Vec::new() };
        let is_stored = outcome.is_ok();
        let effects = self.shard.written(ticket, outcome);
        self.absorb(effects);
        let stored = if is_stored { records } else { Vec::new() };
        self.log.extend(stored.iter().cloned());
        if let Some((waiter, redundant)) = self.pruning
            && let Some(reply) = self.answer(waiter)
        {
            self.pruning = None;
            if reply == StateReply::Stored(Ok(())) {
                self.prunes += 1;
                self.log.drain(..redundant);
            }
        }
        stored.iter().map(read).collect()
    }

    /// A crash: another shard reads the log. What was held is not written, and nobody is answered.
    pub fn reload(&mut self, now: Now) {
        self.shard = StateShard::new(CONFIG);
        for record in &self.log {
            self.shard.replay(read(record));
        }
        self.held.clear();
        self.replies.clear();
        self.pruning = None;
        self.shard.loaded(now);
    }
}

fn read(record: &StoredRecord) -> StateChange {
    StateChange::decode(&record.key, record.value.as_deref(), TimestampMs(0)).unwrap()
}
