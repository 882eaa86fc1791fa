//! What came of a batch that was transformed: new records by output, and the inputs that could not be processed.

use crate::Columns;

/// Records for one output topic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// Which of the deployment's output topics, from 0.
    pub topic: usize,
    /// The records, in order of input.
    pub records: Columns,
    /// For each record, the index of the input record it came from: it decides the partition where it has no key, and its timestamp
    /// where the transform gave none.
    pub inputs: Vec<u32>,
}

/// One input record that could not be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its index in the input.
    pub input: u32,
    /// Why, for a person.
    pub message: String,
}

/// What came of one batch. An input in neither list was dropped on purpose.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What is to be written; outputs without records may be left out.
    pub outputs: Vec<Output>,
    /// What could not be processed, in order of input.
    pub failures: Vec<Failure>,
}
