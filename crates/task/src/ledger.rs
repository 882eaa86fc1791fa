//! What the tasks of a deployment have done since their last commit, pure: when it is to be committed, what with it, and when it can't be
//! any more.
//!
//! ```text
//!            settle              take                       the commit is done
//!    idle ----------> open ------------> (being committed) --------------------> idle
//!                       |                       |
//!                       +------ break_off ------+---> broken: nothing more is written or committed;
//!                                                     the next attempt begins at the last commit
//! ```

use crate::Error;
use millstream_types::{ErrorKind, LeaderEpoch, Offset, TopicPartition};
use std::collections::BTreeMap;
use std::time::Duration;

/// How far a task is in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The next offset to read.
    pub offset: Offset,
    /// The epoch of the last batch read: whoever goes on here can tell whether the input is still the same.
    pub epoch: LeaderEpoch,
}

/// When there is something to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Not before somebody has done something.
    Never,
    /// At this time of the process.
    At(Duration),
    /// Never again.
    Broken,
}

/// What an error of an append ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The way of these records: the error policy says what becomes of them.
    Records,
    /// The transaction: it is undone, and done again from the last commit.
    Attempt,
    /// The deployment: it waits for someone to act.
    Deployment,
}

/// What an append's error ends, by its kind. A producer that was fenced is tried again too: a transaction that took too long was undone by
/// its coordinator, and a deployment that has moved on is told to stop besides.
pub(crate) const fn ends(kind: ErrorKind) -> Ends {
    match kind {
        ErrorKind::Invalid => Ends::Records,
        ErrorKind::NotLeader
        | ErrorKind::Fenced
        | ErrorKind::Conflict
        | ErrorKind::Throttled
        | ErrorKind::Exhausted
        | ErrorKind::Unavailable
        | ErrorKind::Timeout => Ends::Attempt,
        ErrorKind::Unauthorized | ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Guest | ErrorKind::Internal => {
            Ends::Deployment
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    moved: BTreeMap<TopicPartition, Place>,
    /// When the first of what is not committed was done.
    opened: Option<Duration>,
    broken: Option<Error>,
}

impl Ledger {
    /// A task has written everything that came of its input before `place`. Returns whether that is the first since the last commit.
    pub fn settle(&mut self, partition: TopicPartition, place: Place, now: Duration) -> bool {
        self.moved.insert(partition, place);
        let is_first = self.opened.is_none();
        self.opened.get_or_insert(now);
        is_first
    }

    /// What was done since the last commit can't be committed. The first reason stays.
    pub fn break_off(&mut self, error: Error) {
        self.broken.get_or_insert(error);
    }

    /// Why nothing is committed any more.
    pub const fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }

    /// When to commit, where that is done every `interval`.
    pub fn due(&self, interval: Duration) -> Due {
        match (&self.broken, self.opened) {
            (Some(_), _) => Due::Broken,
            (None, Some(opened)) => Due::At(opened.saturating_add(interval)),
            (None, None) => Due::Never,
        }
    }

    /// What is to be committed now; none where nothing is. What is taken is to be committed, or the ledger broken off.
    ///
    /// # Errors
    /// Why nothing is committed any more.
    pub fn take(&mut self) -> Result<Vec<(TopicPartition, Place)>, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.opened = None;
        Ok(std::mem::take(&mut self.moved).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{PartitionIndex, TopicId};

    const MS: Duration = Duration::from_millis(1);

    fn partition(index: i32) -> TopicPartition {
        TopicPartition::new(TopicId::ZERO, PartitionIndex(index))
    }

    const fn place(offset: i64) -> Place {
        Place { offset: Offset(offset), epoch: LeaderEpoch::FIRST }
    }

    fn failure(message: &str) -> Error {
        Error::new(ErrorKind::Unavailable, message)
    }

    #[test]
    fn nothing_is_due_until_something_was_done() {
        let mut ledger = Ledger::default();
        assert_eq!((ledger.due(MS), ledger.take()), (Due::Never, Ok(vec![])));
    }

    #[test]
    fn the_first_thing_done_sets_the_time_and_the_last_the_place() {
        let mut ledger = Ledger::default();
        assert!(ledger.settle(partition(1), place(5), MS * 10));
        assert!(!ledger.settle(partition(0), place(3), MS * 50));
        assert!(!ledger.settle(partition(1), place(9), MS * 90));
        assert_eq!(ledger.due(MS * 100), Due::At(MS * 110));
        assert_eq!(ledger.take(), Ok(vec![(partition(0), place(3)), (partition(1), place(9))]));
        assert_eq!((ledger.due(MS), ledger.take()), (Due::Never, Ok(vec![])));
    }

    #[test]
    fn what_is_broken_stays_so_with_its_first_reason() {
        let mut ledger = Ledger::default();
        ledger.settle(partition(0), place(1), MS);
        ledger.break_off(failure("first"));
        ledger.break_off(failure("second"));
        ledger.settle(partition(0), place(2), MS);
        assert_eq!((ledger.due(MS), ledger.take()), (Due::Broken, Err(failure("first"))));
        assert_eq!(ledger.broken(), Some(&failure("first")));
    }

    #[test]
    fn only_what_the_log_refuses_of_the_records_themselves_leaves_the_transaction_whole() {
        assert_eq!(ends(ErrorKind::Invalid), Ends::Records);
        for kind in [
            ErrorKind::Fenced,
            ErrorKind::Conflict,
            ErrorKind::NotLeader,
            ErrorKind::Throttled,
            ErrorKind::Exhausted,
            ErrorKind::Unavailable,
            ErrorKind::Timeout,
        ] {
            assert_eq!(ends(kind), Ends::Attempt, "{kind:?}");
        }
        for kind in
            [ErrorKind::NotFound, ErrorKind::Unauthorized, ErrorKind::Corrupt, ErrorKind::Internal, ErrorKind::Guest]
        {
            assert_eq!(ends(kind), Ends::Deployment, "{kind:?}");
        }
    }
}
