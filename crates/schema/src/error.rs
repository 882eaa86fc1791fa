//! What can go wrong with a schema or with a value of it.

use crate::SchemaType;
use millstream_types::ErrorKind;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not a schema of its type.
    #[error("this is not a valid {schema_type} schema: {reason}; correct the schema text and register it again")]
    InvalidSchema {
        /// What it was taken for.
        schema_type: SchemaType,
        /// What is wrong with it.
        reason: String,
    },
    /// A schema type that has a name but that this version can't read yet.
    #[error("schemas of type {schema_type} are not supported yet; use AVRO or JSON")]
    Unsupported {
        /// The type.
        schema_type: SchemaType,
    },
    /// A word that names no schema type.
    #[error("{word:?} is not a schema type; use AVRO or JSON")]
    UnknownType {
        /// The word.
        word: String,
    },
    /// A word that names no compatibility level.
    #[error(
        "{word:?} is not a compatibility level; use NONE, BACKWARD, FORWARD, FULL, or one of the last three with _TRANSITIVE"
    )]
    UnknownLevel {
        /// The word.
        word: String,
    },
    /// A reference leads nowhere.
    #[error(
        "the reference {name:?} names version {version} of the subject {subject:?}, which is not registered; register it first"
    )]
    UnresolvedReference {
        /// The name used in the schema's text.
        name: String,
        /// The subject it points at.
        subject: String,
        /// The version it points at.
        version: i32,
    },
    /// References lead in a circle or too deep.
    #[error("the references of this schema are more than {limit} deep; they may form a circle: break it")]
    ReferencesTooDeep {
        /// How deep they may be.
        limit: usize,
    },
    /// A schema larger than is accepted.
    #[error("the schema has {size} bytes and the limit is {limit}; split it into references")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A value does not conform to its schema.
    #[error("the value does not fit its schema: {reason}")]
    Misfit {
        /// Where and why.
        reason: String,
    },
    /// Arrow refused what should have been right.
    #[error("columns could not be built: {reason}; this is a bug in Millstream")]
    Columns {
        /// Arrow's words.
        reason: String,
    },
}

impl Error {
    /// What sort of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidSchema { .. }
            | Self::Unsupported { .. }
            | Self::UnknownType { .. }
            | Self::UnknownLevel { .. }
            | Self::UnresolvedReference { .. }
            | Self::ReferencesTooDeep { .. }
            | Self::TooLarge { .. }
            | Self::Misfit { .. } => ErrorKind::Invalid,
            Self::Columns { .. } => ErrorKind::Internal,
        }
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Columns { reason: error.to_string() }
    }
}
