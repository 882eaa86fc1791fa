//! Consumer groups as a shard, with what they write for transactional producers.

use super::{Asked, Errands, Shard, Stored, Unavailable};
use crate::append::build;
use crate::error::Error;
use crate::owner::OFFSETS_TOPIC;
use crate::port::{LogError, OffsetsLog};
use crate::slot::Slot;
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use millstream_group::{Change, Config, Effects, Producer, Reply, Shard as Groups, Write, WriteError};
use millstream_partition::marker_batch;
use millstream_record::{BatchBuilder, Codec, StoredRecord};
use millstream_runtime::Clock;
use millstream_telemetry::Counter;
use millstream_txn::{Guard, Marker, NO_SEQUENCE, Outcome, Version};
use millstream_types::{ErrorKind, LeaderEpoch, Now, ProducerId, Ticket, TimestampMs};
use std::fmt::Display;
use std::sync::Arc;

/// What is to be appended for a transactional producer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Alone {
    /// Offsets, with what says that the transaction's coordinator was asked.
    Offsets(Producer, Option<Guard>),
    /// The end of its transaction.
    Marker(Marker, Version),
}

impl Stored for Write {
    fn ticket(&self) -> Ticket {
        self.ticket
    }

    fn records(&self) -> &[StoredRecord] {
        &self.records
    }

    fn is_alone(&self) -> bool {
        self.transaction.is_some()
    }
}

#[async_trait]
impl Shard for Groups {
    const TOPIC: &'static str = OFFSETS_TOPIC;
    const HOLDS: &'static str = "groups";

    type Config = Config;
    type Change = Change;
    type Effects = Effects;
    type Write = Write;
    type Reply = Reply;
    type WriteError = WriteError;
    type Alone = Alone;
    /// How many rebalances ended.
    type Errand = u64;

    fn open(config: &Config, _: LeaderEpoch) -> Self {
        Self::new(config.clone())
    }

    fn decode(key: &[u8], value: Option<&[u8]>, at: TimestampMs) -> Result<Change, impl Display> {
        Change::decode(key, value, at)
    }

    fn replay(&mut self, change: Change) {
        Self::replay(self, change);
    }

    fn replay_in_transaction(&mut self, producer: ProducerId, change: Change) {
        Self::replay_in_transaction(self, producer, change);
    }

    fn count(&self) -> usize {
        self.group_count()
    }

    fn loaded(&mut self, now: Now) -> Effects {
        Self::loaded(self, now)
    }

    fn unload(&mut self, now: Now) -> Effects {
        Self::unload(self, now)
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

    fn written_alone(&mut self, alone: Alone, ticket: Ticket, outcome: Result<(), WriteError>, now: Now) -> Effects {
        match alone {
            Alone::Offsets(..) => Self::written(self, ticket, outcome, now),
            Alone::Marker(marker, _) => {
                let commits = marker.outcome == Outcome::Commit;
                self.ended(ticket, (marker.producer, commits), outcome, now)
            }
        }
    }

    fn asked(effects: Effects) -> Asked<Self> {
        let Effects { writes, replies, rebalances_completed } = effects;
        Asked { writes, replies, errands: Some(rebalances_completed).filter(|&count| count > 0).into_iter().collect() }
    }

    fn unavailable(name: &str, why: Unavailable) -> Error {
        let group = name.to_owned();
        match why {
            Unavailable::NoTopic => Error::NoOffsetsTopic { group },
            Unavailable::NotLed(partition) => Error::NotCoordinator { group, partition },
            Unavailable::Loading(partition) => Error::LoadInProgress { group, partition },
        }
    }

    async fn append_alone(log: &dyn OffsetsLog, write: &Write, alone: Alone, now: TimestampMs) -> Result<(), LogError> {
        match alone {
            Alone::Marker(marker, version) => log.append_transactional(marker_batch(&marker, now), None, version).await,
            Alone::Offsets(producer, guard) => {
                let mut builder =
                    BatchBuilder::new(Codec::None).producer(producer.id, producer.epoch, NO_SEQUENCE).transactional();
                for record in &write.records {
                    builder.push(now, Some(&record.key), record.value.as_deref(), []);
                }
                log.append_transactional(build(builder)?, guard, Version::Bumping).await
            }
        }
    }

    fn refused(error: LogError) -> Result<WriteError, LogError> {
        match error {
            LogError::TooLarge(_) => Ok(WriteError::TooLarge),
            LogError::Refused(_) => Ok(WriteError::NotAvailable),
            LogError::Producer(refused) => Ok(match refused.kind() {
                ErrorKind::Fenced => WriteError::ProducerFenced,
                _ => WriteError::NotInTransaction,
            }),
            unknown @ (LogError::NotLeader | LogError::Unknown(_) | LogError::Corrupt(_)) => Err(unknown),
        }
    }
}

/// Counts the rebalances that end.
pub(crate) struct Rebalances(pub(crate) Counter);

impl Errands<Groups> for Rebalances {
    fn run(&self, count: u64, _: &Arc<Slot<Groups>>, _: &Arc<dyn Clock>) -> BoxFuture<'static, ()> {
        self.0.add(count);
        futures::future::ready(()).boxed()
    }
}
