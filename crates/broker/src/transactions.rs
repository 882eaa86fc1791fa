//! What the handlers of transactions share: who asks, which codes older clients know, and how produced records join their transaction.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use crate::topics;
use kafka_protocol::messages::ProducerId as WireProducer;
use kafka_protocol::messages::produce_request::TopicProduceData;
use millstream_coordinator::{Error, Transactor};
use millstream_metadata::{Image, Topic};
use millstream_protocol::ResponseError;
use millstream_record::{BATCH_HEADER_BYTES, Batch};
use millstream_txn::{Guard, Identity, Partition, Unverified, Version};
use millstream_types::{ProducerEpoch, ProducerId, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Produce requests know TRANSACTION_ABORTABLE from this version on.
const PRODUCE_TELLS_ABORTABLE: i16 = 11;
/// Brokers add the partitions that are produced to from this version on (KIP-890).
const PRODUCE_BUMPS: i16 = 12;
/// Topics are named by id in produce requests from this version on.
const PRODUCE_BY_ID: i16 = 13;

/// Whose transaction a request is about.
pub(crate) fn transactor(id: &str, (producer, epoch): (WireProducer, i16), version: Version) -> Transactor {
    let identity = Identity { producer: ProducerId(producer.0), epoch: ProducerEpoch(epoch) };
    Transactor { id: id.to_owned(), identity, version }
}

/// The code of an error; INVALID_PRODUCER_EPOCH for PRODUCER_FENCED where the version of the request does not know that.
pub(crate) fn code(error: Error, tells_fenced: bool) -> i16 {
    told(Failure::from(error).code, tells_fenced).code()
}

/// The same of a code.
pub(crate) const fn told(code: ResponseError, tells_fenced: bool) -> ResponseError {
    match code {
        ResponseError::ProducerFenced if !tells_fenced => ResponseError::InvalidProducerEpoch,
        code => code,
    }
}

/// The partitions of a produce request that may begin their transaction with it, each with what its coordinator said.
#[derive(Default)]
pub(crate) struct Joined(BTreeMap<(TopicId, i32), Result<Guard, Failure>>);

impl Joined {
    /// What to append to a partition with, where it needs anything.
    pub(crate) fn of<'a>(
        &'a self,
        topic: &Result<&Arc<Topic>, Failure>,
        index: i32,
    ) -> Result<Option<Guard>, &'a Failure> {
        let Ok(topic) = topic else { return Ok(None) };
        match self.0.get(&(topic.id, index)) {
            None => Ok(None),
            Some(Ok(guard)) => Ok(Some(*guard)),
            Some(Err(failure)) => Err(failure),
        }
    }
}

/// One partition that does not know the transaction of a batch.
struct Unjoined {
    key: (TopicId, i32),
    partition: Partition,
    guard: Guard,
    identity: Identity,
}

impl Broker {
    /// Asks the coordinator of a transaction about every partition of a produce request that does not know it, in one question.
    pub(crate) async fn join_transaction(
        &self,
        call: &Call<'_>,
        image: &Image,
        id: &str,
        topics: &[TopicProduceData],
    ) -> Joined {
        let version = if call.version >= PRODUCE_BUMPS { Version::Bumping } else { Version::Classic };
        let unjoined = self.unjoined(call, image, topics, version);
        let Some(identity) = unjoined.first().map(|first| first.identity) else { return Joined::default() };
        let mut answers = BTreeMap::new();
        let (own, strange): (Vec<Unjoined>, Vec<Unjoined>) =
            unjoined.into_iter().partition(|one| one.identity == identity);
        for Unjoined { key, .. } in strange {
            let message = "a produce request has batches of one transactional producer only";
            answers.insert(key, Err(Failure::new(ResponseError::InvalidRequest, message)));
        }
        let partitions: BTreeSet<Partition> = own.iter().map(|one| one.partition.clone()).collect();
        let transactor = Transactor { id: id.to_owned(), identity, version };
        let answer = self.coordinator.join_transaction(&transactor, &partitions).await;
        let answer = answer.map_err(|error| refusal(error.into(), call.version));
        answers.extend(own.into_iter().map(|one| (one.key, answer.clone().map(|()| one.guard))));
        Joined(answers)
    }

    fn unjoined(&self, call: &Call<'_>, image: &Image, data: &[TopicProduceData], version: Version) -> Vec<Unjoined> {
        let mut unjoined = Vec::new();
        for topic in data {
            let found = match call.version >= PRODUCE_BY_ID {
                true => topics::of_id(image, TopicId(topic.topic_id)),
                false => topics::named(image, &topic.name),
            };
            let Ok(found) = found else { continue };
            for partition in &topic.partition_data {
                let Some(first) = partition.records.as_ref().and_then(transactional) else { continue };
                let Ok(handle) = self.partition_of(found, partition.index) else { continue };
                let identity = Identity { producer: first.producer_id(), epoch: first.producer_epoch() };
                let asked = Unverified {
                    producer: identity.producer,
                    epoch: identity.epoch,
                    first_sequence: first.base_sequence(),
                    bumps: version.bumps(),
                };
                let partition = Partition { topic: found.name.to_string(), index: partition.index };
                let key = (found.id, partition.index);
                unjoined.extend(handle.verify(&asked).map(|guard| Unjoined { key, partition, guard, identity }));
            }
        }
        unjoined
    }
}

/// The header of a first batch that is part of a transaction. Whether the batch is sound is found out at the door.
fn transactional(records: &bytes::Bytes) -> Option<Batch> {
    let header = records.get(..BATCH_HEADER_BYTES).map(|_| records.slice(..BATCH_HEADER_BYTES))?;
    Batch::header(&header).ok().filter(Batch::is_transactional)
}

/// Whether records begin with a batch that is part of a transaction.
pub(crate) fn is_transactional(records: &bytes::Bytes) -> bool {
    // The flag of a batch in the one format there is; whether the batch is sound is found out at the door.
    const MAGIC: (usize, u8) = (16, 2);
    const FLAG: (usize, u8) = (22, 1 << 4);
    let byte = |at: usize| records.get(at).copied().unwrap_or_default();
    byte(MAGIC.0) == MAGIC.1 && byte(FLAG.0) & FLAG.1 != 0
}

/// What a producer is told when its partition could not join: codes that it takes for what they mean, as Kafka chooses them.
fn refusal(failure: Failure, version: i16) -> Failure {
    use ResponseError as E;
    let code = match failure.code {
        E::ConcurrentTransactions if version >= PRODUCE_BUMPS => E::ConcurrentTransactions,
        // Older clients try again after this one, and without asking for metadata first.
        E::ConcurrentTransactions | E::CoordinatorLoadInProgress | E::CoordinatorNotAvailable | E::NotCoordinator => {
            E::NotEnoughReplicas
        }
        E::ProducerFenced => E::InvalidProducerEpoch,
        E::TransactionAbortable if version < PRODUCE_TELLS_ABORTABLE => E::InvalidTxnState,
        code => code,
    };
    Failure { code, ..failure }
}
