//! The records of `__consumer_offsets`, byte for byte as Kafka 4.3 writes them, and as any older Kafka wrote them. Stored: never renumber.
//!
//! ```text
//! key    i16 0|1  group topic partition:i32              an offset (0 was written before Kafka 0.9)
//!        i16 2    group                                  a group
//! value  i16 0..4 offset:i64 [epoch:i32 3+] metadata commit:i64 [expire:i64 only 1] [tags 4+: 0 = topic id]
//!        i16 0..4 type generation:i32 protocol? leader? [since:i64 2+] members [tags 4+]
//! ```
//!
//! Strings have an i16 length, from version 4 a varint of length + 1 (0 is null). The keys of KIP-848 and of share groups
//! are in modules of their own; others are not read.

mod consumer;
mod decode;
mod encode;
mod share;
mod share_state;

use crate::consumer::stored::ConsumerChange;
use bytes::Bytes;
use millstream_record::StoredRecord;
use millstream_types::{LeaderEpoch, Offset, TimestampMs, TopicId};

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: String,
    /// When it was committed.
    pub committed_at: TimestampMs,
    /// When it expires, where the commit said so.
    pub expires_at: Option<TimestampMs>,
    /// The topic's id, where the commit named it, else [`TopicId::ZERO`].
    pub topic_id: TopicId,
}

/// A member as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMember {
    /// Its id.
    pub member: String,
    /// Its static name.
    pub instance: Option<String>,
    /// Its client id.
    pub client_id: String,
    /// Its address.
    pub client_host: String,
    /// Its rebalance timeout; the session timeout where an old record has none.
    pub rebalance_timeout_ms: i32,
    /// Its session timeout.
    pub session_timeout_ms: i32,
    /// Its subscription under the group's protocol.
    pub subscription: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// A generation of a group as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGroup {
    /// Empty when the group has none.
    pub protocol_type: String,
    /// The generation.
    pub generation: i32,
    /// The protocol.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: Option<String>,
    /// Since when it is in its state.
    pub state_since: Option<TimestampMs>,
    /// Its members; none when it is empty.
    pub members: Vec<StoredMember>,
}

/// One change to what is stored: a record of the topic, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An offset is committed, or removed.
    Offset {
        /// The group.
        group: String,
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset; none is a tombstone.
        committed: Option<Committed>,
    },
    /// A group's generation is stored, or the group removed.
    Group {
        /// The group.
        group: String,
        /// The generation; none is a tombstone.
        stored: Option<StoredGroup>,
    },
    /// Something of a group of the new protocol is stored, or removed.
    Consumer {
        /// The group.
        group: String,
        /// What.
        change: ConsumerChange,
    },
    /// Something of a share group is stored, or removed.
    Share {
        /// The group.
        group: String,
        /// What.
        change: ConsumerChange,
    },
    /// A key of another kind, of the given version: not ours to read.
    Other(i16),
}

impl Change {
    /// Reads a record written at `timestamp`.
    ///
    /// # Errors
    /// `CorruptRecord` with the field at which it can't be read.
    pub fn decode(key: &[u8], value: Option<&[u8]>, timestamp: TimestampMs) -> Result<Self, crate::Error> {
        decode::change(key, value, timestamp)
    }

    /// The group that it is about.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Offset { group, .. }
            | Self::Group { group, .. }
            | Self::Consumer { group, .. }
            | Self::Share { group, .. } => Some(group),
            Self::Other(_) => None,
        }
    }

    /// The record of this change; none for [`Change::Other`], or when a string is longer than Kafka's layout can hold.
    #[must_use]
    pub fn encode(&self) -> Option<StoredRecord> {
        encode::change(self)
    }
}
