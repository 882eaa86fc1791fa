//! What the end-to-end tests share: the real binary as a node of its own, real clients as programs, and Apache Kafka beside it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "all of this crate is tests: a panic is how one fails"
)]

mod bystander;
mod client;
mod kafka;
mod meter;
mod moto;
mod node;
mod program;
mod tap;
mod wait;

pub use bystander::{Bystander, Outcome};
pub use client::{Family, Interactive, Record, clients_folder, run_script};
pub use kafka::{Kafka, batches, java_program, kafka_tool, kafka_tool_with_input, kafka_tools};
pub use meter::Meter;
pub use moto::Moto;
pub use node::{Node, binary};
pub use program::run as run_program;
pub use tap::Tap;
pub use wait::eventually;
