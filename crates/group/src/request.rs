//! What is asked of a group, and what it answers: Kafka's requests without their wire versions.

mod consumer;
mod share;

pub use consumer::{Beaten, ConsumerDescription, ConsumerHeartbeatRequest, DescribedConsumer};
pub use share::{AlterShares, AlteredTopic, DeletedTopic, ShareHeartbeatRequest, ShareStart, ShareWork, ShareWorked};

use crate::GroupState;
use bytes::Bytes;
use millstream_types::{LeaderEpoch, Offset, TopicId};

/// The member id of who has none yet.
pub const UNKNOWN_MEMBER: &str = "";

/// One protocol (assignor) that a member supports, and its subscription under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// The assignor's name.
    pub name: String,
    /// The subscription, opaque here.
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The group.
    pub group: String,
    /// Empty at the first join.
    pub member: String,
    /// `group.instance.id` of a static member.
    pub instance: Option<String>,
    /// From the request's header.
    pub client_id: String,
    /// The client's address, as Kafka prints it (`/127.0.0.1`).
    pub client_host: String,
    /// `consumer`, `connect` and so on.
    pub protocol_type: String,
    /// In order of preference.
    pub protocols: Vec<Protocol>,
    /// How long the member may be silent.
    pub session_timeout_ms: i32,
    /// How long a rebalance may take; version 0 has none: the session timeout then.
    pub rebalance_timeout_ms: i32,
    /// Version 4 and later: a dynamic member without an id is given one and must join again.
    pub requires_known_member: bool,
    /// Version 9 and later: a static leader that comes back may be told to skip the assignment.
    pub supports_skipping_assignment: bool,
    /// 128 random bits, for a new member's id.
    pub random: u128,
}

/// One member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member: String,
    /// Its static name.
    pub instance: Option<String>,
    /// Its subscription under the chosen protocol.
    pub metadata: Bytes,
}

/// A join that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The generation joined.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: String,
    /// The id of the member that joined.
    pub member: String,
    /// The leader need not assign again.
    pub skip_assignment: bool,
    /// Every member, for the leader; empty for the others.
    pub members: Vec<JoinedMember>,
}

/// A join that failed, with the member id that Kafka answers beside the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct JoinRefused {
    /// The member id of the response.
    pub member: String,
    /// Why.
    pub error: crate::Error,
}

/// SyncGroup.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// The group.
    pub group: String,
    /// The member.
    pub member: String,
    /// Its static name.
    pub instance: Option<String>,
    /// The generation it joined.
    pub generation: i32,
    /// What it thinks the protocol type is (version 5 and later).
    pub protocol_type: Option<String>,
    /// What it thinks the protocol is (version 5 and later).
    pub protocol: Option<String>,
    /// The leader's assignments by member id; empty from the others.
    pub assignments: Vec<(String, Bytes)>,
}

/// A sync that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The group's protocol.
    pub protocol: Option<String>,
    /// What the leader gave this member.
    pub assignment: Bytes,
}

/// Heartbeat.
#[derive(Debug, Clone)]
pub struct HeartbeatRequest {
    /// The group.
    pub group: String,
    /// The member.
    pub member: String,
    /// Its static name.
    pub instance: Option<String>,
    /// The generation it is in.
    pub generation: i32,
}

/// One member that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Its id; empty when an administrator removes a static member by name.
    pub member: String,
    /// Its static name.
    pub instance: Option<String>,
}

/// LeaveGroup.
#[derive(Debug, Clone)]
pub struct LeaveRequest {
    /// The group.
    pub group: String,
    /// Who leaves.
    pub members: Vec<Leaving>,
}

/// What became of one leaving member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// As asked.
    pub member: String,
    /// As asked.
    pub instance: Option<String>,
    /// Whether it left.
    pub result: Result<(), crate::Error>,
}

/// A per-partition answer or request, by topic name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByTopic<T> {
    /// The topic's name: Kafka's layout keys offsets by it.
    pub topic: String,
    /// One for each partition.
    pub partitions: Vec<T>,
}

