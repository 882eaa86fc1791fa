//! Why the service could not be made. What a request can meet is in `codes.rs`.

use millstream_types::{ConfigError, ErrorKind};

/// An option of the broker is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Unknown, or out of range.
    #[error(transparent)]
    Option(#[from] ConfigError),
    /// It passed its check and does not fit where it is used.
    #[error("invalid value {value:?} for {name}: it does not fit its use; lower it")]
    Unreadable {
        /// The option.
        name: &'static str,
        /// The value.
        value: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes; is /dev/urandom there?")]
    Random,
}

impl Error {
    /// The kind, by which callers decide.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Option(_) | Self::Unreadable { .. } => ErrorKind::Invalid,
            Self::Random => ErrorKind::Unavailable,
        }
    }
}
