//! The states of a transactional id. Stored: never renumber.
//!
//! ```text
//!            add partitions            end                    every marker written
//!   Empty ------------------> Ongoing ------> PrepareCommit ------------------------> CompleteCommit --+
//!     ^                        ^  |                                                                    |
//!     |                        |  +---------> PrepareAbort  ------------------------> CompleteAbort ---+
//!     +--- init producer id ---|---- timeout, or fenced by init producer id (PrepareEpochFence) --+    |
//!                              +------------------------ add partitions ---------------------------+---+
//!   Dead: expired, its tombstone is being written.
//! ```

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionState {
    /// No transaction since the producer was initialized.
    Empty,
    /// Partitions have been added.
    Ongoing,
    /// It will be committed, whatever happens.
    PrepareCommit,
    /// It will be aborted, whatever happens.
    PrepareAbort,
    /// It was committed, and every partition knows.
    CompleteCommit,
    /// It was aborted, and every partition knows.
    CompleteAbort,
    /// The id expires.
    Dead,
    /// The producer is being fenced, and its transaction aborted.
    PrepareEpochFence,
}

impl TransactionState {
    /// Every state, by its number.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
        Self::Dead,
        Self::PrepareEpochFence,
    ];

    /// The number that is stored.
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Empty => 0,
            Self::Ongoing => 1,
            Self::PrepareCommit => 2,
            Self::PrepareAbort => 3,
            Self::CompleteCommit => 4,
            Self::CompleteAbort => 5,
            Self::Dead => 6,
            Self::PrepareEpochFence => 7,
        }
    }

    /// The state of that number.
    #[must_use]
    pub fn of_id(id: i8) -> Option<Self> {
        usize::try_from(id).ok().and_then(|id| Self::ALL.get(id).copied())
    }

    /// The name that administrators see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
            Self::Dead => "Dead",
            Self::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the next transaction may begin from here.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Empty | Self::CompleteCommit | Self::CompleteAbort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back_to_their_state() {
        for state in TransactionState::ALL {
            assert_eq!(TransactionState::of_id(state.id()), Some(state));
            assert_eq!(TransactionState::of_name(state.name()), Some(state));
        }
        assert_eq!((TransactionState::of_id(-1), TransactionState::of_id(8)), (None, None));
    }
}
