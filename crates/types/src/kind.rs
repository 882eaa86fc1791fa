//! What sort of failure an error is: the one thing callers may branch on.

use serde::{Deserialize, Serialize};

/// The kind of an error. It alone decides whether a caller retries, and which Kafka code, HTTP status and exit code it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request itself is wrong and will stay so.
    Invalid,
    /// The caller may not do this.
    Unauthorized,
    /// What was named does not exist.
    NotFound,
    /// It exists already, or changed meanwhile.
    Conflict,
    /// Another node leads this partition or group.
    NotLeader,
    /// A newer epoch of the caller exists.
    Fenced,
    /// Too fast: slow down and send it again.
    Throttled,
    /// A limit on memory, disk or count is reached.
    Exhausted,
    /// Not now: starting, stopping, or something it needs is away.
    Unavailable,
    /// Nothing was decided in time; it may still happen.
    Timeout,
    /// Stored or sent bytes are not what they were.
    Corrupt,
    /// A guest trapped, ran out of its limits or answered nonsense.
    Guest,
    /// A broken invariant of ours.
    Internal,
}

impl ErrorKind {
    /// Whether the same request may succeed later, unchanged.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        match self {
            Self::NotLeader | Self::Throttled | Self::Exhausted | Self::Unavailable | Self::Timeout => true,
            Self::Invalid
            | Self::Unauthorized
            | Self::NotFound
            | Self::Conflict
            | Self::Fenced
            | Self::Corrupt
            | Self::Guest
            | Self::Internal => false,
        }
    }
}
