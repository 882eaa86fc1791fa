//! Changing the options of topics and brokers by Kafka's rules.

use crate::record::{BrokerConfigRecord, GroupConfigRecord, TopicConfigRecord};
use crate::topics::{TopicRef, find};
use crate::{Decision, Error, Image, Record};
use millstream_types::{
    BROKER_CONFIGS, BrokerId, ConfigDef, ConfigError, ConfigType, GROUP_CONFIGS, NoOffsetReset, OffsetReset,
    TOPIC_CONFIGS, TopicConfig,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Options of a group that the broker limits by options named so with `min.` and `max.` in them: the part before, and the part after.
const LIMITED: [(&str, &str); 7] = [
    ("consumer", "session.timeout.ms"),
    ("consumer", "heartbeat.interval.ms"),
    ("share", "session.timeout.ms"),
    ("share", "heartbeat.interval.ms"),
    ("share", "record.lock.duration.ms"),
    ("share", "delivery.count.limit"),
    ("share", "partition.max.record.locks"),
];
const OFFSET_RESET: &str = "share.auto.offset.reset";

/// Whose options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A topic's.
    Topic(TopicRef),
    /// A broker's; the defaults of all brokers where none is named.
    Broker(Option<BrokerId>),
    /// A group's, whether it exists or not.
    Group(String),
}

/// What is done to one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alter {
    /// Kafka's name of the option.
    pub name: String,
    /// How it is changed.
    pub operation: Operation,
}

/// How an option is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// It gets this value.
    Set(String),
    /// It gets its default again.
    Delete,
    /// These items, separated by commas, are added to a list.
    Append(String),
    /// These items, separated by commas, are taken out of a list.
    Subtract(String),
}

/// Changes some options and leaves the others.
///
/// # Errors
/// The resource is unknown, an option is unknown or named twice, or a value is refused.
pub fn incremental_alter(
    image: &Image,
    resource: &Resource,
    changes: &[Alter],
    validate_only: bool,
) -> Result<Decision<()>, Error> {
    // Kafka looks at the values first, and then for whom they are.
    let before = current(image, resource);
    let mut after = before.as_ref().ok().cloned().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for change in changes {
        if !seen.insert(change.name.as_str()) {
            return Err(Error::InvalidRequest { reason: format!("the option {:?} is named twice", change.name) });
        }
        let definition = match (definition(resource, &change.name), &change.operation) {
            (Ok(definition), _) => definition,
            // What is not set is not set, whether anybody knows it or not.
            (Err(_), Operation::Delete) => {
                after.remove(&change.name);
                continue;
            }
            (Err(error), _) => return Err(error),
        };
        let inherited = || inherited(image, resource, definition);
        let applied = apply(definition, after.get(&change.name).cloned(), inherited, &change.operation);
        match applied.map_err(|error| of_broker(resource, error))? {
            Some(value) => after.insert(change.name.clone(), value),
            None => after.remove(&change.name),
        };
    }
    settle(image, resource, &before?, &after, validate_only)
}

/// Replaces all options of a resource by these: what is not named gets its default again (Kafka's AlterConfigs).
///
/// # Errors
/// As [`incremental_alter`].
pub fn replace(
    image: &Image,
    resource: &Resource,
    options: &BTreeMap<String, String>,
    validate_only: bool,
) -> Result<Decision<()>, Error> {
    for (name, value) in options {
        definition(resource, name)?.check(value).map_err(|error| of_broker(resource, error.into()))?;
    }
    settle(image, resource, &current(image, resource)?, options, validate_only)
}

