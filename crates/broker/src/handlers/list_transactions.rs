//! ListTransactions: those that this broker coordinates.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::list_transactions_response::{ListTransactionsResponse, TransactionState};
use kafka_protocol::messages::{ListTransactionsRequest, ProducerId as WireProducer, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use millstream_protocol::ResponseError;
use millstream_txn::{ListFilter, TransactionState as State};
use millstream_types::ProducerId;
use regex::{Regex, RegexBuilder};

/// Bytes of a compiled pattern at most.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Broker {
    /// Answers ListTransactions.
    pub(crate) fn list_transactions(&self, request: ListTransactionsRequest) -> ListTransactionsResponse {
        let response = ListTransactionsResponse::default();
        let pattern = request.transactional_id_pattern.filter(|pattern| !pattern.is_empty());
        let Ok(pattern) = pattern.map(|pattern| compile(&pattern)).transpose() else {
            return response.with_error_code(ResponseError::InvalidRegularExpression.code());
        };
        let (known, unknown): (Vec<StrBytes>, Vec<StrBytes>) =
            request.state_filters.into_iter().partition(|name| State::of_name(name).is_some());
        let response = response.with_unknown_state_filters(unknown.clone());
        let filter = ListFilter {
            states: known.iter().filter_map(|name| State::of_name(name)).collect(),
            producers: request.producer_id_filters.iter().map(|producer| ProducerId(producer.0)).collect(),
            longer_than_ms: request.duration_filter,
        };
        // Filters that name no state there is let nothing through.
        if filter.states.is_empty() && !unknown.is_empty() {
            return response;
        }
        match self.coordinator.list_transactions(&filter) {
            Err(error) => response.with_error_code(Failure::from(error).code.code()),
            Ok(found) => {
                let passes = |id: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(id));
                let states = found.into_iter().filter(|(id, _)| passes(id)).map(|(id, transaction)| {
                    TransactionState::default()
                        .with_transactional_id(TransactionalId(StrBytes::from_string(id.to_string())))
                        .with_producer_id(WireProducer(transaction.producer.0))
                        .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
                });
                response.with_transaction_states(states.collect())
            }
        }
    }
}

/// Kafka matches the whole id.
fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_BYTES_MAX).build()
}
