//! Offsets that are committed in transactions: held until the transaction's marker is in the log.

use super::Shard;
use crate::effects::{Effects, Producer, Reply, Write, WriteError};
use crate::layout::Change;
use crate::turn::{Outstanding, Then};
use millstream_types::{Now, ProducerId, Ticket, Waiter};

impl Shard {
    /// Takes over a record of the log that is part of a transaction whose end has not been read.
    pub fn replay_in_transaction(&mut self, producer: ProducerId, change: Change) {
        if let Change::Offset { group, topic, partition, committed: Some(committed) } = change {
            let found = self.group_or_new(&group, None);
            found.offsets.hold(producer, &topic, partition, committed);
            let id = found.id.clone();
            self.held.entry(producer).or_default().insert(id);
        }
    }

    /// A marker was read in the log, or is there now: the producer's transaction is over.
    pub fn replay_end(&mut self, producer: ProducerId, commits: bool) {
        for id in self.held.remove(&producer).unwrap_or_default() {
            if let Some(group) = self.groups.get_mut(&id) {
                group.offsets.end_transaction(producer, commits);
            }
            self.forget_if_unused(&id);
        }
    }

    /// A marker is to be written in its turn, after the offsets that were to be written before. [`Shard::ended`] follows it.
    pub fn end_transaction(&mut self, producer: Producer, waiter: Waiter) -> Effects {
        let ticket = Ticket(self.pending.next_ticket());
        let held = vec![(waiter, Reply::Ended(Ok(())))];
        self.pending.queue.push_back(Outstanding { ticket, changes: Vec::new(), then: Then::Nothing, held });
        Effects {
            writes: vec![Write { ticket, records: Vec::new(), transaction: Some(producer) }],
            ..Effects::default()
        }
    }

    /// What became of a marker that was to be written.
    pub fn ended(
        &mut self,
        ticket: Ticket,
        (producer, commits): (ProducerId, bool),
        outcome: Result<(), WriteError>,
        now: Now,
    ) -> Effects {
        if outcome.is_ok() {
            self.replay_end(producer, commits);
        }
        self.written(ticket, outcome, now)
    }
}
