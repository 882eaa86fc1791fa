//! Consumer groups as decisions: the classic protocol and the new one (KIP-848), members, generations, offsets, and how Kafka stores them;
//! and what members of share groups have of a partition (KIP-932, [`share`]).
//!
//! Requests, the time and random numbers go in; records to write and replies come out ([`Effects`]). No I/O, no clock, no random number
//! is made here. [`Shard`] is the way in: all groups of one partition of `__consumer_offsets`.

mod classic;
mod cluster;
mod config;
mod consumer;
mod effects;
mod error;
mod group;
pub mod layout;
mod member;
mod offsets;
mod request;
mod shard;
pub mod share;
mod state;
pub mod subscription;
mod timers;
mod turn;

pub use cluster::{Cluster, GroupTimes, NoTopics, Topic};
pub use config::{Config, ConsumerConfig, Migration, NoPolicy, ShareConfig};
pub use consumer::assignor::{Assignor, Question, Subscriber};
pub use consumer::member::{
    ClassicMember, Current, JOIN_EPOCH, LEAVE_EPOCH, MemberMetadata, MemberState, Owned, Partitions, STATIC_LEAVE_EPOCH,
};
pub use consumer::regex::{Resolve, resolve};
pub use consumer::stored::{ConsumerChange, GroupEpoch, Resolved, ShareTopics, SharedTopic, TargetEpoch};
pub use effects::{Effects, Producer, Reply, Write, WriteError};
pub use error::Error;
pub use layout::Change;
pub use millstream_record::StoredRecord;
pub use millstream_types::{Now, Ticket, Waiter};
pub use request::{
    AlterShares, AlteredTopic, Beaten, ByTopic, CommitRequest, ConsumerDescription, ConsumerHeartbeatRequest,
    DeletedTopic, DescribedConsumer, DescribedMember, Description, FetchRequest, FetchedOffset, GroupType,
    HeartbeatRequest, JoinRefused, JoinRequest, Joined, JoinedMember, LeaveRequest, Leaving, Left, ListFilter, Listed,
    OffsetCommit, OffsetDeleteRequest, PartitionResult, Protocol, ShareHeartbeatRequest, ShareStart, ShareWork,
    ShareWorked, SyncRequest, Synced, UNKNOWN_MEMBER,
};
pub use shard::Shard;
pub use state::GroupState;
