//! What came of one batch, by output.

use millstream_record::Columns;

/// Records for one output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// Which of the deployment's outputs, from 0.
    pub topic: usize,
    /// The records, in order of input.
    pub records: Columns,
    /// For each record, the index of the input record it came from.
    pub inputs: Vec<u32>,
}

/// One input record that the guest could not process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its index in the input.
    pub input: u32,
    /// Why, in the guest's words.
    pub message: String,
}

/// What came of one batch. An input in neither list was dropped on purpose.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What is to be written; outputs without records are left out.
    pub outputs: Vec<Output>,
    /// What could not be processed, in order of input.
    pub failures: Vec<Failure>,
}
