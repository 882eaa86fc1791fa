//! Every option of a node that Kafka does not have, and Kafka's that shape a node.

use millstream_types::ConfigType::{Boolean, Int, List, Long, String as Text};
use millstream_types::{BROKER_CONFIGS, ConfigDef, TOPIC_CONFIGS};

/// The options of a node beside the broker's own, sorted by name.
pub const NODE_CONFIGS: &[ConfigDef] = &[
    ConfigDef::new(
        "advertised.listeners",
        List,
        "",
        "What clients are told to connect to, NAME://HOST:PORT by the name of the listener; the listener's own address where none is given.",
    )
    .falls_back(),
    ConfigDef::new(
        "allow.unauthenticated.remote",
        Boolean,
        "false",
        "Whether a listener without authentication may be reachable from other machines.",
    ),
    ConfigDef::new(
        "broker.rack",
        Text,
        "",
        "The rack of this node, for placement and for reading from a close replica.",
    )
    .falls_back(),
    ConfigDef::new(
        "connections.max.reauth.ms",
        Long,
        "0",
        "Milliseconds that a client may go on for after it logged in; then it has to log in again on the same connection, or is closed. 0 is for ever.",
    )
    .min(0),
    ConfigDef::new("data.dir", Text, "./millstream-data", "The folder of everything the node keeps, but for partitions that are in further folders (log.dirs)."),
    ConfigDef::new("function.component.bytes", Long, "67108864", "Bytes of the largest Wasm component accepted.")
        .min(1),
    ConfigDef::new(
        "http.listener",
        Text,
        "127.0.0.1:9080",
        "Where HTTP listens: the API, the schema registry, metrics and health.",
    ),
    ConfigDef::new(
        "listener.security.protocol.map",
        Text,
        "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        "What each listener speaks, NAME:PROTOCOL by its name. Options that begin with sasl. or ssl., connections.max.reauth.ms, max.connections and max.connection.creation.rate are those of one listener with listener.name.NAME. before them (its name in lower case).",
    ),
    ConfigDef::new(
        "listeners",
        List,
        "PLAINTEXT://127.0.0.1:9092",
        "Where Kafka's protocol listens: NAME://HOST:PORT, separated by commas.",
    ),
    ConfigDef::new("node.id", Int, "1", "The node's number in its cluster.").min(0),
    ConfigDef::new(
        "sasl.enabled.mechanisms",
        List,
        "SCRAM-SHA-256,SCRAM-SHA-512",
        "How clients may log in to listeners with SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512. PLAIN tells the listener the password: use it over TLS.",
    )
    .one_of(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
    ConfigDef::new(
        "sasl.users",
        Text,
        "",
        "The first users, NAME:PASSWORD separated by commas; best given as MILLSTREAM_SASL_USERS. They log in by PLAIN, and by SCRAM until credentials are stored for them (kafka-configs --entity-type users). Never logged.",
    )
    .secret(),
    ConfigDef::new(
        "sasl.users.file",
        Text,
        "",
        "A file with such users, NAME:PASSWORD in each line, which only the node should be able to read.",
    ),
    ConfigDef::new("sql.concurrency", Int, "8", "Queries that may run at once; one more is told to slow down.").min(1),
    ConfigDef::new(
        "sql.memory.bytes",
        Long,
        "1073741824",
        "Bytes of memory one query may take before it is ended. Higher lets larger joins and sorts through.",
    )
    .min(1_048_576),
    ConfigDef::new("sql.time.ms", Long, "300000", "Milliseconds one query may take before it is ended.").min(1),
    ConfigDef::new(
        "ssl.client.auth",
        Text,
        "none",
        "Whether clients have to show a certificate to listeners with TLS. The subject of what they show is their name.",
    )
    .one_of(&["none", "requested", "required"]),
    ConfigDef::new(
        "ssl.keystore.location",
        Text,
        "",
        "A PEM file with the private key of listeners with TLS and its certificates, the own one first. Read again when it changes.",
    )
    .falls_back(),
    ConfigDef::new("ssl.keystore.type", Text, "PEM", "What ssl.keystore.location is.").one_of(&["PEM"]),
    ConfigDef::new(
        "ssl.reload.interval.ms",
        Long,
        "10000",
        "Milliseconds between two looks for changes of ssl.keystore.location and ssl.truststore.location.",
    )
    .min(10),
    ConfigDef::new(
        "ssl.truststore.location",
        Text,
        "",
        "A PEM file with the certificates that clients' certificates are signed by. Read again when it changes.",
    )
    .falls_back(),
    ConfigDef::new("ssl.truststore.type", Text, "PEM", "What ssl.truststore.location is.").one_of(&["PEM"]),
    ConfigDef::new(
        "task.commit.interval.ms",
        Long,
        "100",
        "Milliseconds between two commits of a deployment's outputs and progress. Higher costs less, shows outputs that are to be there exactly once later, and repeats more after a crash.",
    )
    .min(1),
    ConfigDef::new(
        "tier.cache.bytes",
        Long,
        "1073741824",
        "Bytes of local disk that keep what was read from the object store.",
    )
    .min(0),
    ConfigDef::new(
        "tier.interval.ms",
        Long,
        "5000",
        "Milliseconds between two looks for closed segments to copy and local copies to drop.",
    )
    .min(10),
    ConfigDef::new("tier.store.access.key.id", Text, "", "The object store's key id; AWS_ACCESS_KEY_ID by default.")
        .secret(),
    ConfigDef::new("tier.store.allow.http", Boolean, "false", "Whether the object store may be reached without TLS."),
    ConfigDef::new(
        "tier.store.endpoint",
        Text,
        "",
        "The object store's address where it is not Amazon's, for example http://127.0.0.1:9000.",
    ),
    ConfigDef::new("tier.store.region", Text, "us-east-1", "The object store's region."),
    ConfigDef::new(
        "tier.store.secret.access.key",
        Text,
        "",
        "The object store's secret; AWS_SECRET_ACCESS_KEY by default. Never logged.",
    )
    .secret(),
    ConfigDef::new(
        "tier.url",
        Text,
        "",
        "Where cold segments go: a folder, or s3://BUCKET/PREFIX. Without one, the folder `cold` in the data folder.",
    ),
];

/// Every option a node knows, sorted by name: its own, the broker's, and under their names there (`log.retention.ms`) those that are
/// defaults of topics.
#[must_use]
pub fn all_definitions() -> Vec<(&'static str, &'static ConfigDef)> {
    let mut all: Vec<(&str, &ConfigDef)> =
        NODE_CONFIGS.iter().chain(BROKER_CONFIGS).map(|def| (def.name, def)).chain(topic_defaults()).collect();
    all.sort_by_key(|(name, _)| *name);
    all.dedup_by_key(|(name, _)| *name);
    all
}

/// What the options of one listener begin with; then come its name in lower case and the option's.
pub const LISTENER_PREFIX: &str = "listener.name.";

/// Options that a listener may have of its own.
const OF_A_LISTENER: [&str; 9] = [
    "connections.max.reauth.ms",
    "max.connection.creation.rate",
    "max.connections",
    "sasl.enabled.mechanisms",
    "ssl.client.auth",
    "ssl.keystore.location",
    "ssl.keystore.type",
    "ssl.truststore.location",
    "ssl.truststore.type",
];

/// The option of that name among all, where there is one: a listener's own is defined as that of all is.
pub(super) fn definition(all: &[(&str, &'static ConfigDef)], name: &str) -> Option<&'static ConfigDef> {
    let of_one = || {
        let (_, option) = name.strip_prefix(LISTENER_PREFIX)?.split_once('.')?;
        OF_A_LISTENER.contains(&option).then_some(option)
    };
    let name = of_one().unwrap_or(name);
    all.iter().find(|(known, _)| *known == name).map(|(_, def)| *def)
}

/// The broker's options that are defaults of topics, where they are not options of its own besides.
pub fn topic_defaults() -> impl Iterator<Item = (&'static str, &'static ConfigDef)> {
    TOPIC_CONFIGS.iter().filter_map(|def| Some((def.synonym?, def)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for (name, def) in all_definitions() {
            assert_eq!(def.check(def.default), Ok(()), "{name}");
        }
    }

    #[test]
    fn no_option_is_defined_twice() {
        let mut names: Vec<&str> = NODE_CONFIGS.iter().chain(BROKER_CONFIGS).map(|def| def.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        let all: Vec<&str> = all_definitions().into_iter().map(|(name, _)| name).collect();
        assert!(all.contains(&"log.retention.ms") && all.contains(&"message.max.bytes"), "{all:?}");
    }
}
