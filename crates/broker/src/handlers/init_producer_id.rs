//! InitProducerId: an id for an idempotent producer.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId as WireProducer};
use millstream_protocol::ResponseError;
use millstream_types::{ProducerEpoch, ProducerId};

impl Broker {
    /// Answers InitProducerId.
    pub(crate) async fn init_producer_id(&self, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let transactional_id = request.transactional_id.as_ref().map(|id| id.as_str());
        let given = match transactional_id {
            Some("") => {
                Err(Failure::new(ResponseError::InvalidRequest, "an empty transactional.id; leave it out or name one"))
            }
            id => self.coordinator.init_producer_id(id).await.map_err(Failure::from),
        };
        let (code, producer, epoch) = match given {
            Ok((producer, epoch)) => (0, producer, epoch),
            Err(failure) => {
                // The response has no place for words: here they are for whoever runs the node.
                tracing::warn!(transactional_id, reason = %failure.message, "no producer id was given");
                (failure.code.code(), ProducerId::NONE, ProducerEpoch::NONE)
            }
        };
        InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id(WireProducer(producer.0))
            .with_producer_epoch(epoch.0)
    }
}
