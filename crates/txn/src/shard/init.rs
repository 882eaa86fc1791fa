//! InitProducerId: a producer takes its transactional id over, and whoever had it before is fenced.

use super::{Entry, Shard, Step, concurrent};
use crate::Error;
use crate::effects::Effects;
use crate::marker::{Outcome, Version};
use crate::request::InitRequest;
use crate::state::TransactionState;
use crate::transaction::Transaction;
use millstream_types::{Now, ProducerEpoch, Waiter};
use std::sync::Arc;

impl Shard {
    /// Gives a producer the id's producer id with a new epoch. A transaction that is open is aborted first: the answer is
    /// `ConcurrentTransactions` then, and the client asks again.
    pub fn init(&mut self, request: &InitRequest, waiter: Waiter, now: Now) -> Effects {
        if let Err(error) = self.check_init(request) {
            return Effects::answer(waiter, Err(error));
        }
        let Some((id, entry)) = self.find(&request.id) else { return self.begin_id(request, waiter, now) };
        let next = match entry.after_init(request, now) {
            Ok(next) => next,
            Err(error) => return Effects::answer(waiter, Err(error)),
        };
        match next {
            Some(next) => {
                let identity = next.identity();
                self.write(&id, Some(next), Some((waiter, Ok(identity))))
            }
            None => self.fence(&id, Version::Bumping, Some(waiter), now),
        }
    }

    fn check_init(&self, request: &InitRequest) -> Result<(), Error> {
        if request.id.is_empty() {
            return Err(Error::EmptyTransactionalId);
        }
        let max_ms = self.config.timeout_ms_max;
        if request.timeout_ms <= 0 || request.timeout_ms > max_ms {
            return Err(Error::InvalidTransactionTimeout { sent_ms: request.timeout_ms, max_ms });
        }
        Ok(())
    }

    fn begin_id(&mut self, request: &InitRequest, waiter: Waiter, now: Now) -> Effects {
        let Some(producer) = request.fresh else { return Effects::answer(waiter, Err(Error::IdsUsedUp)) };
        let id: Arc<str> = request.id.as_str().into();
        let transaction = Transaction::new(producer, request.timeout_ms, now.wall);
        self.entries.insert(id.clone(), Entry { transaction, step: Step::Idle, fence_failed: false });
        // It has no epoch yet, so that it is found to be new and initialized.
        self.init(request, waiter, now)
    }

    /// Aborts the open transaction of `id` in a new epoch that nobody is given: its producer is fenced. Whoever waits is told to try
    /// again.
    pub(super) fn fence(&mut self, id: &Arc<str>, version: Version, waiter: Option<Waiter>, now: Now) -> Effects {
        let Some(entry) = self.entries.get_mut(id) else { return Effects::default() };
        let transaction = &mut entry.transaction;
        if !entry.fence_failed && transaction.epoch.0 < i16::MAX {
            transaction.epoch = transaction.epoch.next();
        }
        transaction.last_epoch = ProducerEpoch::NONE;
        let next = transaction.prepared(Outcome::Abort, version, now.wall, None);
        let effects = self.write(id, Some(next), waiter.map(|waiter| (waiter, Err(concurrent(id)))));
        if let Some(written) = self.outstanding.back_mut().filter(|_| !effects.writes.is_empty()) {
            written.fences = true;
        }
        effects
    }
}

impl Entry {
    /// The state to write; none where a transaction is to be aborted first.
    fn after_init(&self, request: &InitRequest, now: Now) -> Result<Option<Transaction>, Error> {
        let transaction = &self.transaction;
        if self.is_busy() {
            return Err(concurrent(&request.id));
        }
        if let Some(expected) = request.expected.filter(|expected| !transaction.may_be(*expected)) {
            return Err(Error::ProducerFenced { sent: expected.epoch, current: transaction.epoch });
        }
        match transaction.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => Err(concurrent(&request.id)),
            TransactionState::Ongoing => Ok(None),
            TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort
            | TransactionState::Dead
            | TransactionState::PrepareEpochFence => {
                transaction.initialized(request.expected, request.timeout_ms, now.wall, request.fresh).map(Some)
            }
        }
    }
}
