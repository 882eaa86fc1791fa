//! A node's settings: flags over `MILLSTREAM_*` over a TOML file over defaults, each option defined once.

mod definitions;
mod folders;
mod listeners;
mod pressure;
mod sources;
mod users;

pub(crate) use folders::absolute;

pub use definitions::{NODE_CONFIGS, all_definitions};
pub use listeners::KafkaListener;
pub use sources::Sources;
pub use users::Secrets;

use millstream_broker::NodeOption;
use millstream_types::{BrokerId, ConfigDef, ConfigError, ErrorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
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
         {}listen on 127.0.0.1, or decide it with --set allow.unauthenticated.remote=true",
        if *name == "listeners" { "make it SASL_SSL, or SSL with ssl.client.auth=required (listener.security.protocol.map), " } else { "" }
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

/// A node's settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where everything of the node is kept, but for partitions that are in other folders.
    pub data_dir: PathBuf,
    /// Kafka's `log.dirs` without `data_dir`: further folders that partitions are kept in.
    pub other_dirs: Vec<PathBuf>,
    /// Kafka's `node.id`.
    pub node_id: BrokerId,
    /// Kafka's `broker.rack`.
    pub rack: Option<String>,
    /// The listeners of Kafka's protocol.
    pub listeners: Vec<KafkaListener>,
    /// Users who may log in besides those in the metadata.
    pub users: Secrets,
    /// How often files of certificates are looked at.
    pub tls_reload_interval: Duration,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Broker options under Kafka's names that differ from their defaults, and among them defaults of topics.
    pub broker: BTreeMap<String, String>,
    /// The node's other options, as clients are told them.
    pub told: Vec<NodeOption>,
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
        let (values, given) = sources.resolve()?;
        Self::from_values(&Values(&values, &given))
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

    /// The broker's options that are set while it runs.
    pub(crate) fn dynamic() -> impl Iterator<Item = &'static str> {
        millstream_types::BROKER_CONFIGS
            .iter()
            .filter(|definition| definition.dynamic)
            .map(|definition| definition.name)
    }

    /// The same with these values of [`Self::dynamic`]; where there is none, that of the start holds.
    pub(crate) fn with(&self, values: &[Option<String>]) -> Self {
        let mut settings = self.clone();
        let set = Self::dynamic().zip(values).filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        settings.broker.extend(set);
        settings
    }

    fn from_values(values: &Values<'_>) -> Result<Self, SettingsError> {
        let open = values.text("allow.unauthenticated.remote") == "true";
        let listeners = listeners::read(values)?;
        let http = listeners::address("http.listener", values.text("http.listener"))?;
        let unknown = listeners.iter().filter(|one| !one.authenticates()).map(|one| ("listeners", one.address));
        for (name, address) in unknown.chain([("http.listener", http)]) {
            if !address.ip().is_loopback() && !open {
                return Err(SettingsError::OpenToOthers { name, address });
            }
        }
        let data_dir = PathBuf::from(values.text("data.dir"));
        let other_dirs = folders::others(&data_dir, values.text("log.dirs"))?;
        let mut broker = values.broker();
        broker.insert("log.dirs".to_owned(), folders::list(&data_dir, &other_dirs));
        let tier_url = match values.text("tier.url") {
            "" => data_dir.join("cold").display().to_string(),
            url => url.to_owned(),
        };
        Ok(Self {
            node_id: BrokerId(values.number("node.id")?),
            rack: Some(values.text("broker.rack").to_owned()).filter(|rack| !rack.is_empty()),
            listeners,
            users: users::read(values)?,
            tls_reload_interval: Duration::from_millis(values.number("ssl.reload.interval.ms")?),
            http,
            broker,
            told: values.told(),
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
            other_dirs,
        })
    }
}

