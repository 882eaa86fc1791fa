//! DescribeCluster: who is here.

use crate::endpoints;
use crate::operations;
use crate::service::{Broker, Call};
use kafka_protocol::messages::BrokerId as WireBroker;
use kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use millstream_protocol::ResponseError;

/// Kafka's number for "tell of the brokers".
const BROKERS: i8 = 1;
/// Kafka's number for "tell of the controllers", which only a controller's listener does.
const CONTROLLERS: i8 = 2;

impl Broker {
    /// Answers DescribeCluster.
    pub(crate) fn describe_cluster(
        &self,
        call: &Call<'_>,
        request: &DescribeClusterRequest,
    ) -> DescribeClusterResponse {
        let response = DescribeClusterResponse::default();
        let refused = match request.endpoint_type {
            BROKERS => None,
            CONTROLLERS => {
                Some((ResponseError::MismatchedEndpointType, "controllers are told of at a controller's listener"))
            }
            _ => Some((ResponseError::UnsupportedEndpointType, "the endpoint type is unknown; expected 1 brokers")),
        };
        if let Some((code, message)) = refused {
            return response.with_error_code(code.code()).with_error_message(Some(message.into()));
        }
        let image = self.image();
        let brokers = image
            .brokers()
            .filter(|broker| request.include_fenced_brokers || !broker.fenced)
            .filter_map(|broker| endpoints::on(broker, call.listener));
        let brokers = brokers.map(|endpoint| {
            DescribeClusterBroker::default()
                .with_broker_id(WireBroker(endpoint.broker.0))
                .with_host(endpoint.host.to_owned().into())
                .with_port(i32::from(endpoint.port))
                .with_rack(endpoint.rack.map(|rack| rack.to_owned().into()))
                .with_is_fenced(endpoint.fenced)
        });
        let mut response = response
            .with_cluster_id(image.cluster_id().map(|id| id.to_string()).unwrap_or_default().into())
            .with_controller_id(WireBroker(self.settings.node.0))
            .with_brokers(brokers.collect());
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = operations::CLUSTER;
        }
        response
    }
}
