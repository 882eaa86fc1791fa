//! Why a connector is not taken, or does not run.

use crate::{Direction, Problem};
use millstream_types::ErrorKind;

/// An error of a connector before its tasks run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Fields of the spec or of the settings are wrong; all of them are listed.
    #[error("{}", list(.0))]
    Spec(Vec<Problem>),
    /// There is no connector type of that name.
    #[error("there is no connector type {name:?}; there are {known}: `millstream connector types` describes them")]
    UnknownType {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A connector of one topic was given several, or none.
    #[error("connector type {name:?} (a {direction}) takes exactly one topic, not {count}: name one in `topics`", direction = .direction.word())]
    OneTopic {
        /// The type's name.
        name: String,
        /// Which way it goes.
        direction: Direction,
        /// How many were given.
        count: usize,
    },
    /// A setting names a secret that the node does not have.
    #[error("the settings name {variable}, which is not in the node's environment: set it and restart the connector")]
    MissingSecret {
        /// The environment variable.
        variable: String,
    },
    /// A setting names a variable that is not for connectors.
    #[error(
        "the settings name the variable {variable:?}; connectors may only read those that begin with {}",
        crate::SECRET_PREFIX
    )]
    ForbiddenSecret {
        /// The environment variable.
        variable: String,
    },
    /// What the outside end needs is not as it should be.
    #[error("{message}")]
    Outside {
        /// What sort of failure.
        kind: ErrorKind,
        /// What it is, with its values and what to do.
        message: String,
    },
}

impl Error {
    /// An error of the outside end.
    #[must_use]
    pub fn outside(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Outside { kind, message: message.into() }
    }

    /// What sort of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Spec(_) | Self::UnknownType { .. } | Self::OneTopic { .. } | Self::ForbiddenSecret { .. } => {
                ErrorKind::Invalid
            }
            Self::MissingSecret { .. } => ErrorKind::NotFound,
            Self::Outside { kind, .. } => *kind,
        }
    }
}

impl std::convert::From<Error> for millstream_task::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
