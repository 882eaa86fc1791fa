//! The levels of this broker's log as a resource with options: IncrementalAlterConfigs and DescribeConfigs of type 8.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use millstream_protocol::{ResponseError, StrBytes};
use millstream_telemetry::{Error, loggers};
use std::collections::BTreeSet;

// What is done to a level: the wire's numbers, never renumber.
const SET: i8 = 0;
const DELETE: i8 = 1;
/// Kafka's number for "set for a logger".
const SOURCE: i8 = 6;

impl Broker {
    /// Sets the levels of loggers, all or none.
    pub(crate) fn alter_loggers(
        &self,
        name: &str,
        configs: &[AlterableConfig],
        validate_only: bool,
    ) -> Result<(), Failure> {
        self.check_is_me(name)?;
        let refuse = |message: String| Err(Failure::new(ResponseError::InvalidRequest, message));
        let mut seen = BTreeSet::new();
        let mut changes = Vec::with_capacity(configs.len());
        for config in configs {
            let logger = config.name.to_string();
            if !seen.insert(&config.name) {
                return refuse(format!("the logger {logger:?} is named twice"));
            }
            let level = match (config.config_operation, &config.value) {
                (DELETE, _) => None,
                (SET, Some(level)) => Some(level.to_string()),
                (SET, None) => {
                    return refuse(format!("the logger {logger:?} is given no level; name one or delete it"));
                }
                (other, _) => {
                    return refuse(format!("{other} is nothing to do to a level; expected 0 set or 1 delete"));
                }
            };
            loggers::check(&logger, level.as_deref()).map_err(failure)?;
            changes.push((logger, level));
        }
        if validate_only {
            return Ok(());
        }
        loggers::set(&changes).map_err(failure)
    }

    /// The levels in force.
    pub(crate) fn loggers(&self, name: &str) -> Result<Vec<DescribeConfigsResourceResult>, Failure> {
        self.check_is_me(name)?;
        let told = loggers::levels().into_iter().map(|(logger, level)| {
            DescribeConfigsResourceResult::default()
                .with_name(StrBytes::from_string(logger))
                .with_value(Some(StrBytes::from_static_str(level)))
                .with_config_source(SOURCE)
                .with_documentation(Some(StrBytes::default()))
        });
        Ok(told.collect())
    }
}

fn failure(error: Error) -> Failure {
    let code = match &error {
        Error::RootLevel => ResponseError::InvalidRequest,
        Error::UnknownLogger { .. } | Error::UnknownLevel { .. } | Error::Filter { .. } => ResponseError::InvalidConfig,
        Error::NoLog | Error::LogTwice => ResponseError::UnknownServerError,
    };
    Failure::new(code, error.to_string())
}
