//! What can go wrong with a function's deployment, its component or its project.

use millstream_types::ErrorKind;
use millstream_wasm::ComponentHash;
use std::path::PathBuf;

/// An error about a function.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec does not read.
    #[error("function {function}: the spec does not read: {reason}")]
    Spec {
        /// Which function.
        function: String,
        /// What the parser says.
        reason: String,
    },
    /// A field of the spec can't be right.
    #[error("function {function}: {field} is {found}; expected {expected}")]
    Field {
        /// Which function.
        function: String,
        /// Which field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// An output is an input.
    #[error(
        "function {function}: topic \"{topic}\" is both its input and its {role}: it would read what it writes, for ever. Write to another topic"
    )]
    Loop {
        /// Which function.
        function: String,
        /// Which topic.
        topic: String,
        /// "output" or "dead-letter topic".
        role: &'static str,
    },
    /// The input is to be checked and has no schema.
    #[error(
        "function {function}: check_input_schema is set, and topic \"{topic}\" has no schema under \"{subject}\"; register one, or leave it out"
    )]
    NoSchema {
        /// Which function.
        function: String,
        /// Which topic.
        topic: String,
        /// The subject that was looked up.
        subject: String,
    },
    /// The schema can't be used.
    #[error("function {function}: the schema of topic \"{topic}\" can't be used: {reason}")]
    BadSchema {
        /// Which function.
        function: String,
        /// Which topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// No such component.
    #[error("there is no component {hash}; upload it first (PUT /v1/components), as `millstream function deploy` does")]
    NoComponent {
        /// Its hash.
        hash: ComponentHash,
    },
    /// The stored component is not what it was.
    #[error("component {hash} is damaged in topic {topic}: {reason}. Upload it again")]
    Damaged {
        /// Its hash.
        hash: ComponentHash,
        /// The topic.
        topic: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The engine or the guest.
    #[error(transparent)]
    Wasm(#[from] millstream_wasm::Error),
    /// The log.
    #[error(transparent)]
    Log(#[from] millstream_task::Error),
    /// A file or folder of a project.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What went wrong and what was expected.
        reason: String,
    },
    /// A tool is missing.
    #[error("{tool} is needed to build this function and was not found. {remedy}")]
    Tool {
        /// Which.
        tool: String,
        /// What installs it.
        remedy: &'static str,
    },
    /// The build failed.
    #[error("{command} failed:\n{output}")]
    Build {
        /// The command.
        command: String,
        /// What it printed.
        output: String,
    },
}

impl Error {
    /// What sort of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Spec { .. }
            | Self::Field { .. }
            | Self::Loop { .. }
            | Self::BadSchema { .. }
            | Self::File { .. }
            | Self::Build { .. } => ErrorKind::Invalid,
            Self::NoSchema { .. } | Self::NoComponent { .. } | Self::Tool { .. } => ErrorKind::NotFound,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Wasm(error) => error.kind(),
            Self::Log(error) => error.kind,
        }
    }
}

impl From<Error> for millstream_task::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
