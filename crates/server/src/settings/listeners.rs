//! The listeners of Kafka's protocol: where they are, what they speak, and what they ask of clients.

use super::{SettingsError, Values};
use crate::settings::definitions::LISTENER_PREFIX;
use millstream_net::{ClientAuth, TlsFiles};
use millstream_sasl::{Mechanism, Rules};
use millstream_types::ConfigError;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// What a listener speaks, by Kafka's names (`listener.security.protocol.map`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Plain sockets, and whoever comes.
    Plaintext,
    /// TLS.
    Ssl,
    /// Plain sockets, and clients log in.
    SaslPlaintext,
    /// TLS, and clients log in.
    SaslSsl,
}

impl Protocol {
    const ALL: [(&'static str, Self); 4] = [
        ("PLAINTEXT", Self::Plaintext),
        ("SSL", Self::Ssl),
        ("SASL_PLAINTEXT", Self::SaslPlaintext),
        ("SASL_SSL", Self::SaslSsl),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, protocol)| protocol)
    }
}

/// Limits of the connections of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Open at once.
    pub max: Option<usize>,
    /// New ones a second.
    pub rate: Option<u32>,
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
    /// Where its TLS comes from; none on plain sockets.
    pub tls: Option<TlsFiles>,
    /// Its connections open at once, and its new ones a second, where it has limits of its own.
    pub connections: ListenerLimits,
    /// How its clients log in, where they have to.
    pub sasl: Option<Rules>,
}

impl KafkaListener {
    /// Whether it knows who its clients are.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.sasl.is_some() || self.tls.as_ref().is_some_and(|tls| tls.client_auth == ClientAuth::Required)
    }
}

/// `NAME://HOST:PORT`, separated by commas, as Kafka writes listeners.
pub(super) fn read(values: &Values<'_>) -> Result<Vec<KafkaListener>, SettingsError> {
    let text = values.text("listeners");
    let advertised = split("advertised.listeners", values.text("advertised.listeners"))?;
    let protocols = protocols(values.text("listener.security.protocol.map"))?;
    let mut found = Vec::new();
    for (name, host_port) in split("listeners", text)? {
        let told = advertised.iter().find(|(other, _)| *other == name);
        let told = told.map(|(_, value)| host_and_port(value)).transpose()?;
        let protocol = protocols.iter().find(|(other, _)| *other == name).map(|(_, protocol)| *protocol);
        let protocol = protocol.ok_or_else(|| SettingsError::Value {
            name: "listener.security.protocol.map",
            value: values.text("listener.security.protocol.map").to_owned(),
            expected: format!("a protocol for the listener {name} too, for example {name}:PLAINTEXT"),
        })?;
        let tls = matches!(protocol, Protocol::Ssl | Protocol::SaslSsl).then(|| tls(values, &name)).transpose()?;
        let sasl =
            matches!(protocol, Protocol::SaslPlaintext | Protocol::SaslSsl).then(|| sasl(values, &name)).transpose()?;
        let connections = limits(values, &name)?;
        let address = address("listeners", &host_port)?;
        found.push(KafkaListener { address, advertised: told, tls, connections, sasl, name });
    }
    if found.is_empty() {
        return Err(SettingsError::Value {
            name: "listeners",
            value: text.into(),
            expected: "at least one NAME://HOST:PORT".into(),
        });
    }
    belong(values, &found)?;
    Ok(found)
}

/// Options of a listener that is not there are nobody's.
fn belong(values: &Values<'_>, listeners: &[KafkaListener]) -> Result<(), SettingsError> {
    let of_one = values.0.keys().filter(|name| name.starts_with(LISTENER_PREFIX));
    let belongs = |name: &&String| {
        let of = |one: &KafkaListener| name.starts_with(&prefix(&one.name));
        !listeners.iter().any(of)
    };
    match of_one.into_iter().find(belongs) {
        None => Ok(()),
        Some(name) => Err(SettingsError::Config {
            source_name: "listeners has none of the name (in lower case) that an option speaks of".to_owned(),
            error: ConfigError::Unknown { name: name.clone() },
        }),
    }
}

/// What options of one listener begin with.
fn prefix(listener: &str) -> String {
    format!("{LISTENER_PREFIX}{}.", listener.to_lowercase())
}

/// An option of a listener: its own, or that of all.
fn own<'a>(values: &'a Values<'_>, listener: &str, option: &str) -> &'a str {
    let own = values.0.get(&(prefix(listener) + option));
    own.map_or_else(|| values.text(option), |value| value.trim())
}

