//! What a connector type is, to those who write one and to those who use one.

use crate::Error;
use millstream_runtime::Runtime;
use millstream_task::{ErrorPolicy, Operator, SourceWorker};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Which way records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Into the log.
    Source,
    /// Out of the log.
    Sink,
}

impl Direction {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

/// A connector type in a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The name in specs.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// Whether it works with exactly one topic.
    pub one_topic: bool,
}

/// A connector type as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectorType {
    /// The name in specs.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Which way it goes.
    pub direction: Direction,
    /// What it does.
    pub summary: String,
    /// The JSON Schema of its settings, with the docs of each.
    pub settings: Value,
}

/// What a source's worker is made from.
pub struct SourceContext {
    /// Clock, random, compute, tasks.
    pub runtime: Runtime,
    /// The connector's name.
    pub connector: String,
    /// The topics it writes, as `SourceOutput::topic` counts them.
    pub topics: Vec<String>,
    /// Which of its tasks.
    pub task: String,
    /// Where to go on; nothing at the first start and after a reset.
    pub position: Option<Value>,
    /// What happens to what can't be made into a record.
    pub policy: ErrorPolicy,
}

/// What a sink's worker is made from.
pub struct SinkContext {
    /// Clock, random, compute, tasks.
    pub runtime: Runtime,
    /// The connector's name.
    pub connector: String,
    /// The topic it reads.
    pub topic: String,
    /// The partition it reads.
    pub partition: i32,
    /// What happens to a record it can't deliver.
    pub policy: ErrorPolicy,
}

/// A connector type that brings records in.
pub trait Source: Send + Sync + 'static {
    /// Its settings: serde with `deny_unknown_fields`, every field documented.
    type Settings: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Its name and what it does.
    fn about(&self) -> About;

    /// Checks what the settings' schema can't say. No I/O.
    ///
    /// # Errors
    /// What is wrong, as [`Error::Spec`].
    fn check(&self, settings: &Self::Settings) -> Result<(), Error> {
        let _ = settings;
        Ok(())
    }

    /// The names of its tasks, each with a position of its own.
    fn tasks(&self, settings: &Self::Settings) -> Vec<String> {
        let _ = settings;
        vec!["0".to_owned()]
    }

    /// Makes the worker of one task. It opens what it reads at its first poll.
    ///
    /// # Errors
    /// A position that it does not understand.
    fn worker(&self, settings: &Arc<Self::Settings>, context: SourceContext) -> Result<Box<dyn SourceWorker>, Error>;
}

/// A connector type that takes records out. There is one task for each partition of its topics.
pub trait Sink: Send + Sync + 'static {
    /// Its settings: serde with `deny_unknown_fields`, every field documented.
    type Settings: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Its name and what it does.
    fn about(&self) -> About;

    /// Checks what the settings' schema can't say. No I/O.
    ///
    /// # Errors
    /// What is wrong, as [`Error::Spec`].
    fn check(&self, settings: &Self::Settings) -> Result<(), Error> {
        let _ = settings;
        Ok(())
    }

    /// Makes the worker of one partition: an operator without outputs.
    ///
    /// # Errors
    /// Settings that can't work.
    fn worker(&self, settings: &Arc<Self::Settings>, context: SinkContext) -> Result<Box<dyn Operator>, Error>;
}
