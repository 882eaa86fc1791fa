//! A node's settings: flags over `MILLSTREAM_*` over a TOML file over defaults, each option defined once.

mod definitions;
mod sources;

pub use definitions::{NODE_CONFIGS, all_definitions};
pub use sources::Sources;

use millstream_types::{BrokerId, ConfigError, ErrorKind};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A name or value is wrong.
    #[error("{source_name}: {error}")]
    Config {
        /// Where the value came from: a flag, a variable, a file.
        source_name: String,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// The file can't be read or is not TOML.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// An address or another composite value is wrong.
    #[error("invalid value {value:?} for {name}: expected {expected}")]
    Value {
        /// The option.
        name: &'static str,
        /// The value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// Listening beyond this machine without authentication has to be a decision.
    #[error(
        "{name} listens at {address}, which other machines can reach, and nothing authenticates them; \
         listen on 127.0.0.1, or decide it with --set allow.unauthenticated.remote=true"
    )]
    OpenToOthers {
        /// The option.
        name: &'static str,
        /// The address.
        address: SocketAddr,
    },
}

impl SettingsError {
    /// The kind: settings are the caller's to mend.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// One named listener of Kafka's protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaListener {
    /// Its name, as in Kafka's `listeners`.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// What clients are told to connect to; the address itself (with the port that was bound) where nothing is advertised.
    pub advertised: Option<(String, u16)>,
}

/// A node's settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where everything of the node is kept.
    pub data_dir: PathBuf,
    /// Kafka's `node.id`.
    pub node_id: BrokerId,
    /// Kafka's `broker.rack`.
    pub rack: Option<String>,
    /// The listeners of Kafka's protocol.
    pub listeners: Vec<KafkaListener>,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Broker options under Kafka's names that differ from their defaults, and among them defaults of topics.
    pub broker: BTreeMap<String, String>,
    /// Where cold segments go: a URL, or a folder.
    pub tier_url: String,
    /// Options of the object store, without the `tier.store.` before their names; secrets among them.
    pub tier_store: BTreeMap<String, String>,
    /// Bytes of local disk for what was read from the object store.
    pub tier_cache_bytes: u64,
    /// How often closed segments are looked for.
    pub tier_interval: Duration,
    /// Bytes of memory one query may take.
    pub sql_memory_bytes: usize,
    /// How long one query may take.
    pub sql_time: Duration,
    /// Queries that may run at once.
    pub sql_concurrency: usize,
    /// Milliseconds between two commits of a task's progress.
    pub task_commit_interval: Duration,
    /// Bytes of the largest component.
    pub component_bytes_max: usize,
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// The first unknown name, bad value, or listener that is open to others without a decision.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        Self::from_values(&sources.resolve()?)
    }

    /// A broker option as a number: its own value, or its default.
    ///
    /// # Errors
    /// A value that does not fit where it is used.
    pub fn broker_number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, SettingsError> {
        let default =
            millstream_types::BROKER_CONFIGS.iter().find(|def| def.name == name).map_or("", |def| def.default);
        let value = self.broker.get(name).map_or(default, String::as_str);
        value.parse().map_err(|_| SettingsError::Value {
            name,
            value: value.to_owned(),
            expected: "a number that fits its use".into(),
        })
    }

    fn from_values(values: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let values = Values(values);
        let open = values.text("allow.unauthenticated.remote") == "true";
        let listeners = listeners(values.text("listeners"), values.text("advertised.listeners"))?;
        let http = address("http.listener", values.text("http.listener"))?;
        for (name, address) in listeners.iter().map(|one| ("listeners", one.address)).chain([("http.listener", http)]) {
            if !address.ip().is_loopback() && !open {
                return Err(SettingsError::OpenToOthers { name, address });
            }
        }
        let data_dir = PathBuf::from(values.text("data.dir"));
        let tier_url = match values.text("tier.url") {
            "" => data_dir.join("cold").display().to_string(),
            url => url.to_owned(),
        };
        Ok(Self {
            node_id: BrokerId(values.number("node.id")?),
            rack: Some(values.text("broker.rack").to_owned()).filter(|rack| !rack.is_empty()),
            listeners,
            http,
            broker: values.broker(),
            tier_url,
            tier_store: values.below("tier.store."),
            tier_cache_bytes: values.number("tier.cache.bytes")?,
            tier_interval: Duration::from_millis(values.number("tier.interval.ms")?),
            sql_memory_bytes: values.number("sql.memory.bytes")?,
            sql_time: Duration::from_millis(values.number("sql.time.ms")?),
            sql_concurrency: values.number("sql.concurrency")?,
            task_commit_interval: Duration::from_millis(values.number("task.commit.interval.ms")?),
            component_bytes_max: values.number("function.component.bytes")?,
            data_dir,
        })
    }
}

struct Values<'a>(&'a BTreeMap<String, String>);

