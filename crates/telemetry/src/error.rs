//! What can go wrong here.

use millstream_types::ErrorKind;

/// An error of telemetry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter of the log does not parse.
    #[error(
        "log filter {filter:?} is not valid: {reason}; write level or target=level, separated by commas, as in \"info,millstream_net=debug\""
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser said.
        reason: String,
    },
    /// Something has set the process's logger before.
    #[error("the log is set up already; call logs::init once in a process")]
    LogTwice,
}

impl Error {
    /// The kind, which decides what a caller does.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Filter { .. } => ErrorKind::Invalid,
            Self::LogTwice => ErrorKind::Internal,
        }
    }
}
