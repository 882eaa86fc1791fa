//! What a decision about transactions asks the shell to do: records to write, markers to send, requests to answer.

use crate::Error;
use crate::marker::{Marker, Version};
use crate::transaction::{Identity, Partition};
use millstream_record::StoredRecord;
use millstream_types::{Ticket, Waiter};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One record to append to `__transaction_state`. Writes reach the log in the order in which they were asked for, and their outcomes come
/// back in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its name.
    pub ticket: Ticket,
    /// What to append.
    pub record: StoredRecord,
}

/// Why a write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The log can't be written now.
    NotAvailable,
    /// Another node leads the partition.
    NotLeader,
    /// The record is larger than the topic allows.
    TooLarge,
}

/// The answer to a request: the producer id and epoch to go on with.
pub type Reply = Result<Identity, Error>;

/// A transaction whose end is decided: each of its partitions is to get the marker, however often it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The transactional id.
    pub id: Arc<str>,
    /// What the partitions are told.
    pub marker: Marker,
    /// What its client speaks: how strict the marker's epoch is checked.
    pub version: Version,
    /// Who is told.
    pub partitions: BTreeSet<Partition>,
}

/// What one decision asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Records to append, in order.
    pub writes: Vec<Write>,
    /// Requests that are answered now.
    pub replies: Vec<(Waiter, Reply)>,
    /// Transactions to end in their partitions.
    pub endings: Vec<Ending>,
}

impl Effects {
    pub(crate) fn answer(waiter: Waiter, reply: Reply) -> Self {
        Self { replies: vec![(waiter, reply)], ..Self::default() }
    }

    /// What a further decision asks for comes after this.
    pub(crate) fn extend(&mut self, later: Self) {
        self.writes.extend(later.writes);
        self.replies.extend(later.replies);
        self.endings.extend(later.endings);
    }
}
