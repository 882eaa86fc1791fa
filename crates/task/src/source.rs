//! What brings records into the log from outside: the port that source connectors implement.

use crate::{Error, ErrorPolicy, OperatorError};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_record::Columns;
use serde::{Deserialize, Serialize};

/// Something outside that could not be made into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFailure {
    /// Where it was: "line 17 of flights.csv".
    pub place: String,
    /// Why, for a person.
    pub message: String,
    /// What was there; it is the value of the dead letter.
    pub raw: Bytes,
}

/// How much is left to do, in a unit that the reader knows: records, bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// How much.
    pub amount: u64,
    /// Of what.
    pub unit: String,
}

/// Records for one output topic of a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceOutput {
    /// Which of the plan's output topics.
    pub topic: usize,
    /// The records. One without a timestamp (-1) gets the time at which it is appended.
    pub records: Columns,
}

/// What one poll brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceBatch {
    /// What is to be written.
    pub outputs: Vec<SourceOutput>,
    /// What could not be made into records. Where the policy is [`ErrorPolicy::Fail`] the batch ends at the first one.
    pub failures: Vec<SourceFailure>,
    /// Where to go on after this batch: what a new worker is given. Under [`ErrorPolicy::Fail`] that is before the failure, so that it
    /// is met again. None where the source has no position (it does not read, it is told).
    pub position: Option<serde_json::Value>,
    /// How much is left outside, where that is known.
    pub lag: Option<Lag>,
    /// Whether there will never be more.
    pub finished: bool,
}

/// A record that the log did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which of the batch's outputs, by its place in [`SourceBatch::outputs`].
    pub output: usize,
    /// Which record of it.
    pub record: usize,
    /// Why.
    pub message: String,
}

/// One task of a source. A worker is dropped after an error, and a new one made from the last position whose records are in the log.
#[async_trait]
pub trait SourceWorker: Send {
    /// Waits for more and returns it. It may be dropped while it waits, and the worker with it; then nothing of it was written.
    async fn poll(&mut self) -> Result<SourceBatch, OperatorError>;

    /// Everything of the last poll is in the log now but for `refused`: who waits for it can be told.
    async fn appended(&mut self, refused: &[Refused]) {
        let _ = refused;
    }

    /// Called once before the worker is dropped in order: lets go of what a successor needs (a listener's port).
    async fn close(&mut self) {}
}

/// How a source deployment is to be run.
pub struct SourcePlan {
    /// The topics it writes, as [`SourceOutput::topic`] counts them.
    pub outputs: Vec<String>,
    /// How many partitions an output topic gets that does not exist.
    pub partitions: i32,
    /// What happens to what can't be made into a record.
    pub policy: ErrorPolicy,
    /// Where dead letters go, where the policy says so.
    pub dead_letter_topic: Option<String>,
    /// The tasks' names, each with a position of its own: "0", or what it reads.
    pub tasks: Vec<String>,
    /// Makes the worker of one task, at a stored position where there is one.
    #[expect(clippy::type_complexity, reason = "a factory is a function, and this is its type")]
    pub worker: Box<dyn Fn(&str, Option<serde_json::Value>) -> Result<Box<dyn SourceWorker>, Error> + Send + Sync>,
}
