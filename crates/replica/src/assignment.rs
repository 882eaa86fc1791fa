//! What the quorum says of a partition, and what that changes here.

use millstream_types::{BrokerId, LeaderEpoch, Offset};

/// A partition as the quorum's image has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The broker that leads, or `BrokerId::NONE`.
    pub leader: BrokerId,
    /// Bumped at every change of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Every broker that has, or shall have, a copy; the first is preferred to lead.
    pub replicas: Vec<BrokerId>,
    /// The brokers whose copies are in sync.
    pub isr: Vec<BrokerId>,
}

/// What an assignment changed for this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It leads now: `epoch` begins at `start`, which goes into the leader-epoch checkpoint before the first append.
    Leads {
        /// The new epoch.
        epoch: LeaderEpoch,
        /// The log end at the moment of the change.
        start: Offset,
    },
    /// It follows `leader` from now on (`BrokerId::NONE` when nobody leads).
    Follows {
        /// Whom.
        leader: BrokerId,
        /// The new epoch.
        epoch: LeaderEpoch,
    },
    /// The leader stays; the replicas or the in-sync set are others.
    Members,
}
