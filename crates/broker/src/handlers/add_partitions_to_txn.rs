//! AddPartitionsToTxn: from clients, and from version 4 on from brokers for several transactions, to add or only to verify.

use crate::service::{Broker, Call};
use crate::topics;
use crate::transactions::{code, transactor};
use kafka_protocol::messages::TransactionalId;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
};
use millstream_coordinator::{Error, Transactor};
use millstream_protocol::ResponseError;
use millstream_txn::{Partition, Version};
use std::collections::BTreeSet;

/// Several transactions come from this version on, from brokers.
const BATCHED: i16 = 4;
/// PRODUCER_FENCED is told from this version on.
const TELLS_FENCED: i16 = 2;
/// TRANSACTION_ABORTABLE is told from this version on.
const TELLS_ABORTABLE: i16 = 5;

impl Broker {
    /// Answers AddPartitionsToTxn, when what was added is written.
    pub(crate) async fn add_partitions_to_txn(
        &self,
        call: &Call<'_>,
        request: AddPartitionsToTxnRequest,
    ) -> AddPartitionsToTxnResponse {
        if call.version < BATCHED {
            let transaction = AddPartitionsToTxnTransaction::default()
                .with_transactional_id(request.v3_and_below_transactional_id)
                .with_producer_id(request.v3_and_below_producer_id)
                .with_producer_epoch(request.v3_and_below_producer_epoch)
                .with_topics(request.v3_and_below_topics);
            let results = self.add_to_one(call, &transaction, Version::Classic).await;
            return AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results);
        }
        let mut seen: BTreeSet<&TransactionalId> = BTreeSet::new();
        if !request.transactions.iter().all(|transaction| seen.insert(&transaction.transactional_id)) {
            return AddPartitionsToTxnResponse::default().with_error_code(ResponseError::InvalidRequest.code());
        }
        let mut results = Vec::with_capacity(request.transactions.len());
        for transaction in request.transactions {
            let topic_results = match transaction.verify_only {
                true => self.verify_one(call, &transaction),
                false => self.add_to_one(call, &transaction, Version::Bumping).await,
            };
            results.push(
                AddPartitionsToTxnResult::default()
                    .with_transactional_id(transaction.transactional_id)
                    .with_topic_results(topic_results),
            );
        }
        AddPartitionsToTxnResponse::default().with_results_by_transaction(results)
    }

    /// Adds all partitions, or none: where one is unknown the others are not attempted.
    async fn add_to_one(
        &self,
        call: &Call<'_>,
        transaction: &AddPartitionsToTxnTransaction,
        version: Version,
    ) -> Vec<AddPartitionsToTxnTopicResult> {
        if let Some(refused) = self.refused(call, transaction) {
            return refused;
        }
        let answer = self.coordinator.add_partitions(&who(transaction, version), partitions(transaction)).await;
        let code = answer.map_or_else(|error| code(error, call.version >= TELLS_FENCED), |()| 0);
        results(&transaction.topics, |_, _| code)
    }

    /// What is answered where a partition can't be part of a transaction.
    fn refused(
        &self,
        call: &Call<'_>,
        transaction: &AddPartitionsToTxnTransaction,
    ) -> Option<Vec<AddPartitionsToTxnTopicResult>> {
        let image = self.image();
        let refusal = |topic: &AddPartitionsToTxnTopic, index: i32| match () {
            // Nobody but the brokers writes there, which Kafka tells clients as a want of permission.
            () if call.version < BATCHED && topics::is_internal(&topic.name) => {
                Some(ResponseError::TopicAuthorizationFailed)
            }
            () if !topics::has_partition(&image, &topic.name, index) => Some(ResponseError::UnknownTopicOrPartition),
            () => None,
        };
        let is_refused =
            |topic: &AddPartitionsToTxnTopic| topic.partitions.iter().any(|index| refusal(topic, *index).is_some());
        transaction.topics.iter().any(is_refused).then(|| {
            results(&transaction.topics, |topic, index| {
                refusal(topic, index).unwrap_or(ResponseError::OperationNotAttempted).code()
            })
        })
    }

    fn verify_one(
        &self,
        call: &Call<'_>,
        transaction: &AddPartitionsToTxnTransaction,
    ) -> Vec<AddPartitionsToTxnTopicResult> {
        if let Some(refused) = self.refused(call, transaction) {
            return refused;
        }
        let asked = partitions(transaction);
        let added: Result<BTreeSet<Partition>, Error> =
            self.coordinator.added_partitions(&who(transaction, Version::Classic), &asked);
        match added {
            Err(error) => {
                let code = code(error, true);
                results(&transaction.topics, |_, _| code)
            }
            Ok(added) => results(&transaction.topics, |topic, index| {
                let partition = Partition { topic: topic.name.to_string(), index };
                match added.contains(&partition) {
                    true => 0,
                    false if call.version >= TELLS_ABORTABLE => ResponseError::TransactionAbortable.code(),
                    false => ResponseError::InvalidTxnState.code(),
                }
            }),
        }
    }
}

fn who(transaction: &AddPartitionsToTxnTransaction, version: Version) -> Transactor {
    transactor(&transaction.transactional_id, (transaction.producer_id, transaction.producer_epoch), version)
}

fn partitions(transaction: &AddPartitionsToTxnTransaction) -> BTreeSet<Partition> {
    let of_topic = |topic: &AddPartitionsToTxnTopic| {
        let name = topic.name.to_string();
        topic.partitions.clone().into_iter().map(move |index| Partition { topic: name.clone(), index })
    };
    transaction.topics.iter().flat_map(of_topic).collect()
}

fn results(
    topics: &[AddPartitionsToTxnTopic],
    code: impl Fn(&AddPartitionsToTxnTopic, i32) -> i16,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let of_topic = |topic: &AddPartitionsToTxnTopic| {
        let partitions = topic.partitions.iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code(topic, *index))
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    };
    topics.iter().filter(|topic| !topic.partitions.is_empty()).map(of_topic).collect()
}
