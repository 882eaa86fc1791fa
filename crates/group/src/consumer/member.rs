//! A member of a group of the new protocol, as it is stored: what it says of itself, and what it has.

use crate::request::Protocol;
use millstream_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};

/// Partitions by topic: what a member is to have.
pub type Partitions = BTreeMap<TopicId, BTreeSet<i32>>;

/// Partitions by topic, each with the member epoch in which it was given (KIP-1251).
pub type Owned = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// The epoch with which a member joins.
pub const JOIN_EPOCH: i32 = 0;
/// The epoch with which a member leaves.
pub const LEAVE_EPOCH: i32 = -1;
/// The epoch with which a static member leaves that will be back.
pub const STATIC_LEAVE_EPOCH: i32 = -2;

/// What a member that speaks the classic protocol says of itself besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMember {
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// The protocols it supports, in order of preference.
    pub protocols: Vec<Protocol>,
}

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Its static name.
    pub instance: Option<String>,
    /// Its rack.
    pub rack: Option<String>,
    /// Its client id.
    pub client_id: String,
    /// Its address.
    pub client_host: String,
    /// The topics it subscribes to by name.
    pub topics: BTreeSet<String>,
    /// The pattern it subscribes to; none, or empty, where it has none.
    pub regex: Option<String>,
    /// How long it may take to give partitions back; -1 where it did not say.
    pub rebalance_timeout_ms: i32,
    /// The server's assignor that it asks for.
    pub assignor: Option<String>,
    /// Where it speaks the classic protocol.
    pub classic: Option<ClassicMember>,
}

impl MemberMetadata {
    /// The pattern, where there is one.
    #[must_use]
    pub fn pattern(&self) -> Option<&str> {
        self.regex.as_deref().filter(|regex| !regex.is_empty())
    }
}

/// How far a member is on its way to its target assignment. Stored: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it is to have in its epoch.
    Stable,
    /// It is to give partitions back first.
    Unrevoked,
    /// It waits for partitions that others have not given back.
    Unreleased,
    /// Written by something newer than this.
    Unknown,
}

impl MemberState {
    /// The number that is stored.
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
            Self::Unknown => 127,
        }
    }

    /// The state of that number.
    #[must_use]
    pub const fn of_id(id: i8) -> Self {
        match id {
            0 => Self::Stable,
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            _ => Self::Unknown,
        }
    }
}

/// What a member has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The epoch it is in.
    pub epoch: i32,
    /// The epoch before: what it sends where the answer with the new one was lost.
    pub previous_epoch: i32,
    /// How far it is.
    pub state: MemberState,
    /// What it has.
    pub assigned: Owned,
    /// What it had, and is to give back.
    pub revoking: Owned,
}

impl Default for Current {
    fn default() -> Self {
        Self {
            epoch: JOIN_EPOCH,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Owned::new(),
            revoking: Owned::new(),
        }
    }
}

impl Current {
    /// Whether it has all of the target of `target_epoch`.
    #[must_use]
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// The epoch in which the partition was given to it, where it has it.
    #[must_use]
    pub fn given_at(&self, topic: TopicId, partition: i32) -> Option<i32> {
        self.assigned.get(&topic)?.get(&partition).copied()
    }
}

/// The partitions alone.
#[must_use]
pub fn without_epochs(owned: &Owned) -> Partitions {
    owned.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}
