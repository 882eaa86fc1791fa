//! The answer to a fetch, written by hand so that records stay where they are: the frame has slots that the socket fills from files.

mod encode;
mod share;
mod writer;

pub use encode::encode_fetch;
pub use share::{ShareFetchAnswer, encode_share_fetch};

use crate::StrBytes;
use bytes::Bytes;
use millstream_types::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};

/// An answer to a fetch, without the records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FetchAnswer {
    /// Milliseconds that the client is asked to wait (a quota).
    pub throttle_time_ms: i32,
    /// An error of the whole request, as Kafka's code; told from version 7.
    pub error_code: i16,
    /// The fetch session; 0 for none.
    pub session_id: i32,
    /// The topics.
    pub topics: Vec<TopicAnswer>,
    /// Where the leaders named in [`PartitionAnswer::current_leader`] are; told from version 16.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicAnswer {
    /// The name; told to version 12.
    pub name: StrBytes,
    /// The id; told from version 13.
    pub id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionAnswer>,
}

/// One partition of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionAnswer {
    /// The partition.
    pub partition: PartitionIndex,
    /// Kafka's code; 0 for none.
    pub error_code: i16,
    /// The high watermark, or [`Offset::NONE`] with an error.
    pub high_watermark: Offset,
    /// The last stable offset, or [`Offset::NONE`].
    pub last_stable: Offset,
    /// The first offset of the log, or [`Offset::NONE`]; told from version 5.
    pub log_start: Offset,
    /// Where the fetcher's log parted from the leader's; told from version 12.
    pub diverging_epoch: Option<DivergingEpoch>,
    /// The leader, where the fetcher asked another; told from version 12.
    pub current_leader: Option<(BrokerId, LeaderEpoch)>,
    /// Transactions aborted within the records; none to a reader of uncommitted records.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// A nearer replica to read from, or [`BrokerId::NONE`]; told from version 11.
    pub preferred_read_replica: BrokerId,
    /// Bytes of the records that fill this partition's slot.
    pub records_len: usize,
}

impl PartitionAnswer {
    /// An answer without records, and nothing known of the log: an error, when the code is not 0.
    #[must_use]
    pub const fn empty(partition: PartitionIndex, error_code: i16) -> Self {
        Self {
            partition,
            error_code,
            high_watermark: Offset::NONE,
            last_stable: Offset::NONE,
            log_start: Offset::NONE,
            diverging_epoch: None,
            current_leader: None,
            aborted_transactions: None,
            preferred_read_replica: BrokerId::NONE,
            records_len: 0,
        }
    }
}

/// The largest epoch that both logs have, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DivergingEpoch {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end_offset: Offset,
}

/// A transaction whose records a reader of committed records skips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose it was.
    pub producer: ProducerId,
    /// Its first record.
    pub first_offset: Offset,
}

/// Where a broker is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// The broker.
    pub node: BrokerId,
    /// Its advertised host.
    pub host: StrBytes,
    /// Its advertised port.
    pub port: i32,
    /// Its rack, where it has one.
    pub rack: Option<StrBytes>,
}

/// A partition's place in an answer: the topic's, and its own within that.
type PartitionSlot = (usize, usize);

/// A piece of an answer's frame, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes to send.
    Bytes(Bytes),
    /// Here come the records of `answer.topics[topic].partitions[partition]`: exactly their `records_len` bytes, which is not 0.
    Payload {
        /// The topic's place in the answer.
        topic: usize,
        /// The partition's place within the topic.
        partition: usize,
    },
}

/// An answer's frame with slots for records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFrame {
    /// The pieces, beginning with the frame's length.
    pub pieces: Vec<Piece>,
    /// Bytes of the whole frame: its length, the pieces and all records.
    pub len: usize,
}
