//! What members and administrators ask of a share group (KIP-932), and what it asks of the state of its partitions.

use crate::Error;
use crate::consumer::member::{JOIN_EPOCH, LEAVE_EPOCH, MemberMetadata, Partitions};
use crate::request::PartitionResult;
use millstream_types::TopicId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// ShareGroupHeartbeat. What is none has not changed since the member's last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareHeartbeatRequest {
    /// The group.
    pub group: String,
    /// The member, which makes its id itself.
    pub member: String,
    /// 0 to join, -1 to leave; else the epoch it is in.
    pub epoch: i32,
    /// Its rack.
    pub rack: Option<String>,
    /// The topics it subscribes to by name.
    pub topics: Option<BTreeSet<String>>,
    /// From the request's header.
    pub client_id: String,
    /// The client's address, as Kafka prints it (`/127.0.0.1`).
    pub client_host: String,
}

impl ShareHeartbeatRequest {
    pub(crate) const fn leaves(&self) -> bool {
        self.epoch == LEAVE_EPOCH
    }

    /// That it can be decided.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = if self.member.is_empty() {
            Some("the member id is empty")
        } else if self.group.is_empty() {
            Some("the group id is empty")
        } else if self.rack.as_ref().is_some_and(String::is_empty) {
            Some("the rack is empty: leave it out, or name one")
        } else if self.epoch == JOIN_EPOCH && self.topics.as_ref().is_none_or(BTreeSet::is_empty) {
            Some("who joins has to subscribe to topics")
        } else if self.epoch < LEAVE_EPOCH {
            Some("the member epoch is below -1")
        } else {
            None
        };
        wrong.map_or(Ok(()), |why| Err(Error::InvalidRequest { group: self.group.clone(), why }))
    }

    /// What the member says of itself from here on.
    pub(crate) fn updated(&self, before: &MemberMetadata) -> MemberMetadata {
        MemberMetadata {
            rack: self.rack.clone().or_else(|| before.rack.clone()),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topics: self.topics.clone().unwrap_or_else(|| before.topics.clone()),
            ..MemberMetadata::default()
        }
    }
}

/// AlterShareGroupOffsets: where partitions are to start, by the topics' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterShares {
    /// The group; it is made where there is none.
    pub group: String,
    /// The starts, in the order asked.
    pub topics: Vec<(String, Vec<(i32, i64)>)>,
}

/// What became of one topic's share offsets that were to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlteredTopic {
    /// Its name.
    pub name: String,
    /// Its id; none where there is no such topic.
    pub id: Option<TopicId>,
    /// Each partition, as asked.
    pub partitions: Vec<PartitionResult>,
}

/// What became of one topic's share offsets that were to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name.
    pub name: String,
    /// Its id; none where there is no such topic.
    pub id: Option<TopicId>,
    /// Whether it was done.
    pub result: Result<(), Error>,
}

/// Where a partition of a share group starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareStart {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: i32,
    /// The first offset that is not settled; -1 where who leads the partition is to find it.
    pub start: i64,
}

/// What is to be done at the share coordinator for a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareWork {
    /// Partitions are to get a state; the group is to be told what came of it ([`crate::Shard::shares_worked`]).
    Initialize {
        /// The group.
        group: Arc<str>,
        /// The epoch of their state.
        state_epoch: i32,
        /// Where each starts.
        starts: Vec<ShareStart>,
    },
    /// Partitions are to lose their state; the group is to be told what came of it.
    Delete {
        /// The group.
        group: Arc<str>,
        /// The partitions.
        partitions: Partitions,
    },
    /// The topics of these partitions are no more, and nobody asks for the state.
    Forget {
        /// The group.
        group: Arc<str>,
        /// The partitions.
        partitions: Partitions,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareWorked {
    /// Partitions that it was done for.
    pub done: Partitions,
    /// The others.
    pub failed: Partitions,
}
