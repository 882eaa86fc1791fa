//! Drives `group` and `txn` over the internal topics: loads the groups and transactions of the partitions led here, writes what they decide,
//! keeps their timers, tells partitions that transactions have ended, and answers when it is written.
//!
//! [`Service`] owns the tasks, [`Handle`] is what others use. What it needs of the cluster and of the log are the ports in this crate.

mod admin;
mod append;
mod board;
mod config;
mod driver;
mod error;
mod handle;
mod load;
mod markers;
pub mod memory;
mod owner;
mod partition_log;
mod port;
mod producers;
mod service;
mod shard;
mod share_groups;
mod shares;
mod slot;
mod transactions;
mod txn_admin;

pub use config::Config;
pub use error::{Error, JoinRefused};
pub use handle::Handle;
pub use millstream_group as group;
pub use owner::{OFFSETS_TOPIC, SHARE_STATE_TOPIC, TRANSACTIONS_TOPIC, java_string_hash};
pub use port::{Controller, ControllerError, LogError, MarkError, OffsetsLog, Participants};
pub use service::{Ports, Service};
pub use transactions::Transactor;
