//! DescribeConfigs: the options of topics, brokers and groups, with where each value comes from.

use crate::codes::Failure;
use crate::config_views::{self, View};
use crate::service::Broker;
use crate::topics;
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use millstream_protocol::{ResponseError, StrBytes};

/// Kafka's numbers of resource types.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
pub(crate) const BROKER_LOGGER: i8 = 8;
pub(crate) const CLIENT_METRICS: i8 = 16;
pub(crate) const GROUP: i8 = 32;
const KINDS: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

impl Broker {
    /// Answers DescribeConfigs.
    pub(crate) fn describe_configs(&self, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        if request.resources.iter().any(|resource| !KINDS.contains(&resource.resource_type)) {
            return refused(request);
        }
        let (synonyms, docs) = (request.include_synonyms, request.include_documentation);
        let results = request.resources.into_iter().map(|resource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            let told = match resource.resource_type {
                BROKER_LOGGER => self.loggers(&resource.resource_name),
                _ => self
                    .views(&resource)
                    .map(|views| views.into_iter().map(|view| describe(view, synonyms, docs)).collect::<Vec<_>>()),
            };
            match told {
                Ok(mut configs) => {
                    configs.retain(|config| is_wanted(&resource, config));
                    result.with_configs(configs)
                }
                Err(failure) => result.with_error_code(failure.code.code()).with_error_message(failure.text()),
            }
        });
        DescribeConfigsResponse::default().with_results(results.collect())
    }

    fn views(&self, resource: &DescribeConfigsResource) -> Result<Vec<View>, Failure> {
        let image = self.image();
        let name = resource.resource_name.as_str();
        match resource.resource_type {
            TOPIC => {
                millstream_metadata::topics::check_name(name)?;
                Ok(config_views::of_topic(&image, &topics::named(&image, name)?.overrides))
            }
            BROKER if name.is_empty() => Ok(config_views::of_all_brokers(&image)),
            BROKER => {
                self.check_is_me(name)?;
                Ok(config_views::of_broker(&image, self.settings.node, &self.settings.given, &self.settings.told))
            }
            CLIENT_METRICS if name.is_empty() => {
                let message = "a subscription to client metrics needs a name";
                Err(Failure::new(ResponseError::InvalidRequest, message))
            }
            CLIENT_METRICS => Ok(config_views::of_client_metrics(&image, name)),
            GROUP if name.is_empty() => {
                Err(Failure::new(ResponseError::InvalidRequest, "a group's options need the group's name"))
            }
            GROUP => Ok(config_views::of_group(&image, name)),
            other => {
                let message = format!(
                    "resources of type {other} have no options here; expected {TOPIC} topic, {BROKER} broker or {GROUP} group"
                );
                Err(Failure::new(ResponseError::InvalidRequest, message))
            }
        }
    }

    /// A broker answers for itself only.
    pub(crate) fn check_is_me(&self, name: &str) -> Result<(), Failure> {
        let node = self.settings.node;
        match name.parse::<i32>() {
            Ok(id) if id == node.0 => Ok(()),
            Ok(id) => {
                let message =
                    format!("broker {id} was asked for at broker {node}: ask broker {id}, or name none for all");
                Err(Failure::new(ResponseError::InvalidRequest, message))
            }
            Err(_) => Err(Failure::new(
                ResponseError::InvalidRequest,
                format!("{name:?} is not a broker id, which is an integer"),
            )),
        }
    }
}

/// A request with a resource that has no options anywhere: no part of it is answered.
fn refused(request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let message = "the request names a resource type that has no options; expected 2 topic, 4 broker, 8 loggers, 16 client metrics or 32 group";
        DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_error_message(Some(message.into()))
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn is_wanted(resource: &DescribeConfigsResource, config: &DescribeConfigsResourceResult) -> bool {
    match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.contains(&config.name),
        Some(_) | None => true,
    }
}

fn describe(view: View, synonyms: bool, docs: bool) -> DescribeConfigsResourceResult {
    let kind = config_views::kind(&view);
    let mut result = DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_string(view.definition_name.into_owned()))
        .with_is_sensitive(view.is_secret)
        .with_value(view.value.map(Into::into))
        .with_read_only(view.read_only)
        .with_config_source(view.source.wire())
        .with_config_type(kind);
    if synonyms {
        let told = view.synonyms.into_iter().map(|(name, value, source)| {
            DescribeConfigsSynonym::default()
                .with_name(StrBytes::from_string(name.into_owned()))
                .with_value(Some(value.into()))
                .with_source(source.wire())
        });
        result.synonyms = told.collect();
    }
    if docs {
        result.documentation = Some(view.doc.into());
    }
    result
}
