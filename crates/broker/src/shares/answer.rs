//! The answer to a share fetch, and the records that belong into it, still in their files.

use crate::codes::Failure;
use crate::shares::fetch::Got;
use crate::shares::session::Partition;
use bytes::Bytes;
use kafka_protocol::messages::share_fetch_response::{
    AcquiredRecords, LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareFetchResponse, ShareFetchableTopicResponse,
};
use millstream_group::share::Acquired;
use millstream_net::Part;
use millstream_partition::Chunk;
use millstream_protocol::{Error, Piece, ShareFetchAnswer, StrBytes, encode_share_fetch};
use millstream_types::{BrokerId, LeaderEpoch};

/// An answer in the making.
#[derive(Debug, Default)]
pub(crate) struct ShareAssembly {
    pub(crate) answer: ShareFetchAnswer,
    /// By topic and partition of the answer.
    records: Vec<Vec<Vec<Chunk>>>,
}

impl ShareAssembly {
    /// A request that is refused as a whole.
    pub(crate) fn refused(failure: Failure) -> Self {
        let code = failure.code.code();
        let message = ShareFetchResponse::default().with_error_code(code).with_error_message(failure.text());
        Self { answer: ShareFetchAnswer { message, records_len: Vec::new() }, records: Vec::new() }
    }

    /// An answer without partitions yet, to a member whose locks last so long.
    pub(crate) fn new(lock_ms: u64) -> Self {
        let lock_ms = i32::try_from(lock_ms).unwrap_or(i32::MAX);
        let message = ShareFetchResponse::default().with_acquisition_lock_timeout_ms(lock_ms);
        Self { answer: ShareFetchAnswer { message, records_len: Vec::new() }, records: Vec::new() }
    }

    /// Adds what was got of a partition, and what became of what was said of it.
    pub(crate) fn add(&mut self, partition: Partition, got: Got, acknowledged: Option<Failure>) {
        let mut data = PartitionData::default().with_partition_index(partition.1).with_records(Some(Bytes::new()));
        let mut chunks = Vec::new();
        let mut records_len = 0;
        match got {
            Got::Nothing => {}
            Got::Records { chunks: found, len, acquired } => {
                (chunks, records_len) = (found, len);
                data.acquired_records = acquired.into_iter().map(told).collect();
            }
            Got::Failed(failure) => {
                data.records = None;
                data.error_code = failure.code.code();
                data.error_message = failure.text();
            }
        }
        if let Some(failure) = acknowledged {
            data.acknowledge_error_code = failure.code.code();
            data.acknowledge_error_message = failure.text();
        }
        let topics = &mut self.answer.message.responses;
        if topics.last().is_none_or(|topic| topic.topic_id != partition.0.0) {
            topics.push(ShareFetchableTopicResponse::default().with_topic_id(partition.0.0));
            self.answer.records_len.push(Vec::new());
            self.records.push(Vec::new());
        }
        if let (Some(topic), Some(lens), Some(records)) =
            (topics.last_mut(), self.answer.records_len.last_mut(), self.records.last_mut())
        {
            topic.partitions.push(data);
            lens.push(records_len);
            records.push(chunks);
        }
    }

    /// The partitions of the answer, by topic.
    pub(crate) fn partitions(&mut self) -> impl Iterator<Item = (uuid::Uuid, &mut PartitionData)> {
        let topics = self.answer.message.responses.iter_mut();
        topics.flat_map(|topic| topic.partitions.iter_mut().map(|partition| (topic.topic_id, partition)))
    }

    /// Says where leaders are that were told of.
    pub(crate) fn set_endpoints(&mut self, endpoints: Vec<NodeEndpoint>) {
        self.answer.message.node_endpoints = endpoints;
    }

    /// Bytes of records in it.
    pub(crate) fn records_len(&self) -> usize {
        self.answer.records_len.iter().flatten().sum()
    }

    /// The frame, with the records where they are.
    pub(crate) fn encode(mut self, version: i16, correlation_id: i32) -> Result<Vec<Part>, Error> {
        let frame = encode_share_fetch(&self.answer, version, correlation_id)?;
        let mut parts = Vec::with_capacity(frame.pieces.len());
        for piece in frame.pieces {
            match piece {
                Piece::Bytes(bytes) => parts.push(Part::Bytes(bytes)),
                Piece::Payload { topic, partition } => {
                    let slot = self.records.get_mut(topic).and_then(|topic| topic.get_mut(partition));
                    let chunks = std::mem::take(slot.expect("one slot was made for each partition of the answer"));
                    parts.extend(chunks.into_iter().map(|chunk| match chunk {
                        Chunk::Bytes(bytes) => Part::Bytes(bytes),
                        Chunk::File(range) => Part::File(range),
                    }));
                }
            }
        }
        Ok(parts)
    }
}

/// A leader as an answer tells of it.
pub(crate) fn leader(leader: BrokerId, epoch: LeaderEpoch) -> LeaderIdAndEpoch {
    LeaderIdAndEpoch::default().with_leader_id(leader.0).with_leader_epoch(epoch.0)
}

/// Where a leader is, as an answer tells it.
pub(crate) fn endpoint(broker: BrokerId, host: &str, port: u16, rack: Option<&str>) -> NodeEndpoint {
    NodeEndpoint::default()
        .with_node_id(kafka_protocol::messages::BrokerId(broker.0))
        .with_host(StrBytes::from_string(host.to_owned()))
        .with_port(i32::from(port))
        .with_rack(rack.map(|rack| StrBytes::from_string(rack.to_owned())))
}

fn told(acquired: Acquired) -> AcquiredRecords {
    AcquiredRecords::default()
        .with_first_offset(acquired.first)
        .with_last_offset(acquired.last)
        .with_delivery_count(acquired.count)
}
