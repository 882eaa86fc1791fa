//! Subscriptions to the metrics of clients by Kafka's rules (KIP-714): which metrics, of which clients, how often.

use crate::configs::{Alter, Operation};
use crate::record::ClientMetricsRecord;
use crate::{Decision, Error, Image, Record};
use millstream_types::{ConfigDef, ConfigType};
use std::collections::{BTreeMap, BTreeSet};

/// How often clients push, in milliseconds.
pub const INTERVAL: &str = "interval.ms";
/// Which clients: `label=pattern`, all of which must fit.
pub const MATCH: &str = "match";
/// Which metrics, by the beginning of their names; `*` is all.
pub const METRICS: &str = "metrics";

/// The options of a subscription, sorted by name.
pub static OPTIONS: [ConfigDef; 3] = [
    ConfigDef::new(INTERVAL, ConfigType::Int, "300000", "Milliseconds between two pushes of a client.")
        .min(100)
        .max(3_600_000),
    ConfigDef::new(
        MATCH,
        ConfigType::List,
        "",
        "Patterns that a client must fit, as label=pattern; none fits every client.",
    ),
    ConfigDef::new(
        METRICS,
        ConfigType::List,
        "",
        "Beginnings of the names of the metrics that are pushed; * is all of them.",
    ),
];

/// Changes some options of a subscription, which exists as long as one of them is set.
///
/// # Errors
/// The name is empty, an option is unknown or named twice, or a value is refused.
pub fn alter(image: &Image, name: &str, changes: &[Alter], validate_only: bool) -> Result<Decision<()>, Error> {
    if name.is_empty() {
        return Err(Error::InvalidRequest { reason: "a subscription to client metrics needs a name".to_owned() });
    }
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for Alter { name: option, operation } in changes {
        if !seen.insert(option) {
            return Err(Error::InvalidRequest { reason: format!("the option {option:?} is named twice") });
        }
        let value = match operation {
            Operation::Set(value) => {
                check(option, value)?;
                Some(value.clone())
            }
            Operation::Delete => None,
            Operation::Append(_) | Operation::Subtract(_) => {
                return Err(Error::ConfigRefused { reason: format!("{option} is not a list: set it instead") });
            }
        };
        records.push(Record::ClientMetrics(ClientMetricsRecord {
            name: name.to_owned(),
            option: option.clone(),
            value,
        }));
    }
    let before = image.client_metrics().get(name);
    let is_so = |change: &Record| match change {
        Record::ClientMetrics(change) => {
            before.and_then(|options| options.get(&change.option)) == change.value.as_ref()
        }
        _ => false,
    };
    records.retain(|change| !is_so(change));
    Ok(if validate_only { Decision::unchanged(()) } else { Decision::new(records, ()) })
}

/// The option's value where nobody set it.
#[must_use]
pub fn value<'a>(set: Option<&'a BTreeMap<String, String>>, option: &ConfigDef) -> &'a str {
    set.and_then(|set| set.get(option.name)).map_or(option.default, String::as_str)
}

fn check(option: &str, value: &str) -> Result<(), Error> {
    let names = OPTIONS.each_ref().map(|known| known.name).join(", ");
    let Some(known) = OPTIONS.iter().find(|known| known.name == option) else {
        let reason = format!("client metrics have no option {option:?}; expected one of {names}");
        return Err(Error::InvalidRequest { reason });
    };
    match (known.check(value), value.trim().parse::<i32>()) {
        (Ok(()), _) => Ok(()),
        // As in Kafka, a number out of range is a bad request, and what is no number a bad option.
        (Err(error), Ok(_)) => Err(Error::InvalidRequest { reason: error.to_string() }),
        (Err(error), Err(_)) => Err(Error::InvalidConfig(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(option: &str, value: &str) -> Alter {
        Alter { name: option.into(), operation: Operation::Set(value.into()) }
    }

    #[test]
    fn a_subscription_is_there_as_long_as_an_option_is_set() {
        let mut image = Image::default();
        let made = alter(&image, "s", &[set(INTERVAL, "5000"), set(METRICS, "*")], false).unwrap();
        image.replay_all(&made.records).unwrap();
        assert_eq!(image.client_metrics().get("s").unwrap()[INTERVAL], "5000");
        let mut restored = Image::default();
        restored.replay_all(&image.records().collect::<Vec<_>>()).unwrap();
        assert_eq!(restored.client_metrics(), image.client_metrics(), "a snapshot keeps it");
        let unset = |option: &str| Alter { name: option.into(), operation: Operation::Delete };
        let gone = alter(&image, "s", &[unset(INTERVAL), unset(METRICS)], false).unwrap();
        image.replay_all(&gone.records).unwrap();
        assert!(image.client_metrics().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let image = Image::default();
        let table = [
            ("", set(INTERVAL, "5000"), "needs a name"),
            ("s", set("nope", "1"), "no option"),
            ("s", set(INTERVAL, "5"), "from 100 to 3600000"),
            ("s", set(INTERVAL, "x"), "from 100 to 3600000"),
            ("s", Alter { name: METRICS.into(), operation: Operation::Append("x".into()) }, "not a list"),
        ];
        for (name, change, words) in table {
            let refused = alter(&image, name, std::slice::from_ref(&change), false).unwrap_err().to_string();
            assert!(refused.contains(words), "{change:?}: {refused}");
        }
        assert!(matches!(alter(&image, "s", &[set(INTERVAL, "x")], false), Err(Error::InvalidConfig(_))));
        assert!(matches!(alter(&image, "s", &[set(INTERVAL, "5")], false), Err(Error::InvalidRequest { .. })));
    }
}
