//! The state of share partitions as a shard. Its log is pruned by deleting what a round of snapshots made redundant.

use super::{Asked, Errands, Shard, Unavailable};
use crate::error::Error;
use crate::owner::SHARE_STATE_TOPIC;
use crate::port::{LogError, OffsetsLog};
use crate::slot::Slot;
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use millstream_group::share::{StateChange, StateConfig, StateEffects, StateReply, StateShard};
use millstream_group::{Write, WriteError};
use millstream_runtime::Clock;
use millstream_types::{LeaderEpoch, Now, ProducerId, Ticket, TimestampMs};
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;

/// What is in the log is to be made redundant and deleted.
pub(crate) struct Prune;

#[async_trait]
impl Shard for StateShard {
    const TOPIC: &'static str = SHARE_STATE_TOPIC;
    const HOLDS: &'static str = "share partitions";

    type Config = StateConfig;
    type Change = StateChange;
    type Effects = StateEffects;
    type Write = Write;
    type Reply = StateReply;
    type WriteError = WriteError;
    type Alone = Infallible;
    type Errand = Prune;

    fn open(config: &StateConfig, _: LeaderEpoch) -> Self {
        Self::new(*config)
    }

    fn decode(key: &[u8], value: Option<&[u8]>, at: TimestampMs) -> Result<StateChange, impl Display> {
        StateChange::decode(key, value, at)
    }

    fn replay(&mut self, change: StateChange) {
        Self::replay(self, change);
    }

    /// Nobody writes this state in transactions: what claims so is taken as it stands.
    fn replay_in_transaction(&mut self, _: ProducerId, change: StateChange) {
        Self::replay(self, change);
    }

    fn count(&self) -> usize {
        Self::count(self)
    }

    fn loaded(&mut self, now: Now) -> StateEffects {
        Self::loaded(self, now)
    }

    fn unload(&mut self, _: Now) -> StateEffects {
        Self::unload(self)
    }

    fn tick(&mut self, now: Now) -> StateEffects {
        Self::tick(self, now)
    }

    fn next_deadline(&self) -> u64 {
        Self::next_deadline(self)
    }

    fn written(&mut self, ticket: Ticket, outcome: Result<(), WriteError>, _: Now) -> StateEffects {
        Self::written(self, ticket, outcome)
    }

    fn written_alone(&mut self, alone: Infallible, _: Ticket, _: Result<(), WriteError>, _: Now) -> StateEffects {
        match alone {}
    }

    fn asked(effects: StateEffects) -> Asked<Self> {
        let StateEffects { writes, replies, prunes } = effects;
        Asked { writes, replies, errands: prunes.then_some(Prune).into_iter().collect() }
    }

    fn unavailable(name: &str, why: Unavailable) -> Error {
        let key = name.to_owned();
        match why {
            Unavailable::NoTopic => Error::NoShareTopic { key },
            Unavailable::NotLed(partition) => Error::NotShareCoordinator { key, partition },
            Unavailable::Loading(partition) => Error::ShareLoadInProgress { key, partition },
        }
    }

    async fn append_alone(_: &dyn OffsetsLog, _: &Write, alone: Infallible, _: TimestampMs) -> Result<(), LogError> {
        match alone {}
    }
}

/// Prunes the log.
pub(crate) struct Pruner;

impl Errands<StateShard> for Pruner {
    fn run(
        &self,
        _: Prune,
        slot: &Arc<Slot<StateShard>>,
        log: &Arc<dyn OffsetsLog>,
        _: &Arc<dyn Clock>,
    ) -> BoxFuture<'static, ()> {
        prune(slot.clone(), log.clone()).boxed()
    }
}

/// A failure is no harm: the next round finds more to delete.
async fn prune(slot: Arc<Slot<StateShard>>, log: Arc<dyn OffsetsLog>) {
    // What is appended from here on stays, whatever it is.
    let end = log.end();
    let begun = slot.begin("", |shard, waiter, now| shard.snapshot_all(waiter, now));
    let Ok(begun) = begun else { return };
    if !matches!(begun.await, Ok(StateReply::Stored(Ok(())))) {
        return;
    }
    if let Err(error) = log.delete_before(end).await {
        tracing::warn!(topic = SHARE_STATE_TOPIC, partition = %slot.index(), %error, "redundant states of share partitions are still kept");
    }
}