/// Checks a topic's options: each alone, and those that depend on each other.
///
/// # Errors
/// [`Error::InvalidConfig`] or [`Error::ConfigRefused`].
pub fn check_topic(image: &Image, overrides: &BTreeMap<String, String>) -> Result<TopicConfig, Error> {
    let config = image.topic_config(overrides)?;
    let refuse = |reason: &str| Err(Error::ConfigRefused { reason: reason.to_owned() });
    if config.remote_storage_enable && config.compact {
        return refuse("remote.storage.enable can't be true for a compacted topic; set cleanup.policy to delete");
    }
    if config.remote_storage_enable && exceeds(config.local_retention_ms, config.retention_ms) {
        return refuse("local.retention.ms is longer than retention.ms; what is kept locally is kept at all");
    }
    if config.remote_storage_enable && exceeds(config.local_retention_bytes, config.retention_bytes) {
        return refuse("local.retention.bytes is larger than retention.bytes; what is kept locally is kept at all");
    }
    // What is not copied any more is kept for as long as the whole.
    let differs = |local, whole| local != -2 && local != whole;
    let is_read_only = config.remote_storage_enable && config.remote_log_copy_disable;
    if is_read_only && differs(config.local_retention_ms, config.retention_ms) {
        return refuse("with remote.log.copy.disable, local.retention.ms has to be retention.ms, or -2 for the same");
    }
    if is_read_only && differs(config.local_retention_bytes, config.retention_bytes) {
        return refuse(
            "with remote.log.copy.disable, local.retention.bytes has to be retention.bytes, or -2 for the same",
        );
    }
    if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
        return refuse("min.compaction.lag.ms is longer than max.compaction.lag.ms");
    }
    Ok(config)
}

/// Whether remote storage may be turned off by this change, where it is: what was copied goes with it, and that has to be said (KIP-950).
fn check_turning_off(before: &BTreeMap<String, String>, after: &TopicConfig) -> Result<(), Error> {
    let was_on = before.get("remote.storage.enable").is_some_and(|value| value.trim() == "true");
    if was_on && !after.remote_storage_enable && !after.remote_log_delete_on_disable {
        let reason = "turning remote.storage.enable off deletes what is in the object store: set remote.log.delete.on.disable=true with it, \
                      or keep it on and set remote.log.copy.disable=true, and what is there stays to be read"
            .to_owned();
        return Err(Error::ConfigRefused { reason });
    }
    Ok(())
}

/// Checks a group's options: they have to be within what the broker allows, and a session has to be longer than the pause between heartbeats.
fn check_group(image: &Image, options: &BTreeMap<String, String>) -> Result<(), Error> {
    let number = |text: &str| text.trim().parse::<i64>().unwrap_or(0);
    let of = |name: &str| {
        let definition = GROUP_CONFIGS.iter().find(|definition| definition.name == name);
        definition
            .map_or(0, |definition| number(options.get(name).map_or(image.group_default(definition), String::as_str)))
    };
    let broker = |name: &str| {
        let default = broker_definition(name).map_or("", |definition| definition.default);
        number(image.static_configs().get(name).map_or(default, String::as_str))
    };
    for (kind, part) in LIMITED {
        let name = &format!("{kind}.{part}");
        let (min, max) = (broker(&format!("group.{kind}.min.{part}")), broker(&format!("group.{kind}.max.{part}")));
        if options.contains_key(name) && !(min..=max).contains(&of(name)) {
            let reason =
                format!("{name}={} is outside of what the broker allows to groups, which is {min} to {max}", of(name));
            return Err(Error::ConfigRefused { reason });
        }
    }
    for kind in ["consumer", "share"] {
        let (session, heartbeat) = (format!("{kind}.session.timeout.ms"), format!("{kind}.heartbeat.interval.ms"));
        if !options.is_empty() && of(&session) <= of(&heartbeat) {
            let reason = format!("{session} ({}) has to be longer than {heartbeat} ({})", of(&session), of(&heartbeat));
            return Err(Error::ConfigRefused { reason });
        }
    }
    let reset = options.get(OFFSET_RESET).map_or(Ok(OffsetReset::Latest), |text| text.parse());
    reset.map(drop).map_err(|error: NoOffsetReset| Error::ConfigRefused { reason: format!("{OFFSET_RESET}: {error}") })
}

/// The definition of a broker's option: its own, or the one it gives topics a default for.
#[must_use]
pub fn broker_definition(name: &str) -> Option<&'static ConfigDef> {
    let own = BROKER_CONFIGS.iter().find(|definition| definition.name == name);
    own.or_else(|| TOPIC_CONFIGS.iter().find(|definition| definition.synonym == Some(name)))
}

/// Whether the local limit is beyond the whole one; -2 locally means "the same", -1 means "no limit".
const fn exceeds(local: i64, whole: i64) -> bool {
    local != -2 && whole != -1 && (local == -1 || local > whole)
}

