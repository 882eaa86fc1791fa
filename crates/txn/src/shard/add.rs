//! AddPartitionsToTxn, from clients and from the brokers that are written to, and the question whether a partition was added (KIP-890).

use super::{Entry, Shard, concurrent};
use crate::Error;
use crate::effects::Effects;
use crate::request::AddRequest;
use crate::state::TransactionState;
use crate::transaction::{Identity, Partition};
use millstream_types::{Now, Waiter};
use std::collections::BTreeSet;

impl Shard {
    /// Adds partitions to the transaction of an id, which begins with the first of them.
    pub fn add(&mut self, request: &AddRequest, waiter: Waiter, now: Now) -> Effects {
        let (id, next) = match self.find(&request.id) {
            None => {
                let error = unknown(&request.id, request.identity);
                return Effects::answer(waiter, Err(error));
            }
            Some((id, entry)) => match entry.check_add(request) {
                Err(error) => return Effects::answer(waiter, Err(error)),
                Ok(()) if entry.has(&request.partitions) => return Effects::answer(waiter, Ok(request.identity)),
                Ok(()) => (id, entry.transaction.with_partitions(&request.partitions, request.version, now.wall)),
            },
        };
        self.write(&id, Some(next), Some((waiter, Ok(request.identity))))
    }

    /// Which of `partitions` are part of the open transaction of an id.
    ///
    /// # Errors
    /// `InvalidProducerIdMapping`, `ProducerFenced`, `ConcurrentTransactions`.
    pub fn verify(
        &self,
        id: &str,
        identity: Identity,
        partitions: &BTreeSet<Partition>,
    ) -> Result<BTreeSet<Partition>, Error> {
        let (_, entry) = self.find(id).ok_or_else(|| unknown(id, identity))?;
        entry.check_identity(id, identity)?;
        match entry.transaction.outcome() {
            Some(_) => Err(concurrent(id)),
            None => Ok(entry.transaction.partitions.intersection(partitions).cloned().collect()),
        }
    }
}

impl Entry {
    fn check_add(&self, request: &AddRequest) -> Result<(), Error> {
        // As in Kafka 4.3, before it is looked at who asks.
        if self.is_busy() || self.transaction.outcome().is_some() {
            return Err(concurrent(&request.id));
        }
        self.check_identity(&request.id, request.identity)
    }

    fn has(&self, partitions: &BTreeSet<Partition>) -> bool {
        self.transaction.state == TransactionState::Ongoing && partitions.is_subset(&self.transaction.partitions)
    }

    /// That the request is of the producer that the id has now.
    pub(super) fn check_identity(&self, id: &str, identity: Identity) -> Result<(), Error> {
        if self.transaction.producer != identity.producer {
            return Err(unknown(id, identity));
        }
        if self.transaction.epoch != identity.epoch {
            return Err(Error::ProducerFenced { sent: identity.epoch, current: self.transaction.epoch });
        }
        Ok(())
    }
}

pub(super) fn unknown(id: &str, identity: Identity) -> Error {
    Error::InvalidProducerIdMapping { id: id.to_owned(), sent: identity.producer }
}
