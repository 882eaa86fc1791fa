//! ListConfigResources: what has options (KIP-1142). Its version 0 is ListClientMetricsResources, and lists those alone.

use crate::handlers::describe_configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::service::{Broker, Call};
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use millstream_protocol::{ResponseError, StrBytes};

/// Kinds that may be asked for.
const KINDS: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];
/// Requests name kinds from this version on.
const NAMES_KINDS: i16 = 1;

impl Broker {
    /// Answers ListConfigResources.
    pub(crate) fn list_config_resources(
        &self,
        call: &Call<'_>,
        request: &ListConfigResourcesRequest,
    ) -> ListConfigResourcesResponse {
        let kinds = match call.version {
            NAMES_KINDS.. if request.resource_types.is_empty() => &KINDS[..],
            NAMES_KINDS.. => &request.resource_types,
            _ => &[CLIENT_METRICS],
        };
        if kinds.iter().any(|kind| !KINDS.contains(kind)) {
            return ListConfigResourcesResponse::default().with_error_code(ResponseError::UnsupportedVersion.code());
        }
        let image = self.image();
        let mut resources = Vec::new();
        let mut list = |kind: i8, names: Vec<String>| {
            let names = names.into_iter().filter(|_| kinds.contains(&kind));
            resources.extend(names.map(|name| {
                ConfigResource::default().with_resource_name(StrBytes::from_string(name)).with_resource_type(kind)
            }));
        };
        let brokers = || image.brokers().map(|broker| broker.id.to_string()).collect::<Vec<_>>();
        list(GROUP, image.groups_with_options().map(ToString::to_string).collect());
        list(CLIENT_METRICS, image.client_metrics().keys().map(ToString::to_string).collect());
        list(BROKER_LOGGER, brokers());
        list(BROKER, brokers());
        list(TOPIC, image.topics().map(|topic| topic.name.to_string()).collect());
        ListConfigResourcesResponse::default().with_config_resources(resources)
    }
}