/// One offset to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The partition.
    pub partition: i32,
    /// The next offset the group will read.
    pub offset: Offset,
    /// The leader epoch of the last record read.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: String,
    /// The topic's id when the request named it, else [`TopicId::ZERO`].
    pub topic_id: TopicId,
}

/// OffsetCommit.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// The group.
    pub group: String,
    /// The member; empty from those that don't use membership.
    pub member: String,
    /// Its static name.
    pub instance: Option<String>,
    /// Its generation or member epoch; negative from those that don't use membership.
    pub generation: i32,
    /// Whether the request's version knows of member epochs (version 9 and later).
    pub speaks_epochs: bool,
    /// How long to keep the offsets, where the request says so (versions 2 to 4).
    pub retention_ms: Option<i64>,
    /// The offsets.
    pub topics: Vec<ByTopic<OffsetCommit>>,
}

impl CommitRequest {
    /// A commit of somebody who uses the group's offsets and not its membership.
    #[must_use]
    pub fn without_member(group: &str, topics: Vec<ByTopic<OffsetCommit>>) -> Self {
        Self {
            group: group.to_owned(),
            member: UNKNOWN_MEMBER.to_owned(),
            instance: None,
            generation: -1,
            speaks_epochs: true,
            retention_ms: None,
            topics,
        }
    }
}

/// What became of one offset commit or delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionResult {
    /// The partition.
    pub partition: i32,
    /// Whether it was done.
    pub result: Result<(), crate::Error>,
}

/// OffsetFetch, of one group.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// The group.
    pub group: String,
    /// Who asks, and its member epoch, where it says so.
    pub member: Option<(String, i32)>,
    /// Which partitions; none means every one the group has.
    pub topics: Option<Vec<ByTopic<i32>>>,
    /// Refuse offsets that an open transaction may still change.
    pub require_stable: bool,
}

/// One committed offset as a client sees it: offset and leader epoch are -1 where nothing was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The partition.
    pub partition: i32,
    /// The next offset to read, or [`Offset::NONE`].
    pub offset: Offset,
    /// The leader epoch of the last record read.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: String,
    /// An open transaction may still change it, and the request asked for none such: offset and leader epoch are -1.
    pub is_unstable: bool,
}

/// OffsetDelete.
#[derive(Debug, Clone)]
pub struct OffsetDeleteRequest {
    /// The group.
    pub group: String,
    /// Which offsets.
    pub topics: Vec<ByTopic<i32>>,
}

/// One member of a described group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member: String,
    /// Its static name.
    pub instance: Option<String>,
    /// Its client id.
    pub client_id: String,
    /// Its address.
    pub client_host: String,
    /// Its subscription; empty unless the group is stable.
    pub metadata: Bytes,
    /// Its assignment; empty unless the group is stable.
    pub assignment: Bytes,
}

/// DescribeGroups' answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The group.
    pub group: String,
    /// Its state.
    pub state: GroupState,
    /// Its protocol type, empty when it has none.
    pub protocol_type: String,
    /// Its protocol; empty unless it is stable.
    pub protocol: String,
    /// Its generation.
    pub generation: i32,
    /// Its members, by id.
    pub members: Vec<DescribedMember>,
}

/// ListGroups' filters; an empty list lets everything through. Names are compared without regard to case.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Names of states.
    pub states: Vec<String>,
    /// Names of group types (`classic`, `consumer`, `share`).
    pub types: Vec<String>,
}

/// The type of a group, as ListGroups names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupType {
    /// Of the classic protocol.
    Classic,
    /// Of the new protocol.
    Consumer,
    /// Of share consumers (KIP-932).
    Share,
}

impl GroupType {
    /// Kafka's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
        }
    }
}

/// One group of ListGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The group.
    pub group: String,
    /// Its protocol type, empty when it has none.
    pub protocol_type: String,
    /// Its state.
    pub state: GroupState,
    /// Its type.
    pub group_type: GroupType,
}
