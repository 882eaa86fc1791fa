//! What a decision comes to: the records to commit and the answer to give once they are committed.

use crate::Record;

/// Records to commit together, and what the caller is told when they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<T> {
    /// Committed and replayed all together or not at all. Empty when nothing changes.
    pub records: Vec<Record>,
    /// True once the records are committed.
    pub answer: T,
}

impl<T> Decision<T> {
    /// A decision that changes what `records` say.
    #[must_use]
    pub const fn new(records: Vec<Record>, answer: T) -> Self {
        Self { records, answer }
    }

    /// A decision that changes nothing.
    #[must_use]
    pub const fn unchanged(answer: T) -> Self {
        Self { records: Vec::new(), answer }
    }

    /// The same records with another answer.
    pub fn map<U>(self, answer: impl FnOnce(T) -> U) -> Decision<U> {
        Decision { records: self.records, answer: answer(self.answer) }
    }
}
