//! A connector as it is stored: its type, its topics, what happens to errors, and its type's own settings.

use millstream_task::ErrorPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where a sink without progress begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// At the first record there is.
    #[default]
    Earliest,
    /// After the last record there is.
    Latest,
}

/// The spec of a connector deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The connector's type, such as "file".
    #[serde(rename = "type")]
    pub kind: String,
    /// A source writes these topics, a sink reads them.
    #[schemars(length(min = 1))]
    pub topics: Vec<String>,
    /// Partitions of a topic that a source writes and that does not exist yet.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub partitions: i32,
    /// What happens to what can't be processed: "fail" stops the connector, "skip" counts it, "dead-letter" keeps it with its cause.
    #[serde(default)]
    #[schemars(with = "Policy")]
    pub errors: ErrorPolicy,
    /// Where dead letters go; the connector's name and "-dead-letters" unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_topic: Option<String>,
    /// Where a sink begins.
    #[serde(default)]
    pub from: From,
    /// The settings of its type.
    #[serde(default)]
    pub settings: Map<String, Value>,
}

/// [`ErrorPolicy`] for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "it only lends its shape to the JSON Schema")]
enum Policy {
    Fail,
    Skip,
    DeadLetter,
}

const fn one() -> i32 {
    1
}

impl Spec {
    /// Where this connector's dead letters go.
    #[must_use]
    pub fn dead_letters(&self, connector: &str) -> Option<String> {
        (self.errors == ErrorPolicy::DeadLetter)
            .then(|| self.dead_letter_topic.clone().unwrap_or_else(|| format!("{connector}-dead-letters")))
    }
}
