//! IncrementalAlterConfigs, and AlterConfigs before it, which replaces all options of a resource.

use crate::codes::Failure;
use crate::handlers::describe_configs::{BROKER, TOPIC};
use crate::service::Broker;
use kafka_protocol::messages::alter_configs_request::AlterConfigsRequest;
use kafka_protocol::messages::alter_configs_response::{
    AlterConfigsResourceResponse as Replaced, AlterConfigsResponse,
};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterableConfig, IncrementalAlterConfigsRequest};
use kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as Altered, IncrementalAlterConfigsResponse,
};
use millstream_metadata::configs::{Alter, Operation, Resource, incremental_alter, replace};
use millstream_metadata::topics::{TopicRef, check_name};
use millstream_protocol::{ResponseError, StrBytes};
use millstream_types::BROKER_CONFIGS;
use std::collections::{BTreeMap, BTreeSet};

impl Broker {
    /// Answers IncrementalAlterConfigs.
    pub(crate) async fn incremental_alter_configs(
        &self,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let mut seen = BTreeSet::new();
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let (kind, name) = (resource.resource_type, resource.resource_name);
            let done = match seen.insert((kind, name.clone())) {
                true => self.alter(kind, &name, &resource.configs, request.validate_only).await,
                false => Err(Failure::new(ResponseError::InvalidRequest, "the resource is named twice in one request")),
            };
            let response = Altered::default().with_resource_type(kind).with_resource_name(name);
            responses.push(match done {
                Ok(()) => response,
                Err(failure) => response.with_error_code(failure.code.code()).with_error_message(failure.text()),
            });
        }
        IncrementalAlterConfigsResponse::default().with_responses(responses)
    }

    /// Answers AlterConfigs.
    pub(crate) async fn alter_configs(&self, request: AlterConfigsRequest) -> AlterConfigsResponse {
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let (kind, name) = (resource.resource_type, resource.resource_name);
            let options = resource.configs.iter().map(|config| (config.name.clone(), config.value.clone()));
            let done = self.replace(kind, &name, options.collect(), request.validate_only).await;
            let response = Replaced::default().with_resource_type(kind).with_resource_name(name);
            responses.push(match done {
                Ok(()) => response,
                Err(failure) => response.with_error_code(failure.code.code()).with_error_message(failure.text()),
            });
        }
        AlterConfigsResponse::default().with_responses(responses)
    }

    async fn alter(
        &self,
        kind: i8,
        name: &str,
        configs: &[AlterableConfig],
        validate_only: bool,
    ) -> Result<(), Failure> {
        let resource = self.resource(kind, name, configs.iter().map(|config| config.name.as_str()))?;
        let changes: Vec<Alter> = configs.iter().map(change).collect::<Result<_, _>>()?;
        Ok(self.quorum.decide(move |image| incremental_alter(image, &resource, &changes, validate_only)).await?)
    }

    async fn replace(
        &self,
        kind: i8,
        name: &str,
        options: Vec<(StrBytes, Option<StrBytes>)>,
        validate_only: bool,
    ) -> Result<(), Failure> {
        let resource = self.resource(kind, name, options.iter().map(|(name, _)| name.as_str()))?;
        let mut values = BTreeMap::new();
        for (name, value) in options {
            let value = value.ok_or_else(|| no_value(&name))?;
            values.insert(name.to_string(), value.to_string());
        }
        Ok(self.quorum.decide(move |image| replace(image, &resource, &values, validate_only)).await?)
    }

    fn resource<'a>(&self, kind: i8, name: &str, options: impl Iterator<Item = &'a str>) -> Result<Resource, Failure> {
        match kind {
            TOPIC => {
                check_name(name)?;
                Ok(Resource::Topic(TopicRef::Name(name.to_owned())))
            }
            BROKER => {
                self.check_broker_options(name, options)?;
                Ok(Resource::Broker(None))
            }
            other => {
                let message = format!(
                    "options of resource type {other} can't be set here; expected {TOPIC} topic or {BROKER} broker"
                );
                Err(Failure::new(ResponseError::InvalidRequest, message))
            }
        }
    }

    /// While it runs, a broker takes defaults for topics, for all brokers alike. Its own options are read at start.
    fn check_broker_options<'a>(&self, name: &str, mut options: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        if !name.is_empty() {
            self.check_is_me(name)?;
            let message = "options are set for all brokers alike: name no broker (kafka-configs --entity-default)";
            return Err(Failure::new(ResponseError::InvalidRequest, message));
        }
        let fixed = options.find(|option| BROKER_CONFIGS.iter().any(|definition| definition.name == *option));
        match fixed {
            None => Ok(()),
            Some(option) => {
                let message = format!(
                    "{option} can't be changed while the broker runs: set it in its configuration and restart it"
                );
                Err(Failure::new(ResponseError::InvalidRequest, message))
            }
        }
    }
}

fn no_value(name: &str) -> Failure {
    Failure::new(ResponseError::InvalidRequest, format!("{name} has no value; name one, or delete the option"))
}

fn change(config: &AlterableConfig) -> Result<Alter, Failure> {
    let value = || config.value.as_ref().map(ToString::to_string).ok_or_else(|| no_value(&config.name));
    let operation = match config.config_operation {
        0 => Operation::Set(value()?),
        1 => Operation::Delete,
        2 => Operation::Append(value()?),
        3 => Operation::Subtract(value()?),
        other => {
            let message = format!(
                "{other} is not an operation on {}; expected 0 set, 1 delete, 2 append or 3 subtract",
                config.name
            );
            return Err(Failure::new(ResponseError::InvalidRequest, message));
        }
    };
    Ok(Alter { name: config.name.to_string(), operation })
}
