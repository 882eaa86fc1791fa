//! Producer ids, epochs and sequences, and transactions, as decisions: which batch of a producer comes next, which came already, which
//! transactions are open in a partition and how far readers of committed records may see; and what their coordinator decides.
//!
//! ```text
//!   Producers (of one partition)     check, apply, end          batches, markers          last stable offset
//!   Shard (of one partition of       init, add, verify, end     records, markers to send  answers
//!     __transaction_state)           tick, written, marked
//!   ProducerIds (of one broker)      take, refill
//! ```
//!
//! No I/O, no clock, no random number.

mod effects;
mod error;
mod ids;
mod layout;
mod marker;
mod producer;
mod producers;
mod request;
mod shard;
mod state;
mod transaction;
mod verification;

pub use effects::{Effects, Ending, Reply, Write, WriteError};
pub use error::Error;
pub use ids::{IdBlock, ProducerIds};
pub use layout::Change;
pub use marker::{Marker, Outcome, Version};
pub use millstream_record::StoredRecord;
pub use millstream_types::{Now, Ticket, Waiter};
pub use producer::{ProducerMemory, ProducerState, Remembered, SnapshotEntry};
pub use producers::{Completed, Duplicate, Memory, NO_SEQUENCE, Producers, Sequenced, Verdict, last_sequence};
pub use request::{AddRequest, Config, EndRequest, InitRequest, ListFilter};
pub use shard::Shard;
pub use state::TransactionState;
pub use transaction::{Identity, Partition, Transaction};
pub use verification::{Guard, Unverified};
