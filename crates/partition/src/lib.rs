//! The partitions of this broker: opens their logs, follows the quorum's image, and lets everyone else in through one async handle.
//!
//! ```text
//!   image (quorum) --> Partitions --> Partition: replica (pure) + producers (pure) + Log (storage)
//!                                        ^
//!   broker, coordinator, tasks --> PartitionHandle: append | read | wait | look up | delete
//! ```
//!
//! It knows nothing of the wire, of groups, or of who reads.

mod checkpoint;
mod cleaner;
mod cold;
mod config;
mod error;
mod folder;
mod folders;
mod follow;
mod handle;
mod kept;
mod look;
mod meter;
mod partition;
mod producers;
mod read;
mod request;
mod revive;
mod scrub;
mod service;
mod transactions;
mod upkeep;
mod watch;
mod writer;

pub use checkpoint::{Offsets as CheckpointOffsets, parse as parse_checkpoint, print as print_checkpoint};
pub use cold::{ColdError, ColdReader};
pub use config::{CleanerConfig, Config, ScrubConfig};
pub use error::Error;
pub use folder::boot_id;
pub use folders::{FolderStatus, Folders, Layout};
pub use handle::PartitionHandle;
pub use kept::{decode as decode_producers, encode as encode_producers};
pub use meter::Meter;
pub use millstream_storage::AbortedTxn;
pub use request::{
    AppendOptions, Appended, Bounds, Chunk, EpochEnd, Isolation, OffsetAt, Origin, Read, ReadRequest, TimeQuery,
};
pub use service::{Deps, Partitions};
pub use transactions::marker_batch;
pub use writer::Appending;
