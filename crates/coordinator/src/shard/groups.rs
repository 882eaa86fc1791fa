//! Consumer groups as a shard, with what they write for transactional producers.

use super::{Asked, Errands, Refusal, Shard, Stored, Unavailable};
use crate::append::build;
use crate::board::Board;
use crate::error::Error;
use crate::owner::OFFSETS_TOPIC;
use crate::port::{LogError, OffsetsLog};
use crate::share_groups::work;
use crate::slot::Slot;
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use millstream_group::share::StateShard;
use millstream_group::{
    Change, Cluster, Config, Effects, Producer, Reply, Resolve, Shard as Groups, ShareWork, Write, WriteError, resolve,
};
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

    type Config = Surroundings;
    type Change = Change;
    type Effects = Effects;
    type Write = Write;
    type Reply = Reply;
    type WriteError = WriteError;
    type Alone = Alone;
    type Errand = Errand;

    fn open(config: &Surroundings, _: LeaderEpoch) -> Self {
        Self::new(config.config.clone(), config.cluster.clone())
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
        let Effects { writes, replies, rebalances_completed, resolve, shares } = effects;
        let mut errands: Vec<Errand> = resolve.into_iter().map(Errand::Resolve).collect();
        errands.extend(shares.into_iter().map(Errand::Shares));
        if rebalances_completed > 0 {
            errands.push(Errand::Count(rebalances_completed));
        }
        Asked { writes, replies, errands }
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
            LogError::Producer(refused) => Ok(match refused.kind() {
                ErrorKind::Fenced => WriteError::ProducerFenced,
                _ => WriteError::NotInTransaction,
            }),
            other => Refusal::of(other).map(Into::into),
        }
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

/// What groups decide by, and what they know of the cluster.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) config: Config,
    pub(crate) cluster: Arc<dyn Cluster>,
}

/// What groups ask for besides.
pub(crate) enum Errand {
    /// So many rebalances ended.
    Count(u64),
    /// Patterns are to be matched.
    Resolve(Resolve),
    /// The state of share partitions is to be changed.
    Shares(ShareWork),
}

/// Names of topics that are matched without giving way to others.
const NAMES_AT_ONCE: usize = 1_000;

/// Runs the errands of groups.
pub(crate) struct GroupErrands {
    pub(crate) rebalances: Counter,
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) shares: Arc<Board<StateShard>>,
}

impl Errands<Groups> for GroupErrands {
    fn run(
        &self,
        errand: Errand,
        slot: &Arc<Slot<Groups>>,
        _: &Arc<dyn OffsetsLog>,
        clock: &Arc<dyn Clock>,
    ) -> BoxFuture<'static, ()> {
        match errand {
            Errand::Count(count) => {
                self.rebalances.add(count);
                futures::future::ready(()).boxed()
            }
            Errand::Shares(asked) => work(asked, self.shares.clone(), slot.clone(), clock.clone()).boxed(),
            Errand::Resolve(resolve) => match_patterns(resolve, self.cluster.clone(), slot.clone()).boxed(),
        }
    }
}

async fn match_patterns(asked: Resolve, cluster: Arc<dyn Cluster>, slot: Arc<Slot<Groups>>) {
    let names = cluster.names();
    let mut matched = resolve(&asked.patterns, &[]);
    for some in names.chunks(NAMES_AT_ONCE) {
        for (pattern, topics) in resolve(&asked.patterns, some) {
            matched.entry(pattern).or_default().extend(topics);
        }
        tokio::task::yield_now().await;
    }
    slot.decide(|shard, now| shard.resolved(&asked.group, matched, now));
    slot.wake.notify_one();
}
