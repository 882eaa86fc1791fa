//! IncrementalAlterConfigs, and AlterConfigs before it, which replaces all options of a resource.

use crate::client_metrics::subscription::check_patterns;
use crate::codes::Failure;
use crate::handlers::describe_configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::service::Broker;
use kafka_protocol::messages::alter_configs_request::AlterConfigsRequest;
use kafka_protocol::messages::alter_configs_response::{
    AlterConfigsResourceResponse as Replaced, AlterConfigsResponse,
};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterableConfig, IncrementalAlterConfigsRequest};
use kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as Altered, IncrementalAlterConfigsResponse,
};
use millstream_metadata::client_metrics::{self, MATCH};
use millstream_metadata::configs::{Alter, Operation, Resource, incremental_alter, replace};
use millstream_metadata::topics::{TopicRef, check_name};
use millstream_net::address_counts;
use millstream_protocol::{ResponseError, StrBytes};
use millstream_types::BROKER_CONFIGS;
use std::collections::{BTreeMap, BTreeSet};

/// Options of the broker that it takes, or not, by how it runs.
const THREADS: &str = "log.cleaner.threads";
const OVERRIDES: &str = "max.connections.per.ip.overrides";

impl Broker {
    /// Answers IncrementalAlterConfigs.
    pub(crate) async fn incremental_alter_configs(
        &self,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<(i8, StrBytes)> = request
            .resources
            .iter()
            .map(|resource| (resource.resource_type, resource.resource_name.clone()))
            .filter(|resource| !seen.insert(resource.clone()))
            .collect();
        let checked: Vec<Result<(), Failure>> = request
            .resources
            .iter()
            .map(|resource| {
                let (kind, name) = (resource.resource_type, resource.resource_name.clone());
                if twice.contains(&(kind, name.clone())) {
                    return Err(Failure::new(
                        ResponseError::InvalidRequest,
                        "the resource is named twice in one request",
                    ));
                }
                self.check_resource(kind, &name)
            })
            .collect();
        // Kafka fails with everything that its controller would have done where one operation is none.
        let well = request.resources.iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
        let unknown = well.flat_map(|(resource, _)| &resource.configs).find_map(|config| operation(config).err());
        let mut responses = Vec::with_capacity(request.resources.len());
        for (resource, checked) in request.resources.into_iter().zip(checked) {
            let (kind, name) = (resource.resource_type, resource.resource_name);
            let done = match (checked, &unknown) {
                (Err(failure), _) => Err(failure),
                (Ok(()), Some(failure)) if kind != BROKER_LOGGER => Err(failure.clone()),
                (Ok(()), _) => self.alter(kind, &name, &resource.configs, request.validate_only).await,
            };
            let response = Altered::default().with_resource_type(kind).with_resource_name(name);
            responses.push(match done {
                Ok(()) => response,
                Err(failure) => response.with_error_code(failure.code.code()).with_error_message(failure.text()),
            });
        }
        IncrementalAlterConfigsResponse::default().with_responses(responses)
    }

    /// What a broker sees of itself, before anything is asked of the controller.
    fn check_resource(&self, kind: i8, name: &str) -> Result<(), Failure> {
        match kind {
            TOPIC | BROKER_LOGGER | CLIENT_METRICS | GROUP => Ok(()),
            BROKER if name.is_empty() => Ok(()),
            BROKER => self.check_is_me(name),
            other => Err(no_options(other)),
        }
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
        if kind == BROKER_LOGGER {
            return self.alter_loggers(name, configs, validate_only);
        }
        let changes: Vec<Alter> = configs.iter().map(change).collect::<Result<_, _>>()?;
        if kind == CLIENT_METRICS {
            return self.alter_client_metrics(name, changes, validate_only).await;
        }
        let resource = self.resource(kind, name, configs.iter().map(|config| config.name.as_str()))?;
        if kind == BROKER {
            let set = configs.iter().filter(|config| config.config_operation != DELETE);
            self.check_running(set.filter_map(|config| Some((config.name.as_str(), config.value.as_deref()?))))?;
        }
        Ok(self.quorum.decide(move |image| incremental_alter(image, &resource, &changes, validate_only)).await?)
    }

