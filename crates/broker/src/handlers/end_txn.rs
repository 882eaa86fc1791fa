//! EndTxn: commits or aborts a transaction.

use crate::service::{Broker, Call};
use crate::transactions::{code, transactor};
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId as WireProducer};
use millstream_txn::{Identity, Outcome, Version};

/// Clients bump epochs from this version on (KIP-890).
const BUMPS: i16 = 5;
/// PRODUCER_FENCED is told from this version on.
const TELLS_FENCED: i16 = 2;

impl Broker {
    /// Answers EndTxn, when the decision is written.
    pub(crate) async fn end_txn(&self, call: &Call<'_>, request: EndTxnRequest) -> EndTxnResponse {
        let version = if call.version >= BUMPS { Version::Bumping } else { Version::Classic };
        let identity = (request.producer_id, request.producer_epoch);
        let transactor = transactor(&request.transactional_id, identity, version);
        let outcome = if request.committed { Outcome::Commit } else { Outcome::Abort };
        match self.coordinator.end_transaction(&transactor, outcome).await {
            Ok(Identity { producer, epoch }) => {
                let response = EndTxnResponse::default();
                match version {
                    Version::Bumping => {
                        response.with_producer_id(WireProducer(producer.0)).with_producer_epoch(epoch.0)
                    }
                    Version::Classic => response,
                }
            }
            Err(error) => EndTxnResponse::default().with_error_code(code(error, call.version >= TELLS_FENCED)),
        }
    }
}
