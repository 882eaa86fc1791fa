//! InitProducerId: an id for an idempotent producer, or for one that takes a transactional id over.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use crate::transactions::told;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId as WireProducer};
use millstream_protocol::ResponseError;
use millstream_txn::Identity;
use millstream_types::{ProducerEpoch, ProducerId};

/// PRODUCER_FENCED is told from this version on.
const TELLS_FENCED: i16 = 4;

impl Broker {
    /// Answers InitProducerId.
    pub(crate) async fn init_producer_id(
        &self,
        call: &Call<'_>,
        request: InitProducerIdRequest,
    ) -> InitProducerIdResponse {
        let transactional_id = request.transactional_id.as_ref().map(|id| id.as_str());
        let (code, Identity { producer, epoch }) = match self.init(&request).await {
            Ok(identity) => (0, identity),
            Err(failure) => {
                // The response has no place for words: here they are for whoever runs the node.
                tracing::debug!(transactional_id, reason = %failure.message, "no producer id was given");
                (told(failure.code, call.version >= TELLS_FENCED).code(), Identity::NONE)
            }
        };
        InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id(WireProducer(producer.0))
            .with_producer_epoch(epoch.0)
    }

    async fn init(&self, request: &InitProducerIdRequest) -> Result<Identity, Failure> {
        let expected =
            Identity { producer: ProducerId(request.producer_id.0), epoch: ProducerEpoch(request.producer_epoch) };
        let (has_id, has_epoch) = (expected.producer != ProducerId::NONE, expected.epoch != ProducerEpoch::NONE);
        if has_id != has_epoch {
            let message = "a producer id comes with an epoch, and an epoch with a producer id";
            return Err(Failure::new(ResponseError::InvalidRequest, message));
        }
        match request.transactional_id.as_ref().map(|id| id.as_str()) {
            None => {
                let (producer, epoch) = self.coordinator.init_producer_id().await?;
                Ok(Identity { producer, epoch })
            }
            Some(id) => {
                let expected = has_id.then_some(expected);
                Ok(self.coordinator.init_transactional(id, request.transaction_timeout_ms, expected).await?)
            }
        }
    }
}
