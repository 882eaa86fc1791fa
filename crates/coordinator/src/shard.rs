//! What a led partition of an internal topic holds, as the slot and the driver see it: decisions that ask for writes, replies and errands.
//!
//! Each kind of coordinator implements [`Shard`] in a module of its own below; waiting, queueing, writing, loading and timers are the same
//! for all of them.

mod groups;
mod shares;
mod transactions;

pub(crate) use groups::{Alone, GroupErrands, Surroundings as GroupSurroundings};
pub(crate) use shares::Pruner;

use crate::error::Error;
use crate::port::{LogError, OffsetsLog};
use crate::slot::Slot;
use async_trait::async_trait;
use futures::future::BoxFuture;
use millstream_record::StoredRecord;
use millstream_runtime::Clock;
use millstream_types::{LeaderEpoch, Now, PartitionIndex, ProducerId, Ticket, TimestampMs, Waiter};
use std::fmt::{Debug, Display};
use std::sync::Arc;

/// Why a request can't be decided here and now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unavailable {
    /// The topic does not exist.
    NoTopic,
    /// The partition is led elsewhere, or not yet here.
    NotLed(PartitionIndex),
    /// Its log is being read.
    Loading(PartitionIndex),
}

/// Why a log that is as before did not take a write, whatever the write is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    /// A record is larger than the topic allows.
    TooLarge,
    /// It can't be written now.
    NotAvailable,
}

impl Refusal {
    /// What a failure means; one that leaves the log unknown, or is its write's own, is given back.
    fn of(error: LogError) -> Result<Self, LogError> {
        match error {
            LogError::TooLarge(_) => Ok(Self::TooLarge),
            LogError::Refused(_) => Ok(Self::NotAvailable),
            other @ (LogError::NotLeader | LogError::Unknown(_) | LogError::Corrupt(_) | LogError::Producer(_)) => {
                Err(other)
            }
        }
    }
}

/// What a decision asks for.
pub(crate) struct Asked<S: Shard> {
    pub(crate) writes: Vec<S::Write>,
    pub(crate) replies: Vec<(Waiter, S::Reply)>,
    pub(crate) errands: Vec<S::Errand>,
}

/// A write: its name and what to append.
pub(crate) trait Stored: Send + Sync + 'static {
    fn ticket(&self) -> Ticket;
    fn records(&self) -> &[StoredRecord];
    /// Whether it is for whom a request names beside what is decided ([`Shard::Alone`]).
    fn is_alone(&self) -> bool;
}

/// See the module.
#[async_trait]
pub(crate) trait Shard: Sized + Send + 'static {
    /// The topic that stores it.
    const TOPIC: &'static str;
    /// What it holds, in words.
    const HOLDS: &'static str;

    /// What it decides by.
    type Config: Clone + Send + Sync + 'static;
    /// One record, read.
    type Change: Send;
    type Effects;
    type Write: Stored;
    type Reply: Send + 'static;
    type WriteError: Copy + From<Refusal> + Send + Sync + 'static;
    /// For whom a write is appended, where that can't be together with others.
    type Alone: Copy + Debug + Send + Sync + 'static;
    /// What is to be done besides writing and replying.
    type Errand: Send + 'static;

    fn open(config: &Self::Config, epoch: LeaderEpoch) -> Self;
    fn decode(key: &[u8], value: Option<&[u8]>, at: TimestampMs) -> Result<Self::Change, impl Display>;
    fn replay(&mut self, change: Self::Change);
    /// Takes over what is part of a transaction whose end was not read.
    fn replay_in_transaction(&mut self, producer: ProducerId, change: Self::Change);
    /// How many things it holds.
    fn count(&self) -> usize;

    fn loaded(&mut self, now: Now) -> Self::Effects;
    fn unload(&mut self, now: Now) -> Self::Effects;
    fn tick(&mut self, now: Now) -> Self::Effects;
    fn next_deadline(&self) -> u64;
    fn written(&mut self, ticket: Ticket, outcome: Result<(), Self::WriteError>, now: Now) -> Self::Effects;
    /// The same of a write that was appended alone.
    fn written_alone(
        &mut self,
        alone: Self::Alone,
        ticket: Ticket,
        outcome: Result<(), Self::WriteError>,
        now: Now,
    ) -> Self::Effects;

    fn asked(effects: Self::Effects) -> Asked<Self>;
    fn unavailable(name: &str, why: Unavailable) -> Error;

    /// Appends a write that can't be together with others.
    async fn append_alone(
        log: &dyn OffsetsLog,
        write: &Self::Write,
        alone: Self::Alone,
        now: TimestampMs,
    ) -> Result<(), LogError>;
    /// What a failure means after which the log is as before; any other leaves it unknown, and is given back.
    fn refused(error: LogError) -> Result<Self::WriteError, LogError> {
        Refusal::of(error).map(Into::into)
    }
}

/// Runs the errands of a shard, for as long as its partition is led here.
pub(crate) trait Errands<S: Shard>: Send + Sync + 'static {
    fn run(
        &self,
        errand: S::Errand,
        slot: &Arc<Slot<S>>,
        log: &Arc<dyn OffsetsLog>,
        clock: &Arc<dyn Clock>,
    ) -> BoxFuture<'static, ()>;
}