fn limits(values: &Values<'_>, listener: &str) -> Result<ListenerLimits, SettingsError> {
    // Not the option of all, which is the limit of all listeners together.
    fn own<T: FromStr>(values: &Values<'_>, listener: &str, name: &'static str) -> Result<Option<T>, SettingsError> {
        let own = values.0.get(&(prefix(listener) + name)).map(|text| text.trim());
        let number = |text: &str| text.parse().map_err(|_| not_a_number(name, text));
        own.map(number).transpose()
    }
    let max = own(values, listener, "max.connections")?;
    Ok(ListenerLimits { max, rate: own(values, listener, "max.connection.creation.rate")? })
}

fn not_a_number(name: &'static str, text: &str) -> SettingsError {
    SettingsError::Value { name, value: text.to_owned(), expected: "a number that fits its use".to_owned() }
}

fn tls(values: &Values<'_>, listener: &str) -> Result<TlsFiles, SettingsError> {
    let path = |option| Some(own(values, listener, option)).filter(|path| !path.is_empty()).map(PathBuf::from);
    let missing = |name, why: &str| SettingsError::Value {
        name,
        value: String::new(),
        expected: format!("the path of a PEM file: the listener {listener} {why}"),
    };
    let client_auth = match own(values, listener, "ssl.client.auth") {
        "required" => ClientAuth::Required,
        "requested" => ClientAuth::Requested,
        _ => ClientAuth::None,
    };
    let truststore = path("ssl.truststore.location");
    if truststore.is_none() && client_auth != ClientAuth::None {
        return Err(missing(
            "ssl.truststore.location",
            "asks clients for certificates, and checks them by those in it",
        ));
    }
    let keystore = path("ssl.keystore.location");
    let keystore =
        keystore.ok_or_else(|| missing("ssl.keystore.location", "speaks TLS, with the key and certificates in it"));
    Ok(TlsFiles { keystore: keystore?, truststore, client_auth })
}

fn sasl(values: &Values<'_>, listener: &str) -> Result<Rules, SettingsError> {
    let text = own(values, listener, "sasl.enabled.mechanisms");
    let mechanisms = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Mechanism::named);
    let mechanisms: Option<Vec<Mechanism>> = mechanisms.collect();
    let mechanisms = mechanisms.filter(|mechanisms| !mechanisms.is_empty());
    let mechanisms = mechanisms.ok_or_else(|| SettingsError::Value {
        name: "sasl.enabled.mechanisms",
        value: text.to_owned(),
        expected: format!("some of {}", Mechanism::ALL.map(Mechanism::name).join(", ")),
    })?;
    let option = "connections.max.reauth.ms";
    let text = own(values, listener, option);
    let session_ms: u64 = text.parse().map_err(|_| SettingsError::Value {
        name: option,
        value: text.to_owned(),
        expected: "milliseconds".to_owned(),
    })?;
    Ok(Rules { mechanisms, session_ms: Some(session_ms).filter(|time| *time > 0) })
}

fn protocols(text: &str) -> Result<Vec<(String, Protocol)>, SettingsError> {
    let one = |pair: &str| {
        let (name, protocol) = pair.split_once(':')?;
        Some((name.trim().to_owned(), Protocol::named(protocol.trim())?))
    };
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let own = Protocol::ALL.map(|(name, protocol)| (name.to_owned(), protocol));
    let given: Result<Vec<_>, SettingsError> = pairs
        .map(|pair| {
            one(pair).ok_or_else(|| SettingsError::Value {
                name: "listener.security.protocol.map",
                value: pair.to_owned(),
                expected: format!("NAME:PROTOCOL with one of {}", Protocol::ALL.map(|(name, _)| name).join(", ")),
            })
        })
        .collect();
    // What is given comes first, and wins.
    Ok(given?.into_iter().chain(own).collect())
}

fn split(option: &'static str, text: &str) -> Result<Vec<(String, String)>, SettingsError> {
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

/// An address to listen on.
pub(super) fn address(name: &'static str, text: &str) -> Result<SocketAddr, SettingsError> {
    let text = text.replace("localhost:", "127.0.0.1:");
    // Kafka writes an empty host for every address of the machine.
    let whole = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.clone() };
    whole.parse().map_err(|_| SettingsError::Value {
        name,
        value: text,
        expected: format!("an IP address and a port, for example {}:9092", IpAddr::from([127, 0, 0, 1])),
    })
}
