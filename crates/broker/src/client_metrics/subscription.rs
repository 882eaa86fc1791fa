//! Which metrics a client is asked for: those of every subscription that it fits.

use millstream_metadata::Image;
use millstream_metadata::client_metrics::{INTERVAL, MATCH, METRICS, OPTIONS, value};
use millstream_types::ConfigDef;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use uuid::Uuid;

/// What patterns are held against: the wire's labels.
const LABELS: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];
/// Asks for every metric.
const ALL: &str = "*";
/// How often a client asks again that is asked for nothing, in milliseconds.
const IDLE_INTERVAL_MS: i32 = 300_000;

/// What is known of a client.
#[derive(Debug, Clone)]
pub(crate) struct Client<'a> {
    pub(crate) id: &'a str,
    pub(crate) instance: Uuid,
    pub(crate) software_name: &'a str,
    pub(crate) software_version: &'a str,
    pub(crate) source: SocketAddr,
}

/// What one client is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Names this answer: a push under another one is of something else.
    pub(crate) id: i32,
    /// Beginnings of names; `*` alone is all.
    pub(crate) metrics: Vec<String>,
    pub(crate) interval_ms: i32,
}

/// What a client is asked for as things stand.
pub(crate) fn asked(image: &Image, client: &Client<'_>) -> Asked {
    let mut metrics = BTreeSet::new();
    let mut interval_ms = None;
    for options in image.client_metrics().values() {
        if !fits(of(options, MATCH), client) {
            continue;
        }
        metrics.extend(items(of(options, METRICS)).map(str::to_owned));
        let wanted = of(options, INTERVAL).trim().parse().unwrap_or(IDLE_INTERVAL_MS);
        interval_ms = Some(interval_ms.map_or(wanted, |known: i32| known.min(wanted)));
    }
    let metrics: Vec<String> = match metrics.contains(ALL) {
        true => vec![ALL.to_owned()],
        false => metrics.into_iter().collect(),
    };
    let interval_ms = interval_ms.unwrap_or(IDLE_INTERVAL_MS);
    let mut hasher = DefaultHasher::new();
    (&metrics, interval_ms, client.instance).hash(&mut hasher);
    let folded = hasher.finish().to_be_bytes();
    let id = i32::from_be_bytes([folded[0], folded[1], folded[2], folded[3]]);
    Asked { id, metrics, interval_ms }
}

/// Whether a text is one of patterns; says what is wrong with it.
pub(crate) fn check_patterns(text: &str) -> Result<(), String> {
    patterns(text).map(drop)
}

fn of<'a>(options: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    let known: Option<&ConfigDef> = OPTIONS.iter().find(|known| known.name == name);
    known.map_or("", |known| value(Some(options), known))
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn patterns(text: &str) -> Result<Vec<(&str, Regex)>, String> {
    let pattern = |item| {
        let (label, pattern) = str::split_once(item, '=').ok_or_else(|| format!("{item:?} is not label=pattern"))?;
        let (label, pattern) = (label.trim(), pattern.trim());
        if !LABELS.contains(&label) {
            return Err(format!("{label:?} is no label of a client; expected one of {}", LABELS.join(", ")));
        }
        // A pattern is held against the whole text.
        let whole = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string())?;
        Ok((label, whole))
    };
    items(text).map(pattern).collect()
}

fn fits(text: &str, client: &Client<'_>) -> bool {
    let Ok(patterns) = patterns(text) else { return false };
    patterns.iter().all(|(label, pattern)| match *label {
        "client_id" => pattern.is_match(client.id),
        "client_instance_id" => pattern.is_match(&client.instance.to_string()),
        "client_software_name" => pattern.is_match(client.software_name),
        "client_software_version" => pattern.is_match(client.software_version),
        "client_source_address" => pattern.is_match(&client.source.ip().to_string()),
        _ => pattern.is_match(&client.source.port().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_metadata::client_metrics::alter;
    use millstream_metadata::configs::{Alter, Operation};

    fn image(subscriptions: &[(&str, &str, &str, &str)]) -> Image {
        let mut image = Image::default();
        for (name, metrics, matched, interval) in subscriptions {
            let changes = [(METRICS, metrics), (MATCH, matched), (INTERVAL, interval)].map(|(option, value)| Alter {
                name: option.to_owned(),
                operation: Operation::Set((*value).to_owned()),
            });
            image.replay_all(&alter(&image, name, &changes, false).unwrap().records).unwrap();
        }
        image
    }

    fn client(id: &str) -> Client<'_> {
        let source = "10.0.0.1:5000".parse().unwrap();
        Client { id, instance: Uuid::from_u128(7), software_name: "librdkafka", software_version: "2.5", source }
    }

    #[test]
    fn a_client_is_asked_for_what_every_subscription_it_fits_wants() {
        let image = image(&[
            ("a", "producer.,consumer.", "client_id=shop-.*", "5000"),
            ("b", "producer.x", "client_software_name=librdkafka,client_source_address=10\\..*", "1000"),
            ("c", "*", "client_id=other", "100"),
        ]);
        let asked_of = |id| asked(&image, &client(id));
        let shop = asked_of("shop-1");
        assert_eq!(
            (shop.metrics, shop.interval_ms),
            (vec!["consumer.".into(), "producer.".into(), "producer.x".into()], 1000)
        );
        assert_eq!(asked_of("shop").metrics, ["producer.x"]);
        assert_eq!((asked_of("other").metrics, asked_of("other").interval_ms), (vec!["*".to_owned()], 100));
    }

    #[test]
    fn without_a_subscription_nothing_is_asked_for() {
        let asked = asked(&Image::default(), &client("x"));
        assert_eq!((asked.metrics, asked.interval_ms), (vec![], IDLE_INTERVAL_MS));
    }

    #[test]
    fn an_answers_id_changes_with_what_is_asked_for() {
        let (few, many) = (image(&[("a", "x", "", "1000")]), image(&[("a", "x,y", "", "1000")]));
        assert_eq!(asked(&few, &client("c")).id, asked(&few, &client("c")).id);
        assert_ne!(asked(&few, &client("c")).id, asked(&many, &client("c")).id);
    }

    #[test]
    fn patterns_are_checked() {
        for right in ["", "client_id=a.*", "client_id=a, client_source_port=[0-9]+"] {
            assert_eq!(check_patterns(right), Ok(()), "{right}");
        }
        for wrong in ["abc", "nope=1", "client_id=["] {
            assert!(check_patterns(wrong).is_err(), "{wrong}");
        }
    }
}
