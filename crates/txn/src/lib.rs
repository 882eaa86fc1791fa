//! Producer ids, epochs and sequences as decisions: which batch of an idempotent producer comes next, and which came already.
//!
//! No I/O, no clock, no random number. [`Producers`] is the state of one partition, [`ProducerIds`] that of one broker. Transactions
//! (coordinator state, markers, the last stable offset) will live here too.

mod error;
mod ids;
mod producer;
mod producers;

pub use error::Error;
pub use ids::{IdBlock, ProducerIds};
pub use producer::{ProducerState, SnapshotEntry};
pub use producers::{Duplicate, Producers, Sequenced, Verdict, last_sequence};
