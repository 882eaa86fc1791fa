//! One file for each command: its options, and what it asks the node for.

pub mod bus;
pub mod cluster;
pub mod completions;
pub mod config;
pub mod connector;
pub mod demo;
pub mod deployments;
pub mod doctor;
pub mod function;
pub mod group;
pub mod rule;
pub mod schema;
pub mod serve;
pub mod sql;
pub mod stream;
pub mod tier;
pub mod topic;
pub mod version;
