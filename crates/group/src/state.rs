//! The states of a classic group.
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

/// Where a group is in its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
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

impl GroupState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::PreparingRebalance, Self::CompletingRebalance, Self::Stable, Self::Dead];

    /// Kafka's name of the state, as clients see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }

    /// Whether members exist or are expected.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::PreparingRebalance | Self::CompletingRebalance | Self::Stable)
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
