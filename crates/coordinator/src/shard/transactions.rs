//! Transactions as a shard. None of its writes is for somebody else.

use super::{Asked, Refusal, Shard, Stored, Unavailable};
use crate::error::Error;
use crate::owner::TRANSACTIONS_TOPIC;
use crate::port::{LogError, OffsetsLog};
use async_trait::async_trait;
use millstream_record::StoredRecord;
use millstream_txn::{Change, Config, Effects, Ending, Reply, Shard as Transactions, Write, WriteError};
use millstream_types::{LeaderEpoch, Now, ProducerId, Ticket, TimestampMs};
use std::convert::Infallible;
use std::fmt::Display;

impl Stored for Write {
    fn ticket(&self) -> Ticket {
        self.ticket
    }

    fn records(&self) -> &[StoredRecord] {
        std::slice::from_ref(&self.record)
    }

    fn is_alone(&self) -> bool {
        false
    }
}

impl From<Refusal> for WriteError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge => Self::TooLarge,
            Refusal::NotAvailable => Self::NotAvailable,
        }
    }
}

#[async_trait]
impl Shard for Transactions {
    const TOPIC: &'static str = TRANSACTIONS_TOPIC;
    const HOLDS: &'static str = "transactional ids";

    type Config = Config;
    type Change = Change;
    type Effects = Effects;
    type Write = Write;
    type Reply = Reply;
    type WriteError = WriteError;
    type Alone = Infallible;
    type Errand = Ending;

    fn open(config: &Config, epoch: LeaderEpoch) -> Self {
        Self::new(*config, epoch.0)
    }

    fn decode(key: &[u8], value: Option<&[u8]>, _: TimestampMs) -> Result<Change, impl Display> {
        Change::decode(key, value)
    }

    fn replay(&mut self, change: Change) {
        Self::replay(self, change);
    }

    /// Nobody writes transactions in transactions: what claims so is taken as it stands.
    fn replay_in_transaction(&mut self, _: ProducerId, change: Change) {
        Self::replay(self, change);
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn loaded(&mut self, now: Now) -> Effects {
        Self::loaded(self, now)
    }

    fn unload(&mut self, _: Now) -> Effects {
        Self::unload(self)
    }

    fn tick(&mut self, now: Now) -> Effects {
        Self::tick(self, now)
    }

    fn next_deadline(&self) -> u64 {
        Self::next_deadline(self)
    }

    fn written(&mut self, ticket: Ticket, outcome: Result<(), WriteError>, now: Now) -> Effects {
        Self::written(self, ticket, outcome, now)
    }

    fn written_alone(&mut self, alone: Infallible, _: Ticket, _: Result<(), WriteError>, _: Now) -> Effects {
        match alone {}
    }

    fn asked(effects: Effects) -> Asked<Self> {
        let Effects { writes, replies, endings } = effects;
        Asked { writes, replies, errands: endings }
    }

    fn unavailable(name: &str, why: Unavailable) -> Error {
        let id = name.to_owned();
        match why {
            Unavailable::NoTopic => Error::NoTransactionsTopic { id },
            Unavailable::NotLed(partition) => Error::NotTxnCoordinator { id, partition },
            Unavailable::Loading(partition) => Error::TxnLoadInProgress { id, partition },
        }
    }

    async fn append_alone(_: &dyn OffsetsLog, _: &Write, alone: Infallible, _: TimestampMs) -> Result<(), LogError> {
        match alone {}
    }
}
