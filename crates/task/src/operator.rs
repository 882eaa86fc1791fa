//! What a deployment does with a batch: the port that Wasm, SQL, connectors and the bus implement.

use crate::{Deployment, DeploymentKind, Error, SourcePlan};
use async_trait::async_trait;
use millstream_record::{Columns, Outcome};
use millstream_types::{ErrorKind, Offset, TopicPartition};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happens to a record that an operator could not process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorPolicy {
    /// The task stops with the record's error; nothing after it is read until someone acts.
    #[default]
    Fail,
    /// The record is counted and left out.
    Skip,
    /// The record is written, with headers that name the cause, to the deployment's dead-letter topic.
    DeadLetter,
}

/// What a deployment promises of its outputs (`processing.guarantee`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guarantee {
    /// Outputs, dead letters and progress are committed in one transaction: readers of committed records see what came of each input once.
    #[default]
    ExactlyOnce,
    /// Outputs are there as soon as they are written, and after a crash some of them again.
    AtLeastOnce,
}

/// Why a whole batch came to nothing. Kinds that are retriable make the task try the batch again with back-off; `Guest` makes it look
/// for the one record that is to blame (halves, then single records) and treat that by the error policy; every other kind stops the task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OperatorError {
    /// What sort of failure.
    pub kind: ErrorKind,
    /// What failed, for a person.
    pub message: String,
}

impl OperatorError {
    /// An error of `kind` that says `message`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<OperatorError> for Error {
    fn from(error: OperatorError) -> Self {
        Self::new(error.kind, error.message)
    }
}

/// One task's own worker: it sees its partition's batches in order, one at a time.
#[async_trait]
pub trait Operator: Send {
    /// Processes one batch. It may be given the same records again after an error, a restart or a move; under
    /// [`Guarantee::ExactlyOnce`] only where nothing that came of them counts.
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError>;

    /// How far progress may be committed when everything before `processed` has been given to this worker. A sink that gathers
    /// records answers with the first one it still holds: after a restart it is given them again. It is not asked under
    /// [`Guarantee::ExactlyOnce`], where all that came of a batch is written with it.
    fn settled(&self, processed: Offset) -> Offset {
        processed
    }

    /// Called every commit interval, whether or not there was input: time to write what has waited too long.
    async fn tick(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }

    /// Called once when the task stops in order (pause, restart, shutdown), before its last commit.
    async fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

/// How a deployment is to be run: the outcome of validating and compiling its spec.
pub struct Plan {
    /// The topics it reads; each partition of each becomes one task.
    pub inputs: Vec<String>,
    /// The topics it writes, as [`Output::topic`](crate::Output::topic) counts them. Made with the inputs' partition count where they do not exist.
    pub outputs: Vec<String>,
    /// What happens to a record it can't process.
    pub policy: ErrorPolicy,
    /// Where dead letters go, where the policy says so.
    pub dead_letter_topic: Option<String>,
    /// What is promised of the outputs. Without any topic to write there is nothing to promise, and progress is committed by itself.
    pub guarantee: Guarantee,
    /// Time between two commits; none: the host's.
    pub commit_interval: Option<Duration>,
    /// Where a task without a committed offset begins: at the log's start, or at its end.
    pub from_earliest: bool,
    /// At most this many bytes of log are read for one batch.
    pub batch_bytes_max: usize,
    /// Makes the worker of one task.
    #[expect(clippy::type_complexity, reason = "a factory is a function, and this is its type")]
    pub operator: Box<dyn Fn(TopicPartition) -> Result<Box<dyn Operator>, Error> + Send + Sync>,
}

impl Plan {
    /// Whether outputs and progress are committed in transactions.
    pub(crate) fn is_transactional(&self) -> bool {
        let writes = !self.outputs.is_empty() || self.dead_letter_topic.is_some();
        self.guarantee == Guarantee::ExactlyOnce && writes
    }
}

/// One face of tasks: turns stored specs into plans.
#[async_trait]
pub trait Kind: Send + Sync + 'static {
    /// Which face this is.
    fn kind(&self) -> DeploymentKind;

    /// Checks a spec before it is stored: everything that can be known without running it.
    async fn validate(&self, deployment: &Deployment) -> Result<(), Error>;

    /// Prepares a stored deployment to run: compiles, looks topics up. Never on a request's path.
    async fn plan(&self, deployment: &Deployment) -> Result<Plan, Error>;

    /// As [`Self::plan`], for a kind that also has deployments without an input in the log.
    async fn work(&self, deployment: &Deployment) -> Result<Work, Error> {
        Ok(Work::Operator(self.plan(deployment).await?))
    }
}

/// What the tasks of a deployment do.
pub enum Work {
    /// They read the log.
    Operator(Plan),
    /// They read something else, and write the log.
    Source(SourcePlan),
}
