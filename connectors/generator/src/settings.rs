//! The settings of the generator.

use millstream_connect::{Error, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The settings of the generator.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The fields of each event, by name.
    #[schemars(length(min = 1))]
    pub fields: BTreeMap<String, Field>,
    /// Events a second; without it as fast as the log takes them.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 10_000_000.0))]
    pub rate: Option<f64>,
    /// How many events in all; without it there is no end.
    #[serde(default)]
    pub count: Option<u64>,
    /// Decides every value: the same seed makes the same events.
    #[serde(default)]
    pub seed: u64,
    /// The field whose value becomes the record's key.
    #[serde(default)]
    pub key: Option<String>,
    /// The time of the first event, in milliseconds since the Unix epoch; without it each event has the time at which it is made.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start_ms: Option<i64>,
    /// Milliseconds between the times of two events, where the first one's time is set.
    #[serde(default = "one_second")]
    #[schemars(range(min = 0))]
    pub interval_ms: i64,
    /// Most events written at once.
    #[serde(default = "one_thousand")]
    #[schemars(range(min = 1, max = 100_000))]
    pub batch_max: u64,
}

/// What one field holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Field {
    /// Counts events.
    Sequence {
        /// The first event's number.
        #[serde(default)]
        start: i64,
        /// What each event adds.
        #[serde(default = "one")]
        step: i64,
    },
    /// A whole number, each as likely as another.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number, evenly spread.
    Number {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
        /// Digits after the point.
        #[serde(default = "two")]
        #[schemars(range(max = 15))]
        decimals: usize,
    },
    /// One of some values.
    Choice {
        /// The values.
        #[schemars(length(min = 1))]
        values: Vec<Value>,
        /// How often each comes, compared with the others; evenly where there are no weights.
        #[serde(default)]
        weights: Vec<u32>,
    },
    /// True or false.
    Boolean {
        /// The share of true.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        probability: f64,
    },
    /// A UUID of version 4 in form; the seed decides it.
    Uuid {},
    /// The event's time.
    Timestamp {
        /// How it is written.
        #[serde(default)]
        format: TimeFormat,
    },
    /// Small letters.
    Text {
        /// How many.
        #[schemars(range(max = 1_000_000))]
        length: usize,
    },
    /// The same in every event.
    Constant {
        /// What it is.
        value: Value,
    },
}

/// How a point in time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeFormat {
    /// "2013-01-01T10:00:00.000Z"
    #[default]
    Rfc3339,
    /// Milliseconds since the Unix epoch.
    Milliseconds,
}

const fn one() -> i64 {
    1
}

const fn two() -> usize {
    2
}

const fn half() -> f64 {
    0.5
}

const fn one_second() -> i64 {
    1000
}

const fn one_thousand() -> u64 {
    1000
}

impl Settings {
    /// What the schema can't say.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut problems: Vec<Problem> = self.fields.iter().filter_map(|(name, field)| field.problem(name)).collect();
        if let Some(key) = self.key.as_ref().filter(|key| !self.fields.contains_key(*key)) {
            let names: Vec<&str> = self.fields.keys().map(String::as_str).collect();
            problems.push(Problem {
                field: "settings.key".to_owned(),
                value: Some(format!("{key:?}")),
                expected: format!("one of the fields: {}", names.join(", ")),
            });
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Spec(problems)) }
    }
}

impl Field {
    fn problem(&self, name: &str) -> Option<Problem> {
        let wrong = |part: &str, value: String, expected: &str| {
            Some(Problem {
                field: format!("settings.fields.{name}.{part}"),
                value: Some(value),
                expected: expected.to_owned(),
            })
        };
        match self {
            Self::Integer { min, max } if min > max => wrong("min", min.to_string(), "no more than max"),
            Self::Number { min, max, .. } if !(min <= max && (max - min).is_finite()) => {
                wrong("min", min.to_string(), "no more than max")
            }
            Self::Choice { values, weights } if !weights.is_empty() && weights.len() != values.len() => {
                wrong("weights", format!("{} weights", weights.len()), "one for each value")
            }
            Self::Choice { weights, .. } if !weights.is_empty() && weights.iter().all(|weight| *weight == 0) => {
                wrong("weights", "all 0".to_owned(), "one above 0 at least")
            }
            _ => None,
        }
    }
}
