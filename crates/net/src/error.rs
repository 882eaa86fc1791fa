//! Why a listener did not start or a connection ended.

use millstream_types::ErrorKind;
use std::io;

/// An error of the network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address does not name one on this machine.
    #[error(
        "listener {name}: {address:?} is not an address to listen on: {source}; write HOST:PORT, as in 127.0.0.1:9092"
    )]
    Address {
        /// The listener.
        name: String,
        /// The address as given.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The address can't be listened on.
    #[error("listener {name}: can't listen on {address}: {source}{}", hint(source))]
    Bind {
        /// The listener.
        name: String,
        /// The address as given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The peer is gone, between two requests or within one.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// No byte came or went for as long as the listener allows.
    #[error("no byte came or went for {idle_ms} ms")]
    Idle {
        /// The limit, in milliseconds.
        idle_ms: u128,
    },
    /// The rest of a frame did not come, or came too slowly.
    #[error(
        "{received} bytes of a frame came, and {waited_ms} ms went by waiting for the rest; it may pause for {wait_ms} ms, and has to come at 4096 bytes a second"
    )]
    SlowFrame {
        /// Bytes that are here, of its length or of the frame itself.
        received: usize,
        /// How long it was waited for, in milliseconds.
        waited_ms: u128,
        /// How long it may pause, in milliseconds.
        wait_ms: u128,
    },
    /// A frame's length is negative or above the limit.
    #[error(
        "a frame of {len} bytes was announced; it must be 0 to {max} (socket.request.max.bytes). Is the peer a Kafka client?"
    )]
    FrameLength {
        /// The length as sent.
        len: i32,
        /// The limit.
        max: usize,
    },
    /// A peer speaks TLS where nothing does.
    #[error(
        "the peer speaks TLS, and this listener does not; give the client the address of one that does, or security.protocol without SSL"
    )]
    TlsToPlaintext,
    /// TLS was not agreed on.
    #[error("no TLS with the peer: {0}")]
    Handshake(String),
    /// A listener's certificates can't be used.
    #[error("listener {listener}: {path}: {reason}")]
    Certificate {
        /// The listener.
        listener: String,
        /// The file.
        path: String,
        /// What is wrong with it, and what was expected.
        reason: String,
    },
    /// A file was cut while a range of it was being sent.
    #[error("a file was cut at byte {position} while it was being sent")]
    Truncated {
        /// The byte that is no longer there.
        position: u64,
    },
    /// The handler wants the connection closed.
    #[error("{0}")]
    Refused(String),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// The socket or a file failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; another process has the port: stop it or choose another port",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a right that this process lacks: choose a higher one"
        }
        io::ErrorKind::AddrNotAvailable => "; the address is not one of this machine's",
        _ => "",
    }
}

impl Error {
    /// The kind, which decides what a caller does.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Address { .. }
            | Self::FrameLength { .. }
            | Self::Refused(_)
            | Self::TlsToPlaintext
            | Self::Handshake(_)
            | Self::Certificate { .. } => ErrorKind::Invalid,
            Self::Bind { .. } | Self::PeerClosed | Self::Stopping | Self::Truncated { .. } | Self::Io(_) => {
                ErrorKind::Unavailable
            }
            Self::Idle { .. } | Self::SlowFrame { .. } => ErrorKind::Timeout,
        }
    }

    /// The label of the closing in metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Address { .. } | Self::Bind { .. } | Self::Certificate { .. } | Self::Io(_) => "error",
            Self::PeerClosed => "peer",
            Self::Idle { .. } => "idle",
            Self::SlowFrame { .. } => "slow_frame",
            Self::FrameLength { .. } => "frame_length",
            Self::TlsToPlaintext | Self::Handshake(_) => "tls",
            Self::Truncated { .. } => "truncated",
            Self::Refused(_) => "refused",
            Self::Stopping => "stopping",
        }
    }
}
