//! Kafka's APIs over the services: one handler file each, pure parts beside them.
//!
//! ```text
//! frame --protocol--> request --Service--> handlers/<api>.rs --> partition | coordinator | quorum
//! ```
//!
//! Which Kafka code an error becomes is said in `codes.rs` and nowhere else.

mod authentication;
mod client_metrics;
mod codes;
mod config;
mod config_views;
mod endpoints;
mod error;
mod fetch;
mod handlers;
mod meters;
mod operations;
mod quotas;
mod service;
mod shares;
mod topics;
mod transactions;

pub use authentication::{Sasl, read_users};
pub use config::{Config, NodeOption};
pub use error::Error;
pub use service::{Deps, Service};
