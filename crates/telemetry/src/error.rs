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
    /// Nobody has such a logger.
    #[error("there is no logger {logger:?}; expected {ROOT}, a part of this program as millstream_net, or openraft", ROOT = crate::loggers::ROOT)]
    UnknownLogger {
        /// The name that was given.
        logger: String,
    },
    /// No level has this name.
    #[error("{level:?} is no log level; expected TRACE, DEBUG, INFO, WARN, ERROR or FATAL")]
    UnknownLevel {
        /// The level that was given.
        level: String,
    },
    /// The level of everything can't be taken away.
    #[error("the level of {ROOT} can't be deleted; set another one", ROOT = crate::loggers::ROOT)]
    RootLevel,
    /// The process logs by no filter of ours.
    #[error("the log of this process was not set up by logs::init, so its levels can't be changed")]
    NoLog,
    /// Something has set the process's logger before.
    #[error("the log is set up already; call logs::init once in a process")]
    LogTwice,
}

impl Error {
    /// The kind, which decides what a caller does.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Filter { .. } | Self::UnknownLogger { .. } | Self::UnknownLevel { .. } | Self::RootLevel => {
                ErrorKind::Invalid
            }
            Self::LogTwice | Self::NoLog => ErrorKind::Internal,
        }
    }
}