impl Values<'_> {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str).trim()
    }

    fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, SettingsError> {
        let value = self.text(name);
        value.parse().map_err(|_| SettingsError::Value { name, value: value.to_owned(), expected: "a number".into() })
    }

    fn below(&self, prefix: &str) -> BTreeMap<String, String> {
        let named =
            self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone())));
        named.filter(|(_, value)| !value.is_empty()).collect()
    }

    fn broker(&self) -> BTreeMap<String, String> {
        let own = millstream_types::BROKER_CONFIGS.iter().map(|def| (def.name, def));
        own.chain(definitions::topic_defaults())
            .filter_map(|(name, def)| {
                Some((name.to_owned(), self.0.get(name).filter(|value| *value != def.default)?.clone()))
            })
            .collect()
    }
}

/// `NAME://HOST:PORT`, separated by commas, as Kafka writes listeners.
fn listeners(text: &str, advertised: &str) -> Result<Vec<KafkaListener>, SettingsError> {
    let advertised = split_listeners("advertised.listeners", advertised)?;
    let mut found = Vec::new();
    for (name, host_port) in split_listeners("listeners", text)? {
        let advertised = advertised.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
        let advertised = match advertised {
            None => None,
            Some(value) => Some(host_and_port(&value)?),
        };
        found.push(KafkaListener { address: address("listeners", &host_port)?, name, advertised });
    }
    if found.is_empty() {
        return Err(SettingsError::Value {
            name: "listeners",
            value: text.into(),
            expected: "at least one NAME://HOST:PORT".into(),
        });
    }
    Ok(found)
}

fn split_listeners(option: &'static str, text: &str) -> Result<Vec<(String, String)>, SettingsError> {
    text.split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .map(|one| match one.split_once("://") {
            Some((name, host_port)) => Ok((name.to_owned(), host_port.to_owned())),
            None => Err(SettingsError::Value {
                name: option,
                value: one.to_owned(),
                expected: "NAME://HOST:PORT, for example PLAINTEXT://127.0.0.1:9092".into(),
            }),
        })
        .collect()
}

fn host_and_port(text: &str) -> Result<(String, u16), SettingsError> {
    let parsed = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?)));
    parsed.ok_or_else(|| SettingsError::Value {
        name: "advertised.listeners",
        value: text.into(),
        expected: "HOST:PORT".into(),
    })
}

fn address(name: &'static str, text: &str) -> Result<SocketAddr, SettingsError> {
    let text = text.replace("localhost:", "127.0.0.1:");
    // Kafka writes an empty host for every address of the machine.
    let whole = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.clone() };
    whole.parse().map_err(|_| SettingsError::Value {
        name,
        value: text,
        expected: format!("an IP address and a port, for example {}:9092", IpAddr::from([127, 0, 0, 1])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(set: &[&str]) -> Result<Settings, SettingsError> {
        Settings::load(&Sources { set: set.iter().map(|text| (*text).to_owned()).collect(), ..Sources::default() })
    }

    #[test]
    fn defaults_work_without_a_file() {
        let settings = load(&[]).unwrap();
        assert_eq!(settings.listeners[0].address.to_string(), "127.0.0.1:9092");
        assert_eq!(settings.tier_url, "./millstream-data/cold");
        assert!(settings.broker.is_empty());
    }

    #[test]
    fn listening_to_others_has_to_be_a_decision() {
        let error = load(&["listeners=PLAINTEXT://0.0.0.0:9092"]).unwrap_err().to_string();
        assert!(error.contains("listeners listens at 0.0.0.0:9092"), "{error}");
        assert!(load(&["listeners=PLAINTEXT://0.0.0.0:9092", "allow.unauthenticated.remote=true"]).is_ok());
    }

    #[test]
    fn an_advertised_address_belongs_to_the_listener_of_its_name() {
        let settings =
            load(&["listeners=IN://127.0.0.1:1,OUT://127.0.0.1:2", "advertised.listeners=OUT://broker.example:9094"])
                .unwrap();
        assert_eq!(settings.listeners[0].advertised, None);
        assert_eq!(settings.listeners[1].advertised, Some(("broker.example".into(), 9094)));
    }

    #[test]
    fn an_unknown_option_is_named_with_its_source() {
        let error = load(&["data.dri=x"]).unwrap_err().to_string();
        assert_eq!(error, "--set data.dri: unknown option \"data.dri\"; `millstream config` lists the options");
    }

    #[test]
    fn a_default_of_topics_is_an_option_under_its_name_among_the_brokers() {
        assert_eq!(load(&["log.retention.ms=1000"]).unwrap().broker["log.retention.ms"], "1000");
        let error = load(&["log.segment.bytes=1"]).unwrap_err().to_string();
        assert!(error.starts_with("--set log.segment.bytes: invalid value \"1\""), "{error}");
    }

    #[test]
    fn a_broker_option_is_checked_as_kafka_does() {
        assert!(load(&["num.partitions=0"]).unwrap_err().to_string().contains("expected an integer from 1 to"));
        assert_eq!(load(&["num.partitions=3"]).unwrap().broker["num.partitions"], "3");
    }
}
