//! A continuous query as it is deployed.

use crate::Error;
use millstream_task::{ErrorPolicy, Guarantee};
use serde::{Deserialize, Serialize};

/// What a `CREATE STREAM` statement asks for. Stored as the spec of its deployment: fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// Its name.
    pub name: String,
    /// The whole statement, for people.
    pub sql: String,
    /// Its query.
    pub query: String,
    /// The topic it reads.
    pub input: String,
    /// The topic it writes: called as the stream is, where `topic` does not say otherwise.
    pub output: String,
    /// The JSON Schema of what it writes, to be registered under `<output>-value` before it is deployed.
    pub schema: String,
    /// How many partitions the output gets where it does not exist: those of the input where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// What happens to a record that does not fit the input's schema, or that an expression fails on.
    #[serde(default)]
    pub on_error: ErrorPolicy,
    /// Where it begins: at the input's start, or at its end.
    #[serde(default = "yes")]
    pub from_earliest: bool,
    /// What is promised of what it writes.
    #[serde(default)]
    pub guarantee: Guarantee,
    /// Milliseconds between two commits; the node's `task.commit.interval.ms` where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_interval_ms: Option<u64>,
}

const fn yes() -> bool {
    true
}

impl StreamSpec {
    /// The subject that its schema is registered under.
    #[must_use]
    pub fn subject(&self) -> String {
        millstream_schema::value_subject(&self.output)
    }

    /// Where its dead letters go, if its policy is to write them.
    #[must_use]
    pub fn dead_letter_topic(&self) -> Option<String> {
        (self.on_error == ErrorPolicy::DeadLetter).then(|| format!("{}-dead-letters", self.name))
    }

    /// Reads it from a deployment.
    ///
    /// # Errors
    /// When it is not one.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, Error> {
        serde_json::from_value(value.clone())
            .map_err(|error| Error::Invalid { reason: format!("this is no spec of a stream: {error}") })
    }
}
