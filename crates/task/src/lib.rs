//! The task runtime: what functions, streams, connectors and bus rules have in common.
//!
//! A task reads a partition, applies an operator, writes what comes out, and commits how far it is. This crate owns the ports to the
//! log ([`Topics`]), to the stored deployments ([`DeploymentStore`]) and to what a deployment does ([`Kind`], [`Operator`]); it knows
//! nothing of Wasm, SQL or any outside system.

mod deployment;
mod error;
pub mod memory;
mod operator;
mod source;
mod topics;

pub use deployment::{Deployment, DeploymentKey, DeploymentKind, DeploymentState, DeploymentStore};
pub use error::Error;
pub use operator::{ErrorPolicy, Failure, Kind, Operator, OperatorError, Outcome, Output, Plan, Work};
pub use source::{Lag, Refused, SourceBatch, SourceFailure, SourceOutput, SourcePlan, SourceWorker};
pub use topics::{Bounds, CommittedOffset, Fetched, TopicView, Topics};
