//! What a person deployed, and where it is kept.

use crate::Error;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The four faces of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentKind {
    /// A Wasm component.
    Function,
    /// A continuous query.
    Stream,
    /// A source or a sink.
    Connector,
    /// An event pattern with targets.
    Rule,
}

impl DeploymentKind {
    /// The word for it in group names, metrics and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Stream => "stream",
            Self::Connector => "connector",
            Self::Rule => "rule",
        }
    }
}

/// What names a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeploymentKey {
    /// Which face.
    pub kind: DeploymentKind,
    /// The name, unique among its kind.
    pub name: String,
}

impl DeploymentKey {
    /// The consumer group in which the deployment's progress is kept.
    #[must_use]
    pub fn group(&self) -> String {
        format!("millstream-{}-{}", self.kind.word(), self.name)
    }
}

/// Whether a deployment should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// It runs.
    Running,
    /// It keeps its progress and does nothing.
    Paused,
}

/// One deployment as it is stored. A deploy under the same name is its next generation, which goes on from the last committed offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// What names it.
    pub key: DeploymentKey,
    /// From 1; the number of deploys, roll-backs included.
    pub generation: u32,
    /// Counts restarts that were asked for: a change restarts the tasks of the same generation.
    pub restarts: u32,
    /// Whether it should run.
    pub state: DeploymentState,
    /// What it is, in its kind's own words.
    pub spec: serde_json::Value,
    /// The specs of earlier generations, newest last, for a roll-back; at most [`Deployment::HISTORY_MAX`].
    pub history: Vec<(u32, serde_json::Value)>,
}

impl Deployment {
    /// Earlier generations kept.
    pub const HISTORY_MAX: usize = 10;
}

/// The port to the stored deployments (the metadata log).
#[async_trait]
pub trait DeploymentStore: Send + Sync + 'static {
    /// Every deployment now, and again at each change. Sorted by key.
    fn watch(&self) -> watch::Receiver<Vec<Deployment>>;

    /// Stores a deployment under its key. `Conflict` when the stored generation is not the one before (another deploy came between).
    async fn put(&self, deployment: Deployment) -> Result<(), Error>;

    /// Forgets a deployment. `NotFound` when there is none.
    async fn delete(&self, key: &DeploymentKey) -> Result<(), Error>;
}
