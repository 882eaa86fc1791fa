//! EndTxn: how a transaction is to end is decided once, and stored before anybody is told.
//!
//! With `transaction.version=2` the decision bumps the epoch, so that one request can't be taken for another: a client that repeats its
//! request has the epoch before, and one that ends its next transaction the epoch after.

use super::add::unknown;
use super::{Entry, Shard, concurrent};
use crate::Error;
use crate::effects::Effects;
use crate::marker::{Outcome, Version};
use crate::request::EndRequest;
use crate::state::TransactionState;
use crate::transaction::{Identity, is_exhausted};
use millstream_types::{Now, ProducerEpoch, ProducerId, Waiter};

/// What becomes of a request.
enum Decision {
    /// It ends so.
    Prepare,
    /// It has ended so before.
    Done,
}

impl Shard {
    /// Ends the transaction of an id. The answer comes when the decision is stored, with what the client is to go on with.
    pub fn end(&mut self, request: &EndRequest, waiter: Waiter, now: Now) -> Effects {
        let Some((id, entry)) = self.find(&request.id) else {
            return Effects::answer(waiter, Err(unknown(&request.id, request.identity)));
        };
        let decision = match request.version {
            Version::Classic => entry.check_end(request),
            Version::Bumping => entry.check_bumping_end(request),
        };
        let transaction = &entry.transaction;
        match decision {
            Err(error) => Effects::answer(waiter, Err(error)),
            Ok(Decision::Done) => Effects::answer(waiter, Ok(transaction.identity())),
            Ok(Decision::Prepare) => {
                let is_last = request.version.bumps() && is_exhausted(transaction.epoch);
                if is_last && request.fresh.is_none() {
                    return Effects::answer(waiter, Err(Error::IdsUsedUp));
                }
                let fresh = request.fresh.filter(|_| is_last);
                let next = transaction.prepared(request.outcome, request.version, now.wall, fresh);
                let after = next.identity_after();
                self.write(&id, Some(next), Some((waiter, Ok(after))))
            }
        }
    }
}

impl Entry {
    fn check_end(&self, request: &EndRequest) -> Result<Decision, Error> {
        self.check_identity(&request.id, request.identity)?;
        if self.is_busy() {
            return Err(concurrent(&request.id));
        }
        match (self.transaction.state, request.outcome) {
            (TransactionState::Ongoing, _) => Ok(Decision::Prepare),
            (TransactionState::CompleteCommit, Outcome::Commit) | (TransactionState::CompleteAbort, Outcome::Abort) => {
                Ok(Decision::Done)
            }
            (TransactionState::PrepareCommit, Outcome::Commit) | (TransactionState::PrepareAbort, Outcome::Abort) => {
                Err(concurrent(&request.id))
            }
            _ => Err(self.not_now(request)),
        }
    }

    fn check_bumping_end(&self, request: &EndRequest) -> Result<Decision, Error> {
        // As in Kafka 4.3, before it is looked at who asks: what is being written may make an identity right or wrong.
        if self.is_busy() {
            return Err(concurrent(&request.id));
        }
        let Identity { producer, epoch } = request.identity;
        let current = self.transaction.epoch;
        // The client did not hear of a change to another producer id, or of a bump.
        let is_rotated = self.transaction.previous_producer == producer
            && is_exhausted(epoch)
            && epoch.0 < i16::MAX
            && current == ProducerEpoch::FIRST;
        // The largest epoch is told to nobody: without a producer id to go on with it says that this client was fenced.
        let is_told = current.0 < i16::MAX || self.transaction.next_producer != ProducerId::NONE;
        let is_bumped = epoch.0 < i16::MAX && current == epoch.next() && is_told;
        if self.transaction.producer != producer && !is_rotated {
            return Err(unknown(&request.id, request.identity));
        }
        use TransactionState as S;
        let is_valid = match self.transaction.state {
            S::Ongoing | S::Empty | S::Dead | S::PrepareEpochFence => epoch == current,
            S::PrepareCommit | S::PrepareAbort => is_bumped,
            S::CompleteCommit | S::CompleteAbort => is_bumped || is_rotated || epoch == current,
        };
        if !is_valid {
            return Err(Error::ProducerFenced { sent: epoch, current });
        }
        let is_again = is_bumped || is_rotated;
        match (self.transaction.state, request.outcome) {
            (S::Ongoing, _) => Ok(Decision::Prepare),
            (S::CompleteCommit, Outcome::Commit) | (S::CompleteAbort, Outcome::Abort) if is_again => Ok(Decision::Done),
            (S::PrepareCommit, Outcome::Commit) | (S::PrepareAbort, Outcome::Abort) => Err(concurrent(&request.id)),
            // A client may abort without knowing whether anything was begun.
            (S::CompleteCommit | S::CompleteAbort | S::Empty, Outcome::Abort) if !is_again => Ok(Decision::Prepare),
            _ => Err(self.not_now(request)),
        }
    }

    fn not_now(&self, request: &EndRequest) -> Error {
        let asked = match request.outcome {
            Outcome::Commit => "commit",
            Outcome::Abort => "abort",
        };
        Error::InvalidTxnState { id: request.id.clone(), state: self.transaction.state, asked }
    }
}
