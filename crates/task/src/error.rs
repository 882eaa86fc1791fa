//! What can go wrong in a task, and in what it asks of the log.

use millstream_types::ErrorKind;

/// An error of a task or of its ports: a kind, and words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What sort of failure; it alone decides whether the task retries.
    pub kind: ErrorKind,
    /// What failed, with its values and what to do next.
    pub message: String,
}

impl Error {
    /// An error of `kind` that says `message`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
