//! The broker's options: checked once at start, typed where handlers decide by them.

use crate::{Error, Sasl};
use millstream_metadata::configs::broker_definition;
use millstream_types::{BROKER_CONFIGS, BrokerId, ConfigDef};
use std::collections::BTreeMap;
use std::time::Duration;

/// Settings of [`crate::Service`].
#[derive(Debug, Clone)]
pub struct Config {
    /// This broker.
    pub node: BrokerId,
    /// Broker options under Kafka's names, as given; the rest have their defaults.
    pub values: BTreeMap<String, String>,
    /// Options of the node that are not the broker's, for DescribeConfigs.
    pub told: Vec<NodeOption>,
    /// The listeners whose clients log in, and who may.
    pub sasl: Sasl,
}

/// An option of the node, as clients are told it.
#[derive(Debug, Clone)]
pub struct NodeOption {
    /// Its name: the definition's, with its listener's before it where it is one listener's.
    pub name: String,
    /// What it is.
    pub definition: &'static ConfigDef,
    /// Whether it was given at start.
    pub is_given: bool,
    /// What was given; none where that is nobody's to see.
    pub value: Option<String>,
}

/// The options that handlers decide by.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) node: BrokerId,
    pub(crate) auto_create_topics: bool,
    pub(crate) num_partitions: i32,
    pub(crate) replication_factor: i16,
    pub(crate) fetch_max_bytes: usize,
    pub(crate) fetch_session_slots: usize,
    pub(crate) share_sessions: usize,
    pub(crate) failed_authentication_delay: Duration,
    /// What was given, for DescribeConfigs.
    pub(crate) given: BTreeMap<String, String>,
    /// The rest of the node's, for the same.
    pub(crate) told: Vec<NodeOption>,
}

impl Settings {
    /// Checks and reads the options.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        for (name, value) in &config.values {
            let definition =
                broker_definition(name).ok_or_else(|| millstream_types::ConfigError::Unknown { name: name.clone() })?;
            definition.check(value)?;
        }
        let values = Values(&config.values);
        Ok(Self {
            node: config.node,
            auto_create_topics: values.read("auto.create.topics.enable")?,
            num_partitions: values.read("num.partitions")?,
            replication_factor: values.read("default.replication.factor")?,
            fetch_max_bytes: values.read("fetch.max.bytes")?,
            fetch_session_slots: values.read("max.incremental.fetch.session.cache.slots")?,
            share_sessions: values.read("group.share.max.share.sessions")?,
            failed_authentication_delay: Duration::from_millis(
                values.read("connection.failed.authentication.delay.ms")?,
            ),
            given: config.values.clone(),
            told: config.told.clone(),
        })
    }
}

struct Values<'a>(&'a BTreeMap<String, String>);

impl Values<'_> {
    fn read<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Error> {
        let definition = BROKER_CONFIGS.iter().find(|definition| definition.name == name);
        let value = self.0.get(name).map(String::as_str).or_else(|| definition.map(|definition| definition.default));
        let value = value.unwrap_or_default().trim();
        value.parse().map_err(|_| Error::Unreadable { name, value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Result<Settings, Error> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::new(&Config { node: BrokerId(1), values, told: Vec::new(), sasl: Sasl::default() })
    }

    #[test]
    fn defaults_are_kafkas() {
        let settings = settings(&[]).unwrap();
        assert!(settings.auto_create_topics);
        assert_eq!((settings.num_partitions, settings.replication_factor), (1, 1));
        assert_eq!((settings.fetch_max_bytes, settings.fetch_session_slots), (57_671_680, 1000));
    }

    #[test]
    fn what_is_given_is_checked() {
        assert_eq!(settings(&[("num.partitions", "6")]).unwrap().num_partitions, 6);
        assert!(settings(&[("num.partitions", "0")]).unwrap_err().to_string().contains("integer from 1"));
        assert!(settings(&[("num.partition", "1")]).unwrap_err().to_string().contains("unknown option"));
        assert!(settings(&[("log.retention.ms", "1000")]).is_ok(), "a default for topics is a broker's option too");
    }
}
