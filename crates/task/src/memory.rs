//! The ports to the log and to the stored deployments, kept in memory: for tests of whatever runs on tasks.
//!
//! [`MemoryTopics`] behaves as one node's log does: whole batches, offsets in order, a log start that can move, groups, transactions. It can be told to
//! fail, to lose old records and to delete a topic under its reader. It owns no policy of its own.

mod batch;
mod deployments;
mod log;
mod producer;
mod topics;

pub use deployments::MemoryDeployments;
pub use topics::{MemoryTopics, Operation};