    async fn replace(
        &self,
        kind: i8,
        name: &str,
        options: Vec<(StrBytes, Option<StrBytes>)>,
        validate_only: bool,
    ) -> Result<(), Failure> {
        let mut values = BTreeMap::new();
        for (name, value) in &options {
            let value = value.as_ref().ok_or_else(|| no_value(name))?;
            values.insert(name.to_string(), value.to_string());
        }
        if kind == CLIENT_METRICS {
            let set = values.into_iter().map(|(name, value)| Alter { name, operation: Operation::Set(value) });
            let image = self.image();
            let before = image.client_metrics().get(name).map(|options| (**options).clone()).unwrap_or_default();
            let unset = before.into_keys().filter(|name| !options.iter().any(|(option, _)| option.as_str() == name));
            let unset = unset.map(|name| Alter { name, operation: Operation::Delete });
            return self.alter_client_metrics(name, set.chain(unset).collect(), validate_only).await;
        }
        let resource = self.resource(kind, name, options.iter().map(|(name, _)| name.as_str()))?;
        if kind == BROKER {
            self.check_running(values.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        }
        Ok(self.quorum.decide(move |image| replace(image, &resource, &values, validate_only)).await?)
    }

    async fn alter_client_metrics(&self, name: &str, changes: Vec<Alter>, validate_only: bool) -> Result<(), Failure> {
        let patterns = changes.iter().filter(|change| change.name == MATCH);
        for change in patterns {
            if let Operation::Set(text) = &change.operation {
                check_patterns(text).map_err(|reason| Failure::new(ResponseError::InvalidConfig, reason))?;
            }
        }
        Ok(self.quorum.decide(move |image| client_metrics::alter(image, name, &changes, validate_only)).await?)
    }

    fn resource<'a>(&self, kind: i8, name: &str, options: impl Iterator<Item = &'a str>) -> Result<Resource, Failure> {
        match kind {
            TOPIC if name.is_empty() => {
                let message = "topics have no options all together; name a topic, or set its brokers' default";
                Err(Failure::new(ResponseError::InvalidRequest, message))
            }
            TOPIC => {
                check_name(name)?;
                Ok(Resource::Topic(TopicRef::Name(name.to_owned())))
            }
            BROKER => {
                self.check_broker_options(name, options)?;
                Ok(Resource::Broker((!name.is_empty()).then_some(self.settings.node)))
            }
            GROUP => Ok(Resource::Group(name.to_owned())),
            other => Err(no_options(other)),
        }
    }

    /// While it runs, a broker takes defaults for topics, its own or those of all brokers, and a few options of its own. The others are read at
    /// start.
    fn check_broker_options<'a>(&self, name: &str, mut options: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        if !name.is_empty() {
            self.check_is_me(name)?;
        }
        let fixed = options
            .find(|option| BROKER_CONFIGS.iter().any(|definition| definition.name == *option && !definition.dynamic));
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

/// Workers of compaction as they are to be: as in Kafka, at most twice as many as they are, and at least half.
fn check_threads(text: &str, now: i64) -> Result<(), String> {
    // What is no number is refused with all others that are none.
    let Ok(wanted) = text.trim().parse::<i64>() else { return Ok(()) };
    if wanted < 1 {
        return Err(format!("{THREADS} is {wanted}; expected at least 1"));
    }
    if wanted < now / 2 || wanted > now * 2 {
        let (least, most) = (now / 2, now * 2);
        return Err(format!("{THREADS} is {wanted}; it is {now} now, and may be set to {least} to {most} at a time"));
    }
    Ok(())
}

impl Broker {
    /// Whether the broker, as it runs, can take these options of its own.
    fn check_running<'a>(&self, mut options: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Failure> {
        let wrong = options.find_map(|(name, value)| match name {
            THREADS => {
                let image = self.image();
                let given = || self.settings.given.get(THREADS).map(String::as_str);
                let now = image.broker_option(self.settings.node, THREADS).or_else(given);
                check_threads(value, now.and_then(|now| now.trim().parse().ok()).unwrap_or(1)).err()
            }
            OVERRIDES => address_counts(value).err(),
            _ => None,
        });
        wrong.map_or(Ok(()), |message| Err(Failure::new(ResponseError::InvalidRequest, message)))
    }
}

fn no_options(kind: i8) -> Failure {
    let message = format!(
        "options of resource type {kind} can't be set here; expected {TOPIC} topic, {BROKER} broker or {GROUP} group"
    );
    Failure::new(ResponseError::InvalidRequest, message)
}

fn no_value(name: &str) -> Failure {
    Failure::new(ResponseError::InvalidRequest, format!("{name} has no value; name one, or delete the option"))
}

/// The operations' numbers on the wire: never renumber.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn operation(config: &AlterableConfig) -> Result<i8, Failure> {
    match config.config_operation {
        known @ (SET | DELETE | APPEND | SUBTRACT) => Ok(known),
        other => {
            let message = format!(
                "{other} is not an operation on {}; expected 0 set, 1 delete, 2 append or 3 subtract",
                config.name
            );
            // Kafka has no code of its own for what it does not know here.
            Err(Failure::new(ResponseError::UnknownServerError, message))
        }
    }
}

fn change(config: &AlterableConfig) -> Result<Alter, Failure> {
    let value = || config.value.as_ref().map(ToString::to_string).ok_or_else(|| no_value(&config.name));
    let operation = match operation(config)? {
        SET => Operation::Set(value()?),
        APPEND => Operation::Append(value()?),
        SUBTRACT => Operation::Subtract(value()?),
        _ => Operation::Delete,
    };
    Ok(Alter { name: config.name.to_string(), operation })
}
