//! Consumer groups as decisions: the classic protocol, members, generations, offsets, and how Kafka stores them.
//!
//! Requests, the time and random numbers go in; records to write and replies come out ([`Effects`]). No I/O, no clock, no random number
//! is made here. [`Shard`] is the way in: all groups of one partition of `__consumer_offsets`.

mod classic;
mod config;
mod effects;
mod error;
pub mod layout;
mod member;
mod offsets;
mod request;
mod shard;
mod state;
mod subscription;
mod timers;
mod turn;

pub use config::Config;
pub use effects::{Effects, Producer, Reply, Write, WriteError};
pub use error::Error;
pub use layout::Change;
pub use millstream_record::StoredRecord;
pub use millstream_types::{Now, Ticket, Waiter};
pub use request::{
    ByTopic, CLASSIC, CommitRequest, DescribedMember, Description, FetchRequest, FetchedOffset, HeartbeatRequest,
    JoinRefused, JoinRequest, Joined, JoinedMember, LeaveRequest, Leaving, Left, ListFilter, Listed, OffsetCommit,
    OffsetDeleteRequest, PartitionResult, Protocol, SyncRequest, Synced, UNKNOWN_MEMBER,
};
pub use shard::Shard;
pub use state::GroupState;
