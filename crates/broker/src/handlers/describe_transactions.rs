//! DescribeTransactions.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::describe_transactions_response::{
    DescribeTransactionsResponse, TopicData, TransactionState,
};
use kafka_protocol::messages::{DescribeTransactionsRequest, ProducerId as WireProducer, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use millstream_txn::Transaction;
use std::collections::BTreeMap;

impl Broker {
    /// Answers DescribeTransactions.
    pub(crate) fn describe_transactions(&self, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
        let describe = |id: TransactionalId| match self.coordinator.describe_transaction(&id) {
            Ok(transaction) => described(id, &transaction),
            Err(error) => {
                TransactionState::default().with_transactional_id(id).with_error_code(Failure::from(error).code.code())
            }
        };
        let states = request.transactional_ids.into_iter().map(describe).collect();
        DescribeTransactionsResponse::default().with_transaction_states(states)
    }
}

fn described(id: TransactionalId, transaction: &Transaction) -> TransactionState {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in &transaction.partitions {
        topics.entry(&partition.topic).or_default().push(partition.index);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        TopicData::default().with_topic(name).with_partitions(partitions)
    });
    TransactionState::default()
        .with_transactional_id(id)
        .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
        .with_transaction_timeout_ms(transaction.timeout_ms)
        .with_transaction_start_time_ms(transaction.started_at.0)
        .with_producer_id(WireProducer(transaction.producer.0))
        .with_producer_epoch(transaction.epoch.0)
        .with_topics(topics.collect())
}
