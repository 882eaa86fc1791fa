//! What a decision asks the shell to do: records to write, replies to send. In the order given.

use crate::Error;
use crate::consumer::regex::Resolve;
use crate::request::{
    AlteredTopic, Beaten, ByTopic, DeletedTopic, JoinRefused, Joined, Left, PartitionResult, ShareWork, Synced,
};
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
    /// To a heartbeat of the new protocol.
    Beat(Result<Beaten, Error>),
    /// To a leave.
    Leave(Result<Vec<Left>, Error>),
    /// To an offset commit or an offset delete.
    Offsets(Result<Vec<ByTopic<PartitionResult>>, Error>),
    /// To a deletion of groups, or of a topic's offsets.
    Deleted(Vec<(String, Result<(), Error>)>),
    /// To a deletion of share offsets.
    SharesDeleted(Result<Vec<DeletedTopic>, Error>),
    /// To a change of share offsets.
    SharesAltered(Result<Vec<AlteredTopic>, Error>),
    /// To the end of a transaction.
    Ended(Result<(), WriteError>),
}

impl Reply {
    /// The same request, refused for `error`.
    pub(crate) fn failed(self, error: &Error) -> Self {
        match self {
            Self::Join(answer) => {
                let member = answer.map_or_else(|refused| refused.member, |joined| joined.member);
                Self::Join(Err(JoinRefused { member, error: error.clone() }))
            }
            Self::Sync(_) => Self::Sync(Err(error.clone())),
            Self::Beat(_) => Self::Beat(Err(error.clone())),
            Self::Leave(_) => Self::Leave(Err(error.clone())),
            Self::Offsets(_) => Self::Offsets(Err(error.clone())),
            Self::Deleted(answers) => {
                let failed = answers.into_iter().map(|(group, result)| (group, result.and(Err(error.clone()))));
                Self::Deleted(failed.collect())
            }
            Self::SharesDeleted(_) => Self::SharesDeleted(Err(error.clone())),
            Self::SharesAltered(_) => Self::SharesAltered(Err(error.clone())),
            Self::Ended(_) => self,
        }
    }
}

/// What one decision asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Records to append, in order.
    pub writes: Vec<Write>,
    /// Requests that are answered now.
    pub replies: Vec<(Waiter, Reply)>,
    /// Rebalances that ended with this decision: the assignment is stored and given out. Of the new protocol: group epochs that began.
    pub rebalances_completed: u64,
    /// Patterns to match against the names of all topics.
    pub resolve: Vec<Resolve>,
    /// What is to be done with the state of share partitions.
    pub shares: Vec<ShareWork>,
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
        self.resolve.extend(later.resolve);
        self.shares.extend(later.shares);
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.replies.is_empty() && self.resolve.is_empty() && self.shares.is_empty()
    }
}
