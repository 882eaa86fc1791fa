//! Why a frame was not taken or an answer not made.

use crate::{ApiKey, StrBytes, features, response};
use bytes::Bytes;
use millstream_types::ErrorKind;

/// A frame that breaks the protocol's own rules. Its connection can't be trusted to be in step and is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer bytes than every request has.
    #[error("a request of {len} bytes is shorter than its fixed header of 8 bytes")]
    ShortHeader {
        /// Bytes in the frame.
        len: usize,
    },
    /// A length, count or marker that can't be true of the bytes that follow it.
    #[error("{message} v{version}, field {path}: {fault}")]
    Field {
        /// The message, by Kafka's name.
        message: &'static str,
        /// Its version.
        version: i16,
        /// The field, from the outermost, with indexes: `Topics[3].Partitions[0].Records`.
        path: String,
        /// What is wrong there.
        fault: crate::shape::Fault,
    },
    /// The lengths are right but the content is not (a text that is not UTF-8).
    #[error("{api:?} v{version}: {reason}")]
    Content {
        /// The API.
        api: ApiKey,
        /// Its version.
        version: i16,
        /// What the decoder said.
        reason: String,
    },
}

/// A request that is not served.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It breaks the protocol's rules. Close the connection.
    #[error("malformed request: {0}")]
    Malformed(#[from] Malformed),
    /// Its API is not one of ours. Kafka closes the connection, and so do we.
    #[error("API key {key} is not served; ApiVersions tells which are")]
    UnknownApi {
        /// The key as sent.
        key: i16,
        /// Its version.
        version: i16,
        /// The request's number within its connection.
        correlation_id: i32,
    },
    /// Its version is not one of ours. ApiVersions gets an answer ([`Refused::answer`]); otherwise the connection is closed, as Kafka does.
    #[error("{api:?} v{version} is not served; ApiVersions tells which versions are")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The version as sent.
        version: i16,
        /// The request's number within its connection.
        correlation_id: i32,
        /// The client's name for itself, where it could be read.
        client_id: Option<StrBytes>,
    },
}

impl Refused {
    /// The frame to answer with before going on; none means: close the connection.
    #[must_use]
    pub fn answer(&self) -> Option<Bytes> {
        match self {
            Self::UnsupportedVersion { api: ApiKey::ApiVersions, correlation_id, .. } => {
                let body = features::unsupported_api_versions_response();
                response::encode(&body, 0, *correlation_id).ok()
            }
            Self::Malformed(_) | Self::UnknownApi { .. } | Self::UnsupportedVersion { .. } => None,
        }
    }

    /// The kind, which decides what a caller does.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed(_) | Self::UnknownApi { .. } | Self::UnsupportedVersion { .. } => ErrorKind::Invalid,
        }
    }
}

/// An answer or request of ours that could not be encoded, or a peer's that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value has no place in this version of the message.
    #[error("can't encode {message} v{version}: {reason}")]
    Encode {
        /// The message's type.
        message: &'static str,
        /// Its version.
        version: i16,
        /// What the encoder said.
        reason: String,
    },
    /// More bytes than a frame's length can say.
    #[error("{message} of {len} bytes does not fit a frame, which holds 2147483647")]
    TooLarge {
        /// The message's type.
        message: &'static str,
        /// Its bytes.
        len: usize,
    },
    /// A peer's answer does not decode.
    #[error("can't decode {message} v{version}: {reason}")]
    Decode {
        /// The message's type.
        message: &'static str,
        /// Its version.
        version: i16,
        /// What the decoder said.
        reason: String,
    },
}

impl Error {
    /// The kind, which decides what a caller does.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Encode { .. } | Self::TooLarge { .. } => ErrorKind::Internal,
            Self::Decode { .. } => ErrorKind::Corrupt,
        }
    }
}
