//! The connector host, and the traits that connectors implement.
//!
//! A connector is a deployment with an outside end: a [`Source`] brings records in, a [`Sink`] takes them out. Its lifecycle, retries,
//! error policy and status are those of the task runtime; this crate owns what is particular to connectors: which types there are, what
//! settings they take, and how a stored spec becomes work. It knows no connector.

mod connector;
mod error;
mod problem;
mod registry;
mod secret;
mod spec;

pub use connector::{About, ConnectorType, Direction, Sink, SinkContext, Source, SourceContext};
pub use error::Error;
pub use problem::Problem;
pub use registry::Connectors;
pub use secret::{Environment, SECRET_PREFIX};
pub use spec::{From, Spec};

pub use millstream_task::{
    ErrorPolicy, Failure, Lag, Operator, OperatorError, Outcome, Refused, SourceBatch, SourceFailure, SourceOutput,
    SourceWorker,
};
