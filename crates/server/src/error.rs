//! Why a node does not start, or does not stop in order.

use millstream_types::ErrorKind;
use std::net::SocketAddr;

/// Why a node failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] crate::SettingsError),
    /// A listener of Kafka's protocol can't listen.
    #[error(transparent)]
    Net(#[from] millstream_net::Error),
    /// HTTP can't listen.
    #[error(
        "can't listen for HTTP at {address}: {source}; stop what listens there, or choose another address with --http HOST:PORT"
    )]
    Http {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The metadata quorum does not start, or the data folder is not ours.
    #[error(transparent)]
    Quorum(#[from] millstream_quorum::Error),
    /// The data folder can't be used.
    #[error(transparent)]
    Partition(#[from] millstream_partition::Error),
    /// The broker's options are wrong.
    #[error(transparent)]
    Broker(#[from] millstream_broker::Error),
    /// A part that tasks need does not start.
    #[error("{what}: {reason}")]
    Part {
        /// Which part.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Settings(error) => error.kind(),
            Self::Net(error) => error.kind(),
            Self::Http { .. } => ErrorKind::Conflict,
            Self::Quorum(error) => error.kind(),
            Self::Partition(error) => error.kind(),
            Self::Broker(error) => error.kind(),
            Self::Part { .. } => ErrorKind::Unavailable,
        }
    }
}
