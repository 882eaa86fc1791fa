//! UnregisterBroker: forgets a broker that is gone for good.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use millstream_metadata::brokers::unregister;
use millstream_types::BrokerId;

impl Broker {
    /// Answers UnregisterBroker.
    pub(crate) async fn unregister_broker(&self, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
        let broker = BrokerId(request.broker_id.0);
        match self.quorum.decide(move |image| unregister(image, broker)).await {
            Ok(()) => UnregisterBrokerResponse::default().with_error_message(None),
            Err(error) => {
                let failure = Failure::from(error);
                let code = failure.code.code();
                UnregisterBrokerResponse::default().with_error_code(code).with_error_message(failure.text())
            }
        }
    }
}
