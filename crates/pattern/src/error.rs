//! Why a pattern or an event was refused.

use millstream_types::ErrorKind;

/// A refused pattern or event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Part of a pattern is not in the grammar.
    #[error("pattern field {path}: expected {expected}, found {found}")]
    Pattern {
        /// The field, from the top, with dots.
        path: String,
        /// What the grammar has there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// A text is not JSON.
    #[error("the {what} is not JSON: {problem}")]
    Json {
        /// Pattern or event.
        what: &'static str,
        /// Where and why.
        problem: String,
    },
    /// A limit is passed.
    #[error("the {what} has {found} {unit}; at most {limit} are accepted")]
    TooLarge {
        /// Pattern or event.
        what: &'static str,
        /// How much it has.
        found: usize,
        /// How much it may have.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
}

impl Error {
    /// What sort of failure this is: always the caller's.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Pattern { .. } | Self::Json { .. } | Self::TooLarge { .. } => ErrorKind::Invalid,
        }
    }
}
