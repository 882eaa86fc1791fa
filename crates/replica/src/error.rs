//! What a replica refuses, each with the numbers that made it refuse.

use millstream_types::{BrokerId, ErrorKind, LeaderEpoch, Offset};

/// Why a replica refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another broker leads, or none.
    #[error("broker {local} does not lead this partition; broker {leader} does in epoch {epoch}: refresh the metadata")]
    NotLeader {
        /// This broker.
        local: BrokerId,
        /// The leader, -1 when there is none.
        leader: BrokerId,
        /// The epoch known here.
        epoch: LeaderEpoch,
    },
    /// The caller knows an older leader.
    #[error("leader epoch {requested} is older than the current one, {current}: refresh the metadata")]
    FencedEpoch {
        /// What the caller sent.
        requested: LeaderEpoch,
        /// The epoch known here.
        current: LeaderEpoch,
    },
    /// The caller knows a newer leader than this broker does.
    #[error("leader epoch {requested} is newer than the one known here, {current}: try again")]
    UnknownEpoch {
        /// What the caller sent.
        requested: LeaderEpoch,
        /// The epoch known here.
        current: LeaderEpoch,
    },
    /// acks=all needs more in-sync replicas; nothing was written.
    #[error(
        "{in_sync} in-sync replicas are fewer than the {required} that min.insync.replicas asks for; nothing was written"
    )]
    NotEnoughReplicas {
        /// How many are in sync.
        in_sync: usize,
        /// How many are needed.
        required: usize,
    },
    /// The in-sync set shrank below the minimum after the write.
    #[error("written, but {in_sync} in-sync replicas are fewer than the {required} that min.insync.replicas asks for")]
    NotEnoughReplicasAfterAppend {
        /// How many are in sync.
        in_sync: usize,
        /// How many are needed.
        required: usize,
    },
    /// An offset that this replica has not, or may not show.
    #[error("offset {offset} is outside of what can be read, {start} to {end}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// The first offset.
        start: Offset,
        /// The offset after the last one that may be read.
        end: Offset,
    },
    /// An assignment older than the one applied.
    #[error("an assignment of leader epoch {given} came after one of epoch {current}; it is ignored")]
    StaleAssignment {
        /// The epoch of the late one.
        given: LeaderEpoch,
        /// The epoch known here.
        current: LeaderEpoch,
    },
    /// A fetch from a broker that is no replica of this partition.
    #[error("broker {broker} is not a replica of this partition in epoch {epoch}")]
    NotAReplica {
        /// Who asked.
        broker: BrokerId,
        /// The epoch known here.
        epoch: LeaderEpoch,
    },
}

impl Error {
    /// The kind, by which callers decide.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotLeader { .. } => ErrorKind::NotLeader,
            Self::FencedEpoch { .. } | Self::StaleAssignment { .. } => ErrorKind::Fenced,
            Self::UnknownEpoch { .. } | Self::NotEnoughReplicas { .. } | Self::NotEnoughReplicasAfterAppend { .. } => {
                ErrorKind::Unavailable
            }
            Self::OffsetOutOfRange { .. } | Self::NotAReplica { .. } => ErrorKind::Invalid,
        }
    }
}
