//! What can go wrong with a statement.

use millstream_types::ErrorKind;

/// An error of this crate, in words for whoever wrote the statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not SQL.
    #[error("the statement can't be parsed: {reason}")]
    Syntax {
        /// The parser's reason with its place.
        reason: String,
    },
    /// The statement is larger or deeper than is taken.
    #[error("the statement has {what} {value}, and the limit is {limit}; simplify it or split it")]
    TooComplex {
        /// What of it: a nesting depth, bytes.
        what: &'static str,
        /// How much it has.
        value: usize,
        /// How much it may have.
        limit: usize,
    },
    /// There is nothing to run.
    #[error("there is no statement; write one, such as SELECT * FROM \"my-topic\" LIMIT 10")]
    Empty,
    /// More than one statement where one is expected.
    #[error("there are {count} statements and one is expected; send them one by one")]
    Several {
        /// How many.
        count: usize,
    },
    /// A statement of a kind that is not offered.
    #[error("{what} is not supported: {instead}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What to do instead.
        instead: String,
    },
    /// A column that is not there.
    #[error("there is no column {column:?}{place}; {hint}")]
    UnknownColumn {
        /// The column.
        column: String,
        /// ` in "table"`, where it is known.
        place: String,
        /// What there is.
        hint: String,
    },
    /// A table that is not there.
    #[error("there is no topic or table {table:?}; {hint}")]
    UnknownTable {
        /// The table.
        table: String,
        /// What there is.
        hint: String,
    },
    /// The statement is SQL but makes no sense, or its data does not allow it.
    #[error("{reason}")]
    Invalid {
        /// Why.
        reason: String,
    },
    /// A query's memory is used up.
    #[error(
        "the query needs more than its {limit} bytes of memory ({reason}); narrow it by WHERE or LIMIT, or raise sql.memory.bytes"
    )]
    Memory {
        /// What it may use.
        limit: usize,
        /// What asked for more.
        reason: String,
    },
    /// A query's time is used up.
    #[error(
        "the query ran longer than {limit_ms} ms and was stopped; narrow it by _timestamp or _offset, or raise sql.time.ms"
    )]
    Time {
        /// What it may take.
        limit_ms: u128,
    },
    /// Too many queries at once.
    #[error("{limit} queries are running, which is the limit; wait for one to end, or raise sql.concurrency")]
    Busy {
        /// How many may run.
        limit: usize,
    },
    /// The log could not be read.
    #[error("{message}")]
    Log {
        /// What sort of failure.
        kind: ErrorKind,
        /// The log's words.
        message: String,
    },
    /// The schema registered for a topic can't be used.
    #[error("the schema registered for the topic {topic:?} can't be used: {reason}")]
    Schema {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// The node is stopping, or a computation was lost.
    #[error("the query was cut off: {reason}")]
    Lost {
        /// Why.
        reason: String,
    },
    /// A bug.
    #[error("{reason}; this is a bug in Millstream")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl Error {
    /// What sort of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax { .. }
            | Self::TooComplex { .. }
            | Self::Empty
            | Self::Several { .. }
            | Self::Unsupported { .. }
            | Self::UnknownColumn { .. }
            | Self::Invalid { .. }
            | Self::Schema { .. } => ErrorKind::Invalid,
            Self::UnknownTable { .. } => ErrorKind::NotFound,
            Self::Memory { .. } => ErrorKind::Exhausted,
            Self::Time { .. } => ErrorKind::Timeout,
            Self::Busy { .. } => ErrorKind::Throttled,
            Self::Log { kind, .. } => *kind,
            Self::Lost { .. } => ErrorKind::Unavailable,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }
}

impl From<millstream_task::Error> for Error {
    fn from(error: millstream_task::Error) -> Self {
        Self::Log { kind: error.kind, message: error.message }
    }
}

impl From<Error> for millstream_task::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<Error> for datafusion::error::DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}
