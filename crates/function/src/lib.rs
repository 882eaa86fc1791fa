//! Functions: deployments of Wasm transforms, run as tasks.
//!
//! [`Functions`] is their [`millstream_task::Kind`]: it checks a [`FunctionSpec`] at deploy, compiles its component off the request path
//! and gives every task an instance of its own. Components are kept by hash in a [`ComponentStore`] (an internal topic); what functions
//! log is kept in bounded rings ([`Logs`]). [`project`] makes, builds and tries functions on a developer's machine, without a node.

mod components;
mod error;
mod functions;
mod logs;
mod operator;
pub mod project;
mod spec;

pub use components::{COMPONENTS_TOPIC, ComponentStore, MemoryComponents, TopicComponents};
pub use error::Error;
pub use functions::{Functions, Ports};
pub use logs::{LogLine, Logs};
pub use spec::{From, FunctionSpec, LimitsSpec, OnError, ProcessingGuarantee};
