//! The log: segments, indexes, recovery, retention and flush in Kafka's on-disk format.
//!
//! ```text
//! <topic>-<partition>/
//!   partition.metadata                 the topic's id
//!   leader-epoch-checkpoint            where each leader's epoch begins
//!   00000000000000000000.log           batches, one after another, as they were sent but for base offset and leader epoch
//!   00000000000000000000.index         last offset of a batch -> its position, every index.interval.bytes or so
//!   00000000000000000000.timeindex     largest timestamp so far -> the last offset of its batch
//!   00000000000000000000.txnindex      transactions that a marker in the segment aborted, where there are any
//!   00000000000000000000.snapshot      what producers had written below that offset
//!   *.cleaned, *.swap                  what a compaction writes, until it has its place
//!   millstream.swap                    which segments the *.swap replaces
//!   millstream.checkpoint              log start and recovery point (ours: Kafka keeps them in one file for all partitions, and ignores this one)
//! ```
//!
//! One [`Log`] is one such folder. It knows nothing of replicas or leaders, and of transactions only which were aborted.

mod checkpoint;
mod clean;
mod epochs;
mod error;
mod index;
mod log;
mod names;
mod pace;
mod partition_metadata;
mod producer_snapshot;
mod scan;
mod segment;
mod txn_index;

pub use clean::{Cleaned, CleaningBudget, Dirty, LastRecord};
pub use epochs::{EpochEnd, Epochs};
pub use error::Error;
pub use log::{
    Appended, ClosedSegment, LocalSegment, Log, LogId, Opening, Recovery, Scrubbed, Slice, probe_folder, remove_deleted,
};
pub use names::{folder_name, parse_folder_name};
pub use pace::Pace;
pub use partition_metadata::topic_of;
pub use producer_snapshot::{ProducerSnapshotEntry, decode_producer_snapshot, encode_producer_snapshot};
pub use segment::Damage;
pub use txn_index::AbortedTxn;
