//! Why a batch was refused, and which of Kafka's answers that is.

use crate::codec::Codec;
use millstream_types::ErrorKind;

/// Kafka's word for a refusal of a batch; the edge turns it into the error code of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `CORRUPT_MESSAGE`: the bytes are not a batch, or not the batch that was sent. The client may send it again.
    CorruptMessage,
    /// `INVALID_RECORD`: the batch breaks a rule and will always do so.
    InvalidRecord,
    /// `MESSAGE_TOO_LARGE`.
    MessageTooLarge,
    /// `INVALID_TIMESTAMP`.
    InvalidTimestamp,
}

/// Why bytes are not a batch that is taken or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end within a batch.
    #[error(
        "the bytes end within a batch: at {position} it needs {needed} bytes and {available} are there; send whole batches"
    )]
    Truncated {
        /// Where the batch begins.
        position: usize,
        /// Bytes it says it has, or that its header has at least.
        needed: usize,
        /// Bytes from `position` to the end.
        available: usize,
    },
    /// The length field is smaller than a header.
    #[error("batch at {position} says its length is {length}; expected at least 49")]
    Length {
        /// Where the batch begins.
        position: usize,
        /// What the field says.
        length: i32,
    },
    /// An old or unknown format.
    #[error("record batch has magic {magic}; expected 2, as clients since Kafka 0.11 send")]
    Magic {
        /// The format's number.
        magic: u8,
    },
    /// The CRC does not fit the bytes.
    #[error(
        "CRC of the batch is {computed:#010x}, its header says {stored:#010x}; the bytes were changed on their way"
    )]
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// No codec has this number.
    #[error("the batch's codec is number {id}; expected 0 none, 1 gzip, 2 snappy, 3 lz4 or 4 zstd")]
    UnknownCodec {
        /// The number in the attributes.
        id: u8,
    },
    /// More bytes than the topic takes in one batch, or than a limit allows.
    #[error("the batch has {bytes} bytes; the limit is {limit} ({option})")]
    TooLarge {
        /// Bytes of the batch.
        bytes: usize,
        /// The limit.
        limit: usize,
        /// Where the limit comes from.
        option: &'static str,
    },
    /// The counts in the header contradict each other.
    #[error(
        "the header says {record_count} records and a last offset delta of {last_offset_delta}; expected delta + 1 = records > 0"
    )]
    Counts {
        /// Number of records the header gives.
        record_count: i32,
        /// Last offset delta the header gives.
        last_offset_delta: i32,
    },
    /// More records than the limit.
    #[error("the header says {record_count} records; the limit is {limit}; send smaller batches")]
    TooManyRecords {
        /// Number of records the header gives.
        record_count: i32,
        /// The limit.
        limit: usize,
    },
    /// None, or several batches where one is expected.
    #[error("{batches} batches for one partition; expected exactly one")]
    BatchCount {
        /// How many there are, counted up to two.
        batches: usize,
    },
    /// A client's batch has offsets of its own.
    #[error("the batch's base offset is {base_offset}; expected 0, since the broker gives offsets")]
    BaseOffset {
        /// The field.
        base_offset: i64,
    },
    /// A client wrote a control batch.
    #[error("the batch is a control batch; only brokers write those")]
    Control,
    /// A batch of an idempotent producer without a sequence.
    #[error("the batch of producer {producer_id} has sequence {base_sequence}; expected at least 0")]
    Sequence {
        /// The producer.
        producer_id: i64,
        /// The field.
        base_sequence: i32,
    },
    /// A record does not parse, or breaks a rule.
    #[error("record {index} of the batch: {problem}")]
    Record {
        /// The record's place in its batch, from 0.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A record of a compacted topic has no key.
    #[error("record {index} of the batch has no key; a compacted topic needs one")]
    KeyMissing {
        /// The record's place in its batch, from 0.
        index: usize,
    },
    /// A timestamp is too far from the broker's clock.
    #[error(
        "timestamp {timestamp} of record {index} is outside {earliest}..={latest}, as message.timestamp.before.max.ms and message.timestamp.after.max.ms say"
    )]
    Timestamp {
        /// The record's place in its batch, from 0.
        index: usize,
        /// The record's timestamp.
        timestamp: i64,
        /// The earliest accepted.
        earliest: i64,
        /// The latest accepted.
        latest: i64,
    },
    /// Bytes are left after the last record.
    #[error("{bytes} bytes are left after the {record_count} records of the batch; expected none")]
    Trailing {
        /// Bytes left.
        bytes: usize,
        /// Number of records read.
        record_count: usize,
    },
    /// Compressed bytes that do not decompress.
    #[error("the batch's {codec} bytes do not decompress: {problem}")]
    Inflate {
        /// The codec.
        codec: Codec,
        /// What the codec said.
        problem: String,
    },
    /// Compressed bytes that become more than the limit.
    #[error("the batch's {codec} bytes decompress to more than {limit} bytes; send smaller batches")]
    Bomb {
        /// The codec.
        codec: Codec,
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self.reason() {
            Reason::CorruptMessage => ErrorKind::Corrupt,
            Reason::InvalidRecord | Reason::MessageTooLarge | Reason::InvalidTimestamp => ErrorKind::Invalid,
        }
    }

    /// Kafka's word for it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Length { .. } | Self::Crc { .. } | Self::Inflate { .. } => Reason::CorruptMessage,
            // Kafka: formats that never were are corruption, formats that are no longer taken are invalid.
            Self::Magic { magic } if *magic > 2 => Reason::CorruptMessage,
            Self::TooLarge { .. } => Reason::MessageTooLarge,
            Self::Timestamp { .. } => Reason::InvalidTimestamp,
            // Kafka sees no batch where there is none as a whole.
            Self::Truncated { .. }
            | Self::Magic { .. }
            | Self::UnknownCodec { .. }
            | Self::Counts { .. }
            | Self::TooManyRecords { .. }
            | Self::BatchCount { .. }
            | Self::BaseOffset { .. }
            | Self::Control
            | Self::Sequence { .. }
            | Self::Record { .. }
            | Self::KeyMissing { .. }
            | Self::Trailing { .. }
            | Self::Bomb { .. } => Reason::InvalidRecord,
        }
    }
}
