//! What a decision asks the shell to do: records to write, replies to send. In the order given.

use crate::Error;
use crate::request::{ByTopic, JoinRefused, Joined, Left, PartitionResult, Synced};
use millstream_record::StoredRecord;
use millstream_types::{ProducerEpoch, ProducerId, Ticket, Waiter};

/// Records that belong together. Writes reach the log in the order in which they were asked for, and their outcomes come back in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its name.
    pub ticket: Ticket,
    /// What to append; nothing where the write is the end of a transaction, for which the shell has the marker.
    pub records: Vec<StoredRecord>,
    /// The producer in whose transaction they are.
    pub transaction: Option<Producer>,
}

/// A transactional producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Producer {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

/// Why a write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The log can't be written now.
    NotAvailable,
    /// Another node leads the partition.
    NotLeader,
    /// A record is larger than the topic allows.
    TooLarge,
    /// A newer instance of the transactional producer has written.
    ProducerFenced,
    /// The transaction is not open, or not any more.
    NotInTransaction,
}

/// The answer to a waiting request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To a join.
    Join(Result<Joined, JoinRefused>),
    /// To a sync.
    Sync(Result<Synced, Error>),
    /// To a leave.
    Leave(Result<Vec<Left>, Error>),
    /// To an offset commit or an offset delete.
    Offsets(Result<Vec<ByTopic<PartitionResult>>, Error>),
    /// To a deletion of groups, or of a topic's offsets.
    Deleted(Vec<(String, Result<(), Error>)>),
    /// To the end of a transaction.
    Ended(Result<(), WriteError>),
}

/// What one decision asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Records to append, in order.
    pub writes: Vec<Write>,
    /// Requests that are answered now.
    pub replies: Vec<(Waiter, Reply)>,
    /// Rebalances that ended with this decision: the assignment is stored and given out.
    pub rebalances_completed: u64,
}

impl Effects {
    /// One reply, and nothing to write.
    pub(crate) fn answer(waiter: Waiter, reply: Reply) -> Self {
        Self { replies: vec![(waiter, reply)], ..Self::default() }
    }

    /// What a further decision asks for comes after this.
    pub(crate) fn extend(&mut self, later: Self) {
        self.writes.extend(later.writes);
        self.replies.extend(later.replies);
        self.rebalances_completed += later.rebalances_completed;
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.replies.is_empty()
    }
}