fn definition(resource: &Resource, name: &str) -> Result<&'static ConfigDef, Error> {
    match resource {
        Resource::Topic(_) => Ok(TopicConfig::definition(name)?),
        Resource::Broker(_) => {
            Ok(broker_definition(name).ok_or_else(|| ConfigError::Unknown { name: name.to_owned() })?)
        }
        Resource::Group(_) => {
            let found = GROUP_CONFIGS.iter().find(|definition| definition.name == name);
            Ok(found.ok_or_else(|| ConfigError::Unknown { name: name.to_owned() })?)
        }
    }
}

/// A broker's option out of range is a bad request to Kafka, and a topic's a bad option.
fn of_broker(resource: &Resource, error: Error) -> Error {
    match (resource, &error) {
        (Resource::Broker(_), Error::InvalidConfig(ConfigError::Value { .. })) => {
            Error::InvalidRequest { reason: error.to_string() }
        }
        _ => error,
    }
}

fn current(image: &Image, resource: &Resource) -> Result<BTreeMap<String, String>, Error> {
    match resource {
        Resource::Topic(topic) => Ok(find(image, topic)?.overrides.clone()),
        Resource::Broker(Some(broker)) if image.broker(*broker).is_none() => {
            Err(Error::UnknownBroker { broker: *broker })
        }
        Resource::Broker(broker) => {
            Ok(image.broker_config(*broker).map(|options| (**options).clone()).unwrap_or_default())
        }
        Resource::Group(group) if group.is_empty() => {
            Err(Error::InvalidRequest { reason: "a group's options need the group's name".to_owned() })
        }
        Resource::Group(group) => Ok(image.group_config(group).map(|options| (**options).clone()).unwrap_or_default()),
    }
}

/// What the option is while the resource does not set it.
fn inherited(image: &Image, resource: &Resource, definition: &ConfigDef) -> String {
    let set = match resource {
        Resource::Topic(_) => image.topic_default(definition),
        Resource::Broker(_) => {
            let options = image.broker_config(None);
            options.and_then(|options| options.get(definition.name)).map(|value| Cow::Borrowed(value.as_str()))
        }
        Resource::Group(_) => Some(Cow::Borrowed(image.group_default(definition))),
    };
    set.map_or_else(|| definition.default.to_owned(), Cow::into_owned)
}

/// The option's value after `operation`; none when it is no longer set.
fn apply(
    definition: &ConfigDef,
    set: Option<String>,
    inherited: impl FnOnce() -> String,
    operation: &Operation,
) -> Result<Option<String>, Error> {
    let list_only = || match definition.kind {
        ConfigType::List => Ok(()),
        _ => Err(Error::ConfigRefused { reason: format!("{} is not a list: set it instead", definition.name) }),
    };
    let value = match operation {
        Operation::Delete => return Ok(None),
        Operation::Set(value) => value.clone(),
        Operation::Append(added) => {
            list_only()?;
            let stored = set.unwrap_or_else(inherited);
            let mut items = items(&stored);
            for item in self::items(added) {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            items.join(",")
        }
        Operation::Subtract(removed) => {
            list_only()?;
            let stored = set.unwrap_or_else(inherited);
            let removed = items(removed);
            items(&stored).into_iter().filter(|item| !removed.contains(item)).collect::<Vec<_>>().join(",")
        }
    };
    definition.check(&value)?;
    Ok(Some(value))
}

fn items(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn settle(
    image: &Image,
    resource: &Resource,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    validate_only: bool,
) -> Result<Decision<()>, Error> {
    match resource {
        Resource::Topic(_) => check_turning_off(before, &check_topic(image, after)?)?,
        Resource::Group(_) => check_group(image, after)?,
        Resource::Broker(_) => {}
    }
    if validate_only {
        return Ok(Decision::unchanged(()));
    }
    let unset = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), None));
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let set = changed.map(|(name, value)| (name.clone(), Some(value.clone())));
    let changes = unset.chain(set);
    let records = match resource {
        Resource::Topic(topic) => {
            let topic = find(image, topic)?.id;
            changes.map(|(name, value)| Record::TopicConfig(TopicConfigRecord { topic, name, value })).collect()
        }
        Resource::Broker(broker) => {
            let broker = *broker;
            changes.map(|(name, value)| Record::BrokerConfig(BrokerConfigRecord { broker, name, value })).collect()
        }
        Resource::Group(group) => {
            let group = || group.clone();
            changes
                .map(|(name, value)| Record::GroupConfig(GroupConfigRecord { group: group(), name, value }))
                .collect()
        }
    };
    Ok(Decision::new(records, ()))
}
