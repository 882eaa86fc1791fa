//! Metadata records, the image they replay into, and the controller's decisions.
//!
//! ```text
//! Image --decision(request)--> Decision { records, answer } --quorum commits--> Image::replay(record) on every node
//! ```
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no random. Ids that must be random, and placement's
//! starting point, are arguments.

pub mod brokers;
pub mod client_metrics;
pub mod configs;
mod decision;
pub mod deployments;
mod error;
mod image;
pub mod leaders;
mod map;
pub mod partitions;
mod placement;
pub mod producer_ids;
pub mod quotas;
mod record;
pub mod schemas;
pub mod scram;
#[cfg(test)]
mod tests;
pub mod topics;

pub use decision::Decision;
pub use error::Error;
pub use image::{Broker, Deployment, DeploymentKey, Image, Partition, Schema, SchemaVersion, Subject, Topic};
pub use map::Map;
pub use record::{
    BrokerConfigRecord, BrokerRecord, ClientMetricsRecord, ClientQuotaRecord, DeploymentRecord, GroupConfigRecord,
    Listener, PartitionChange, PartitionRecord, Record, SchemaRecord, SchemaReference, SchemaType,
    ScramCredentialRecord, TopicConfigRecord, TopicRecord, decode, encode,
};
