//! The states of a group. Those of a classic one:
//!
//! ```text
//!            join                 all joined / timeout           leader's sync written
//!   Empty ----------> Preparing ----------------------> Completing ------------------> Stable
//!     ^               Rebalance <---------------------- Rebalance                        |
//!     |                 |   ^      join, leave, expiry                                   |
//!     +-----------------+   +------------------------------------------------------------+
//!       nobody joined                              join, leave, expiry
//!   any --delete, unload--> Dead
//! ```

use std::fmt;

/// Where a classic group is in its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClassicState {
    /// No members; it may still hold committed offsets.
    Empty,
    /// Waiting for members to join the next generation.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment, or may fetch it.
    Stable,
    /// Being deleted, or unloaded from this node.
    Dead,
}

impl From<ClassicState> for GroupState {
    fn from(state: ClassicState) -> Self {
        match state {
            ClassicState::Empty => Self::Empty,
            ClassicState::PreparingRebalance => Self::PreparingRebalance,
            ClassicState::CompletingRebalance => Self::CompletingRebalance,
            ClassicState::Stable => Self::Stable,
            ClassicState::Dead => Self::Dead,
        }
    }
}

/// Where a group of either protocol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// No members; it may still hold committed offsets.
    Empty,
    /// Waiting for members to join the next generation.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Of the new protocol: the target assignment is to be made anew.
    Assigning,
    /// Of the new protocol: members are on their way to their target assignments.
    Reconciling,
    /// Every member has its assignment, or may fetch it.
    Stable,
    /// Being deleted, or unloaded from this node.
    Dead,
}

impl GroupState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Empty,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Assigning,
        Self::Reconciling,
        Self::Stable,
        Self::Dead,
    ];

    /// Kafka's name of the state, as clients see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }

    /// Whether members exist or are expected.
    #[must_use]
    pub const fn is_active(self) -> bool {
        !matches!(self, Self::Empty | Self::Dead)
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
