//! Why a producer's batch is refused. Each variant is one of Kafka's error codes.

use millstream_types::{ErrorKind, ProducerEpoch, ProducerId};

/// What is wrong with a batch's producer, epoch or sequence.
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
    /// No id is left in the block: ask the controller for another.
    #[error("the block of producer ids is used up: ask the controller for another")]
    IdsUsedUp,
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::OutOfOrderSequence { .. } | Self::NotTransactional { .. } => ErrorKind::Conflict,
            Self::InvalidProducerEpoch { .. } => ErrorKind::Fenced,
            Self::IdsUsedUp => ErrorKind::Unavailable,
        }
    }
}