/// The value of every option, and which were given.
struct Values<'a>(&'a BTreeMap<String, String>, &'a BTreeSet<String>);

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

    /// Every option that is not the broker's, and those that listeners have of their own. What is secret stays here.
    fn told(&self) -> Vec<NodeOption> {
        let all = all_definitions();
        let own = NODE_CONFIGS.iter().map(|definition| (definition.name.to_owned(), definition));
        let of_listeners = self.0.keys().filter(|name| name.starts_with(definitions::LISTENER_PREFIX));
        let of_listeners = of_listeners.filter_map(|name| Some((name.clone(), definitions::definition(&all, name)?)));
        let given = |name: &str, definition: &ConfigDef| {
            let value = self.0.get(name)?;
            (self.1.contains(name) || value != definition.default).then(|| value.clone())
        };
        own.chain(of_listeners)
            .map(|(name, definition)| {
                let value = given(&name, definition);
                let is_given = value.is_some();
                NodeOption { name, definition, is_given, value: value.filter(|_| !definition.secret) }
            })
            .collect()
    }

    fn broker(&self) -> BTreeMap<String, String> {
        let own = millstream_types::BROKER_CONFIGS.iter().map(|def| (def.name, def));
        own.chain(definitions::topic_defaults())
            .filter_map(|(name, def)| {
                let is_given = |value: &&String| self.1.contains(name) || **value != def.default;
                Some((name.to_owned(), self.0.get(name).filter(is_given)?.clone()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(set: &[&str]) -> Result<Settings, SettingsError> {
        Settings::load(&Sources { set: set.iter().map(|text| (*text).to_owned()).collect(), ..Sources::default() })
    }

    #[test]
    fn secrets_are_not_told() {
        let given = ["sasl.users=ann:guess", "listener.name.plaintext.max.connections=7", "broker.rack=r"];
        let settings = load(&given).unwrap();
        let told = |name: &str| {
            let option = settings.told.iter().find(|option| option.name == name).unwrap();
            (option.is_given, option.value.as_deref())
        };
        assert_eq!(told("sasl.users"), (true, None));
        assert_eq!(told("tier.store.secret.access.key"), (false, None));
        assert_eq!(told("broker.rack"), (true, Some("r")));
        assert_eq!(told("listener.name.plaintext.max.connections"), (true, Some("7")));
        assert_eq!(told("ssl.client.auth"), (false, None));
    }

    #[test]
    fn defaults_work_without_a_file() {
        let settings = load(&[]).unwrap();
        assert_eq!(settings.listeners[0].address.to_string(), "127.0.0.1:9092");
        assert_eq!(settings.tier_url, "./millstream-data/cold");
        assert_eq!(settings.broker.keys().collect::<Vec<_>>(), ["log.dirs"]);
        assert!(settings.other_dirs.is_empty());
    }

    #[test]
    fn listening_to_others_has_to_be_a_decision() {
        let error = load(&["listeners=PLAINTEXT://0.0.0.0:9092"]).unwrap_err().to_string();
        assert!(error.contains("listeners listens at 0.0.0.0:9092"), "{error}");
        assert!(load(&["listeners=PLAINTEXT://0.0.0.0:9092", "allow.unauthenticated.remote=true"]).is_ok());
    }

    #[test]
    fn an_advertised_address_belongs_to_the_listener_of_its_name() {
        let settings = load(&[
            "listeners=IN://127.0.0.1:1,OUT://127.0.0.1:2",
            "advertised.listeners=OUT://broker.example:9094",
            "listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT",
        ])
        .unwrap();
        assert_eq!(settings.listeners[0].advertised, None);
        assert_eq!(settings.listeners[1].advertised, Some(("broker.example".into(), 9094)));
    }

    #[test]
    fn a_listener_is_open_to_others_once_it_knows_who_they_are() {
        let tls = ["ssl.keystore.location=key.pem", "ssl.truststore.location=ca.pem"];
        let with = |set: &[&str]| load(&[&tls[..], set].concat());
        for listener in ["SASL_PLAINTEXT", "SASL_SSL"] {
            let settings = with(&[&format!("listeners={listener}://0.0.0.0:1")]).unwrap();
            assert!(settings.listeners[0].sasl.is_some());
        }
        assert!(with(&["listeners=SSL://0.0.0.0:1", "ssl.client.auth=required"]).is_ok());
        for refused in [&["listeners=SSL://0.0.0.0:1"][..], &["listeners=SSL://0.0.0.0:1", "ssl.client.auth=requested"]]
        {
            let error = with(refused).unwrap_err().to_string();
            assert!(error.contains("make it SASL_SSL, or SSL with ssl.client.auth=required"), "{error}");
        }
        let error = load(&["http.listener=0.0.0.0:1"]).unwrap_err().to_string();
        assert!(error.starts_with("http.listener listens at 0.0.0.0:1") && !error.contains("SASL_SSL"), "{error}");
    }

    #[test]
    fn options_of_one_listener_win_over_those_of_all() {
        let settings = load(&[
            "listeners=OUT://127.0.0.1:1,SSL://127.0.0.1:2",
            "listener.security.protocol.map=OUT:SASL_SSL",
            "ssl.keystore.location=all.pem",
            "listener.name.out.ssl.keystore.location=out.pem",
            "listener.name.out.sasl.enabled.mechanisms=PLAIN",
            "listener.name.out.connections.max.reauth.ms=5000",
        ])
        .unwrap();
        let [out, ssl] = &settings.listeners[..] else { panic!("{settings:?}") };
        assert_eq!(out.tls.as_ref().unwrap().keystore, PathBuf::from("out.pem"));
        assert_eq!(ssl.tls.as_ref().unwrap().keystore, PathBuf::from("all.pem"));
        let rules = out.sasl.clone().unwrap();
        assert_eq!((rules.mechanisms.len(), rules.session_ms), (1, Some(5_000)));
        assert_eq!(ssl.sasl, None);
    }

    #[test]
    fn what_a_listener_lacks_is_named() {
        for (set, expected) in [
            (&["listeners=OUT://127.0.0.1:1"][..], "a protocol for the listener OUT too"),
            (&["listener.security.protocol.map=OUT:TLS"], "NAME:PROTOCOL with one of PLAINTEXT, SSL"),
            (&["listeners=SSL://127.0.0.1:1"], "for ssl.keystore.location: expected the path of a PEM file"),
            (
                &["listeners=SSL://127.0.0.1:1", "ssl.keystore.location=a", "ssl.client.auth=required"],
                "ssl.truststore.location",
            ),
            (
                &["listeners=SASL_SSL://127.0.0.1:1", "ssl.keystore.location=a", "sasl.enabled.mechanisms=GSSAPI"],
                "GSSAPI",
            ),
            (
                &["listener.name.out.ssl.keystore.location=a"],
                "unknown option \"listener.name.out.ssl.keystore.location\"",
            ),
            (&["listener.name.plaintext.data.dir=a"], "unknown option \"listener.name.plaintext.data.dir\""),
            (&["ssl.keystore.type=JKS"], "expected one of PEM"),
        ] {
            let error = load(set).unwrap_err().to_string();
            assert!(error.contains(expected), "{set:?}: {error}");
        }
    }

    #[test]
    fn users_come_from_a_variable_and_a_file_and_their_passwords_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        std::fs::write(&path, "bob:t,w:o\n").unwrap();
        let file = format!("sasl.users.file={}", path.display());
        let settings = load(&["sasl.users=alice:one,carol:three", &file]).unwrap();
        assert_eq!(settings.users.0.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["alice", "carol", "bob"]);
        assert_eq!(settings.users.0[2].1, "t,w:o");
        assert!(!format!("{settings:?}").contains("three"));
        let error = load(&["sasl.users=alice:one,hunter2"]).unwrap_err().to_string();
        assert!(error.contains("the 2. is not so") && !error.contains("hunter2"), "{error}");
        std::fs::write(&path, "bob:two\nhunter2\n").unwrap();
        let error = load(&[&file]).unwrap_err().to_string();
        assert!(error.contains("line 2 is not so") && !error.contains("hunter2"), "{error}");
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
