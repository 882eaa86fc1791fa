//! Why the coordinator refuses a request.

use crate::ControllerError;
use millstream_types::{ErrorKind, PartitionIndex};

/// What the coordinator answers when it does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The group refuses it.
    #[error(transparent)]
    Group(#[from] millstream_group::Error),
    /// NOT_COORDINATOR: the group's partition is led elsewhere, or not yet here.
    #[error(
        "partition {partition} of __consumer_offsets, which holds group {group:?}, is not led by this node: find its coordinator again"
    )]
    NotCoordinator {
        /// The group.
        group: String,
        /// Its partition of the offsets topic.
        partition: PartitionIndex,
    },
    /// COORDINATOR_LOAD_IN_PROGRESS: the group's partition is still being read.
    #[error(
        "partition {partition} of __consumer_offsets, which holds group {group:?}, is still being loaded: try again"
    )]
    LoadInProgress {
        /// The group.
        group: String,
        /// Its partition of the offsets topic.
        partition: PartitionIndex,
    },
    /// COORDINATOR_NOT_AVAILABLE: the offsets topic does not exist yet.
    #[error("there is no __consumer_offsets yet: find the coordinator of group {group:?} first, which makes it")]
    NoOffsetsTopic {
        /// The group.
        group: String,
    },
    /// COORDINATOR_NOT_AVAILABLE, with back-off: too much waits to be written.
    #[error("{queued_bytes} bytes of records wait to be written, the limit is {limit_bytes}: send less, or later")]
    Busy {
        /// Bytes that wait.
        queued_bytes: usize,
        /// How many may.
        limit_bytes: usize,
    },
    /// COORDINATOR_NOT_AVAILABLE: the controller could not help.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// The transaction refuses it.
    #[error(transparent)]
    Transaction(#[from] millstream_txn::Error),
    /// NOT_COORDINATOR: the transactional id's partition is led elsewhere, or not yet here.
    #[error(
        "partition {partition} of __transaction_state, which holds transactional id {id:?}, is not led by this node: find its coordinator again"
    )]
    NotTxnCoordinator {
        /// The id.
        id: String,
        /// Its partition.
        partition: PartitionIndex,
    },
    /// COORDINATOR_LOAD_IN_PROGRESS: the transactional id's partition is still being read.
    #[error(
        "partition {partition} of __transaction_state, which holds transactional id {id:?}, is still being loaded: try again"
    )]
    TxnLoadInProgress {
        /// The id; empty where all are asked for.
        id: String,
        /// Its partition.
        partition: PartitionIndex,
    },
    /// COORDINATOR_NOT_AVAILABLE: the topic does not exist yet.
    #[error(
        "there is no __transaction_state yet: find the coordinator of transactional id {id:?} first, which makes it"
    )]
    NoTransactionsTopic {
        /// The id.
        id: String,
    },
    /// NOT_COORDINATOR: the share partition's state is kept elsewhere, or not yet here.
    #[error(
        "partition {partition} of __share_group_state, which holds {key:?}, is not led by this node: find its coordinator again"
    )]
    NotShareCoordinator {
        /// The share partition.
        key: String,
        /// The partition that holds it.
        partition: PartitionIndex,
    },
    /// COORDINATOR_LOAD_IN_PROGRESS: the share partition's state is still being read.
    #[error("partition {partition} of __share_group_state, which holds {key:?}, is still being loaded: try again")]
    ShareLoadInProgress {
        /// The share partition.
        key: String,
        /// The partition that holds it.
        partition: PartitionIndex,
    },
    /// COORDINATOR_NOT_AVAILABLE: the topic does not exist yet.
    #[error(
        "there is no __share_group_state yet: find the coordinator of share partition {key:?} first, which makes it"
    )]
    NoShareTopic {
        /// The share partition.
        key: String,
    },
    /// A broken invariant of ours.
    #[error("the coordinator answered {expected} with something else; this is a bug in Millstream")]
    WrongReply {
        /// What was asked.
        expected: &'static str,
    },
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Group(error) => error.kind(),
            Self::Transaction(error) => error.kind(),
            Self::NotCoordinator { .. } | Self::NotTxnCoordinator { .. } | Self::NotShareCoordinator { .. } => {
                ErrorKind::NotLeader
            }
            Self::LoadInProgress { .. }
            | Self::NoOffsetsTopic { .. }
            | Self::TxnLoadInProgress { .. }
            | Self::NoTransactionsTopic { .. }
            | Self::ShareLoadInProgress { .. }
            | Self::NoShareTopic { .. } => ErrorKind::Unavailable,
            Self::Busy { .. } => ErrorKind::Throttled,
            Self::Controller(error) => error.kind,
            Self::WrongReply { .. } => ErrorKind::Internal,
        }
    }
}

/// A join that failed, with the member id that Kafka answers beside the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct JoinRefused {
    /// The member id of the response. With `MemberIdRequired` it is the one to join with.
    pub member: String,
    /// Why.
    pub error: Error,
}
