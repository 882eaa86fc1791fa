//! The task runtime: what functions, streams, connectors and bus rules have in common.
//!
//! A task reads a partition, applies an operator, writes what comes out, and commits how far it is. This crate owns the ports to the
//! log ([`Topics`]), to the stored deployments ([`DeploymentStore`]) and to what a deployment does ([`Kind`], [`Operator`]); it knows
//! nothing of Wasm, SQL or any outside system.

mod backoff;
mod config;
mod context;
mod deployment;
mod error;
mod host;
mod input;
mod instruments;
mod ledger;
pub mod memory;
mod operator;
mod outlet;
mod partitioner;
mod policy;
mod positions;
mod producer;
mod runner;
mod source;
mod source_task;
mod start;
mod status;
mod task;
mod topics;
mod transaction;
mod verbs;
mod writer;

pub use config::Config;
pub use deployment::{Deployment, DeploymentKey, DeploymentKind, DeploymentState, DeploymentStore};
pub use error::Error;
pub use host::{Host, Ports};
pub use millstream_record::{Failure, Outcome, Output};
pub use operator::{ErrorPolicy, Guarantee, Kind, Operator, OperatorError, Plan, Work};
pub use partitioner::of_key as partition_of;
pub use positions::SOURCE_POSITIONS_TOPIC;
pub use producer::Producer;
pub use source::{Lag, Refused, SourceBatch, SourceFailure, SourceOutput, SourcePlan, SourceWorker};
pub use start::ResetTo;
pub use status::{Counts, DeploymentStatus, LastError, State, TaskStatus};
pub use topics::{Bounds, CommittedOffset, Fetched, TopicView, Topics};
