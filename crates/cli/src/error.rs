//! What a command fails with, in words, and the exit code that says so.

use std::io;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or a file it names is wrong.
    #[error("{0}")]
    Usage(String),
    /// The node refused, with its own words.
    #[error("{0}")]
    Node(String),
    /// No node answers at the address.
    #[error(
        "no node answers at {address} ({reason}); start one with `millstream serve`, or name another with --http HOST:PORT"
    )]
    Unreachable {
        /// The HTTP address.
        address: String,
        /// What the connection failed with.
        reason: String,
    },
    /// A file or another thing of this machine.
    #[error("{0}")]
    Local(String),
    /// The reader of our output went away.
    #[error("the reader of the output went away")]
    PipeClosed,
}

impl Error {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Node(_) | Self::Unreachable { .. } | Self::Local(_) => ExitCode::from(1),
            Self::PipeClosed => ExitCode::SUCCESS,
        }
    }

    /// A failure to do `what` with the file `path`.
    pub fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::Local(format!("can't {what} {}: {error}", path.display()))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::Local(error.to_string()),
        }
    }
}
