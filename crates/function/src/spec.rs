//! What a function's deployment says: stored as JSON in the metadata log.

use crate::Error;
use millstream_task::{Deployment, ErrorPolicy, Guarantee};
use millstream_wasm::{ComponentHash, EngineLimits, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most topics a function may read, or write.
const TOPICS_MAX: usize = 64;

/// A function's deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionSpec {
    /// The component's hash (SHA-256, hexadecimal), as its upload answered.
    pub component: String,
    /// The topics it reads; each partition of each becomes a task.
    pub inputs: Vec<String>,
    /// The topics it writes, in the order the function numbers them. Made where they do not exist.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Settings for the function's `configure`: a JSON object.
    #[serde(default = "no_settings")]
    pub settings: serde_json::Value,
    /// What happens to a record it can't process.
    #[serde(default)]
    pub on_error: OnError,
    /// Where such records go when `on_error` is `dead-letter`.
    #[serde(default)]
    pub dead_letter_topic: Option<String>,
    /// Where a task begins the first time.
    #[serde(default)]
    pub from: From,
    /// What is promised of its outputs.
    #[serde(default)]
    pub processing_guarantee: ProcessingGuarantee,
    /// Milliseconds between two commits of outputs and progress; the node's `task.commit.interval.ms` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_interval_ms: Option<u64>,
    /// What its instances may use.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// Whether values that do not fit their topic's schema go the way of `on_error` before the guest sees them.
    #[serde(default)]
    pub check_input_schema: bool,
}

/// What happens to a record that a function can't process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The function stops with the record's error.
    #[default]
    Fail,
    /// The record is counted and left out.
    Skip,
    /// The record goes to the dead-letter topic, with headers that name the cause.
    DeadLetter,
}

impl std::convert::From<OnError> for ErrorPolicy {
    fn from(on_error: OnError) -> Self {
        match on_error {
            OnError::Fail => Self::Fail,
            OnError::Skip => Self::Skip,
            OnError::DeadLetter => Self::DeadLetter,
        }
    }
}

/// What is promised of a function's outputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessingGuarantee {
    /// Readers of committed records see what came of each input once.
    #[default]
    ExactlyOnce,
    /// Outputs are there as soon as they are written, and after a crash some of them again.
    AtLeastOnce,
}

impl std::convert::From<ProcessingGuarantee> for Guarantee {
    fn from(guarantee: ProcessingGuarantee) -> Self {
        match guarantee {
            ProcessingGuarantee::ExactlyOnce => Self::ExactlyOnce,
            ProcessingGuarantee::AtLeastOnce => Self::AtLeastOnce,
        }
    }
}

/// Where a task without progress begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// At the log's start.
    #[default]
    Earliest,
    /// At its end.
    Latest,
}

/// What one instance may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSpec {
    /// Linear memory, in bytes.
    pub memory_bytes: u64,
    /// CPU time for one batch, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes of log given to it at once.
    pub batch_bytes: u64,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, cpu_ms: 2_000, batch_bytes: 1 << 20 }
    }
}

fn no_settings() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

impl FunctionSpec {
    /// Reads and checks a deployment's spec: everything that needs neither the log nor the component.
    ///
    /// # Errors
    /// `Invalid`, with the field, its value and what was expected.
    pub fn of(deployment: &Deployment, engine: EngineLimits) -> Result<Self, Error> {
        let function = &deployment.key.name;
        let spec: Self = serde_json::from_value(deployment.spec.clone())
            .map_err(|error| Error::Spec { function: function.clone(), reason: error.to_string() })?;
        spec.check(function, engine)?;
        Ok(spec)
    }

    fn check(&self, function: &str, engine: EngineLimits) -> Result<(), Error> {
        let field = |field, found: String, expected: &str| Error::Field {
            function: function.to_owned(),
            field,
            found,
            expected: expected.to_owned(),
        };
        self.hash(function)?;
        for (name, topics, least) in [("inputs", &self.inputs, 1), ("outputs", &self.outputs, 0)] {
            if topics.len() < least || topics.len() > TOPICS_MAX {
                return Err(field(name, format!("{} topics", topics.len()), &format!("{least} to {TOPICS_MAX}")));
            }
            if let Some(topic) = topics.iter().find(|topic| !legal(topic)) {
                return Err(field(
                    name,
                    format!("\"{topic}\""),
                    "a topic's name: 1 to 249 of letters, digits, '.', '_' and '-'",
                ));
            }
        }
        if let Some(topic) =
            self.inputs.iter().enumerate().find_map(|(at, topic)| self.inputs[..at].contains(topic).then_some(topic))
        {
            return Err(field("inputs", format!("\"{topic}\" twice"), "each topic once"));
        }
        if !self.settings.is_object() {
            return Err(field("settings", self.settings.to_string(), "a JSON object"));
        }
        self.check_topics(function)?;
        let LimitsSpec { memory_bytes, cpu_ms, batch_bytes } = self.limits;
        let ranges = [
            ("commit_interval_ms", self.commit_interval_ms.unwrap_or(1), 1, 60_000),
            ("limits.memory_bytes", memory_bytes, 1 << 20, engine.memory_bytes_max as u64),
            ("limits.cpu_ms", cpu_ms, 1, 600_000),
            ("limits.batch_bytes", batch_bytes, 1 << 10, 64 << 20),
        ];
        match ranges.into_iter().find(|(_, found, least, most)| !(least..=most).contains(&found)) {
            Some((name, found, least, most)) => Err(field(name, found.to_string(), &format!("{least} to {most}"))),
            None => Ok(()),
        }
    }

    fn check_topics(&self, function: &str) -> Result<(), Error> {
        let field = |found: String, expected: &str| Error::Field {
            function: function.to_owned(),
            field: "dead_letter_topic",
            found,
            expected: expected.to_owned(),
        };
        match (&self.dead_letter_topic, self.on_error) {
            (None, OnError::DeadLetter) => {
                return Err(field("missing".into(), "a topic, since on_error is dead-letter"));
            }
            (Some(topic), OnError::DeadLetter) if !legal(topic) => {
                return Err(field(format!("\"{topic}\""), "a topic's name"));
            }
            (Some(topic), OnError::Fail | OnError::Skip) => {
                return Err(field(format!("\"{topic}\""), "nothing, unless on_error is dead-letter"));
            }
            _ => {}
        }
        let written = self
            .outputs
            .iter()
            .map(|topic| (topic, "output"))
            .chain(self.dead_letter_topic.iter().map(|topic| (topic, "dead-letter topic")));
        match written.into_iter().find(|(topic, _)| self.inputs.contains(topic)) {
            Some((topic, role)) => Err(Error::Loop { function: function.to_owned(), topic: topic.clone(), role }),
            None => Ok(()),
        }
    }

    /// The component's hash.
    ///
    /// # Errors
    /// `Invalid` when it is not one.
    pub fn hash(&self, function: &str) -> Result<ComponentHash, Error> {
        self.component.parse().map_err(|_| Error::Field {
            function: function.to_owned(),
            field: "component",
            found: format!("\"{}\"", self.component),
            expected: "a component's hash: 64 hexadecimal digits, as its upload answers".into(),
        })
    }

    /// The limits of one instance.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            memory_bytes: usize::try_from(self.limits.memory_bytes).unwrap_or(usize::MAX),
            cpu: Duration::from_millis(self.limits.cpu_ms),
            ..Limits::default()
        }
    }
}

/// Whether Kafka takes a topic of that name.
fn legal(topic: &str) -> bool {
    let characters = topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    characters && (1..=249).contains(&topic.len()) && topic != "." && topic != ".."
}
