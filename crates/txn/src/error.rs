//! Why a producer's batch, or a request about a transaction, is refused. Each variant is one of Kafka's error codes.

use crate::state::TransactionState;
use millstream_types::{ErrorKind, ProducerEpoch, ProducerId};

/// What is wrong with a batch's producer, epoch or sequence, or with what is asked of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER: a batch before it is missing, or it is older than the batches remembered.
    #[error(
        "producer {producer} sent sequence {sent} in epoch {epoch}, expected {expected}: a batch before it is missing"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer: ProducerId,
        /// Its epoch.
        epoch: ProducerEpoch,
        /// The first sequence of the batch.
        sent: i32,
        /// The sequence that comes next.
        expected: i32,
    },
    /// INVALID_PRODUCER_EPOCH: a newer instance of the producer has written.
    #[error(
        "producer {producer} sent epoch {sent}, the partition has seen {current}: a newer instance of this producer took over"
    )]
    InvalidProducerEpoch {
        /// The producer.
        producer: ProducerId,
        /// The epoch of the batch.
        sent: ProducerEpoch,
        /// The newest epoch seen.
        current: ProducerEpoch,
    },
    /// INVALID_TXN_STATE: a batch outside of a transaction while one of its producer is open.
    #[error("producer {producer} has an open transaction, and sent a batch that is not part of it")]
    NotTransactional {
        /// The producer.
        producer: ProducerId,
    },
    /// INVALID_TXN_STATE: the partition is not known to be part of an open transaction.
    #[error(
        "producer {producer} sent a batch of a transaction in epoch {epoch}, which is not open in this partition: its coordinator has not added the partition to it, or has ended it"
    )]
    NotInTransaction {
        /// The producer.
        producer: ProducerId,
        /// The epoch of the batch.
        epoch: ProducerEpoch,
    },
    /// TRANSACTION_ABORTABLE: a client that adds partitions itself has not added this one.
    #[error(
        "partition {partition} of {topic:?} is not part of the open transaction of {id:?}: abort it and begin anew"
    )]
    NotAdded {
        /// The transactional id.
        id: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// TRANSACTION_COORDINATOR_FENCED: a newer coordinator has written a marker.
    #[error(
        "a marker for producer {producer} came from a coordinator of epoch {sent}, the partition has seen {current}: another coordinator took over"
    )]
    CoordinatorFenced {
        /// The producer.
        producer: ProducerId,
        /// The epoch of the marker's coordinator.
        sent: i32,
        /// The newest epoch seen.
        current: i32,
    },
    /// INVALID_REQUEST: an empty transactional id.
    #[error("the transactional id is empty: leave it out, or name one")]
    EmptyTransactionalId,
    /// INVALID_TRANSACTION_TIMEOUT.
    #[error("a transaction timeout of {sent_ms} ms was asked for, expected 1 to {max_ms} (transaction.max.timeout.ms)")]
    InvalidTransactionTimeout {
        /// What was sent.
        sent_ms: i32,
        /// The largest allowed.
        max_ms: i32,
    },
    /// TRANSACTIONAL_ID_NOT_FOUND.
    #[error("transactional id {id:?} is not known: no producer was initialized with it, or it has expired")]
    TransactionalIdNotFound {
        /// The id.
        id: String,
    },
    /// INVALID_PRODUCER_ID_MAPPING: the id has another producer id.
    #[error("transactional id {id:?} does not belong to producer {sent}: initialize the producer again")]
    InvalidProducerIdMapping {
        /// The id.
        id: String,
        /// The producer that asked.
        sent: ProducerId,
    },
    /// PRODUCER_FENCED: a newer instance of the producer took the id over.
    #[error(
        "the request has producer epoch {sent}, the current one is {current}: a newer instance of this producer took over"
    )]
    ProducerFenced {
        /// The epoch sent.
        sent: ProducerEpoch,
        /// The epoch now.
        current: ProducerEpoch,
    },
    /// CONCURRENT_TRANSACTIONS: try again.
    #[error("transactional id {id:?} is busy with its last request or with the end of a transaction: try again")]
    ConcurrentTransactions {
        /// The id.
        id: String,
    },
    /// INVALID_TXN_STATE.
    #[error("the transaction of {id:?} is {}: it can't {asked} now", state.name())]
    InvalidTxnState {
        /// The id.
        id: String,
        /// Its state.
        state: TransactionState,
        /// What was asked.
        asked: &'static str,
    },
    /// COORDINATOR_NOT_AVAILABLE: the log can't be written now.
    #[error("the state of transactional id {id:?} can't be written now: try again")]
    CoordinatorNotAvailable {
        /// The id.
        id: String,
    },
    /// NOT_COORDINATOR: another node coordinates it now.
    #[error("transactional id {id:?} is coordinated elsewhere: find its coordinator again")]
    NotCoordinator {
        /// The id.
        id: String,
    },
    /// A record that the topic can't hold.
    #[error(
        "the state of transactional id {id:?} is larger than __transaction_state allows: use fewer partitions in one transaction"
    )]
    RecordTooLarge {
        /// The id.
        id: String,
    },
    /// A record of `__transaction_state` that can't be read.
    #[error("a record of __transaction_state can't be read at its {field}: {why}")]
    CorruptRecord {
        /// Where.
        field: &'static str,
        /// Why.
        why: &'static str,
    },
    /// No id is left in the block: ask the controller for another.
    #[error("the block of producer ids is used up: ask the controller for another")]
    IdsUsedUp,
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::OutOfOrderSequence { .. }
            | Self::NotTransactional { .. }
            | Self::NotInTransaction { .. }
            | Self::NotAdded { .. }
            | Self::InvalidProducerIdMapping { .. }
            | Self::ConcurrentTransactions { .. }
            | Self::InvalidTxnState { .. } => ErrorKind::Conflict,
            Self::InvalidProducerEpoch { .. } | Self::CoordinatorFenced { .. } | Self::ProducerFenced { .. } => {
                ErrorKind::Fenced
            }
            Self::EmptyTransactionalId | Self::InvalidTransactionTimeout { .. } => ErrorKind::Invalid,
            Self::TransactionalIdNotFound { .. } => ErrorKind::NotFound,
            Self::RecordTooLarge { .. } => ErrorKind::Exhausted,
            Self::NotCoordinator { .. } => ErrorKind::NotLeader,
            Self::CorruptRecord { .. } => ErrorKind::Corrupt,
            Self::IdsUsedUp | Self::CoordinatorNotAvailable { .. } => ErrorKind::Unavailable,
        }
    }
}
