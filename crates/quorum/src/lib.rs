//! Drives the Raft library and the metadata crate: one quorum, one log of metadata records.
//!
//! ```text
//! decide(f) --f against the speculative image--> records --queue--> Raft log (fsync) --commit--> state machine --> image, watch
//! ```
//!
//! A single node is a quorum of one: the same code, and it elects itself at once. What lies where:
//!
//! ```text
//! <data>/meta.properties                     whose folder it is (Kafka's file)
//! <data>/.lock                               held while a process has the folder
//! <data>/metadata/quorum-state               vote, last purged entry, clean end
//! <data>/metadata/00000000000000000001.log   entries
//! <data>/metadata/snapshot-<index>.snapshot  an image as records
//! ```

mod config;
mod controller;
mod entry_codec;
mod error;
mod frame;
mod handle;
mod hard_state;
mod identity;
mod inbound;
mod log_recovery;
mod log_store;
mod log_writer;
mod network;
mod raft_types;
mod service;
mod snapshot_file;
mod state_machine;
#[cfg(test)]
mod tests;

pub use config::{Config, Unfence};
pub use error::Error;
pub use handle::{Handle, QuorumState};
pub use inbound::Inbound;
pub use network::{NoPeers, Peers, Target};
pub use raft_types::{Outcome, Peer, Proposal, ReplicaId, TypeConfig};
pub use service::Service;
