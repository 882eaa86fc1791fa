//! Kafka's ShareFetchResponse as bytes around slots: all of it is the message of the codec, but for the records.

use super::writer::{Message, Writer};
use super::{FetchFrame, PartitionSlot};
use crate::{ApiKey, Encodable, Error, supported};
use bytes::BufMut;
use kafka_protocol::messages::ShareFetchResponse;
use kafka_protocol::messages::share_fetch_response::{PartitionData, ShareFetchableTopicResponse};

const MESSAGE: &str = "ShareFetchResponse";
/// The version in which the codec knows the parts, which are the same since.
const PARTS: i16 = 1;
/// Bytes set aside for the header and each partition: what most take, so that the buffer seldom grows.
const FIXED_BYTES: usize = 64;
const PARTITION_BYTES: usize = 128;

/// An answer to a share fetch. Whether a partition has records says the message; which, the slots.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShareFetchAnswer {
    /// All but the records: those of its partitions are none, or empty where they fill a slot.
    pub message: ShareFetchResponse,
    /// Bytes of records, by topic and partition of the message; 0 for what is not said.
    pub records_len: Vec<Vec<usize>>,
}

/// The frame of an answer, with a slot for each partition that has records.
///
/// # Errors
/// [`Error::Encode`] when the version is not served or a text is too long for it, [`Error::TooLarge`] when it exceeds a frame.
pub fn encode_share_fetch(answer: &ShareFetchAnswer, version: i16, correlation_id: i32) -> Result<FetchFrame, Error> {
    if !supported(ApiKey::ShareFetch).is_some_and(|range| range.contains(&version)) {
        return Err(Error::Encode { message: MESSAGE, version, reason: "the version is not served".to_owned() });
    }
    let message = &answer.message;
    let partitions: usize = message.responses.iter().map(|topic| topic.partitions.len()).sum();
    let capacity = FIXED_BYTES + (message.responses.len() + partitions) * PARTITION_BYTES;
    let writer = Writer::new(Message { name: MESSAGE, version, is_flexible: true }, capacity, partitions);
    let mut share = ShareWriter { writer, records_len: &answer.records_len };
    share.answer(message, correlation_id)?;
    share.writer.finish()
}

struct ShareWriter<'a> {
    writer: Writer,
    records_len: &'a [Vec<usize>],
}

impl ShareWriter<'_> {
    fn answer(&mut self, answer: &ShareFetchResponse, correlation_id: i32) -> Result<(), Error> {
        self.writer.head(correlation_id);
        self.writer.buffer.put_i32(answer.throttle_time_ms);
        self.writer.buffer.put_i16(answer.error_code);
        self.writer.nullable_text(answer.error_message.as_deref())?;
        self.writer.buffer.put_i32(answer.acquisition_lock_timeout_ms);
        self.writer.count(answer.responses.len())?;
        for (place, topic) in answer.responses.iter().enumerate() {
            self.topic(place, topic)?;
        }
        self.each(&answer.node_endpoints)?;
        self.writer.no_tags();
        Ok(())
    }

    fn topic(&mut self, place: usize, topic: &ShareFetchableTopicResponse) -> Result<(), Error> {
        self.writer.buffer.put_slice(topic.topic_id.as_bytes());
        self.writer.count(topic.partitions.len())?;
        for (within, partition) in topic.partitions.iter().enumerate() {
            self.partition((place, within), partition)?;
        }
        self.writer.no_tags();
        Ok(())
    }

    fn partition(&mut self, slot: PartitionSlot, partition: &PartitionData) -> Result<(), Error> {
        self.writer.buffer.put_i32(partition.partition_index);
        self.writer.buffer.put_i16(partition.error_code);
        self.writer.nullable_text(partition.error_message.as_deref())?;
        self.writer.buffer.put_i16(partition.acknowledge_error_code);
        self.writer.nullable_text(partition.acknowledge_error_message.as_deref())?;
        self.one(&partition.current_leader)?;
        match &partition.records {
            None => self.writer.null_array(),
            Some(_) => {
                let len = self.records_len.get(slot.0).and_then(|topic| topic.get(slot.1)).copied().unwrap_or(0);
                self.writer.records(slot, len)?;
            }
        }
        self.each(&partition.acquired_records)?;
        self.writer.no_tags();
        Ok(())
    }

    fn each<T: Encodable>(&mut self, all: &[T]) -> Result<(), Error> {
        self.writer.count(all.len())?;
        all.iter().try_for_each(|one| self.one(one))
    }

    /// A part that the codec knows.
    fn one<T: Encodable>(&mut self, one: &T) -> Result<(), Error> {
        let version = self.writer.message.version;
        let failed = |error: anyhow::Error| Error::Encode { message: MESSAGE, version, reason: error.to_string() };
        one.encode(&mut self.writer.buffer, PARTS).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decodable, Piece};
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages::share_fetch_response::{AcquiredRecords, LeaderIdAndEpoch, NodeEndpoint};
    use kafka_protocol::protocol::StrBytes;

    fn answer() -> ShareFetchAnswer {
        let acquired = AcquiredRecords::default().with_first_offset(3).with_last_offset(9).with_delivery_count(2);
        let full = PartitionData::default()
            .with_partition_index(1)
            .with_acknowledge_error_code(121)
            .with_acknowledge_error_message(Some(StrBytes::from_static_str("too late")))
            .with_current_leader(LeaderIdAndEpoch::default().with_leader_id(1).with_leader_epoch(4))
            .with_records(Some(Bytes::new()))
            .with_acquired_records(vec![acquired]);
        let failed = PartitionData::default().with_partition_index(2).with_error_code(6).with_records(None);
        let topic = ShareFetchableTopicResponse::default()
            .with_topic_id(uuid::Uuid::from_u128(7))
            .with_partitions(vec![full, failed]);
        let endpoint = NodeEndpoint::default().with_host(StrBytes::from_static_str("h")).with_port(9092);
        let message = ShareFetchResponse::default()
            .with_throttle_time_ms(3)
            .with_acquisition_lock_timeout_ms(30_000)
            .with_responses(vec![topic])
            .with_node_endpoints(vec![endpoint]);
        ShareFetchAnswer { message, records_len: vec![vec![5, 0]] }
    }

    #[test]
    fn the_bytes_are_those_of_the_codec() {
        let frame = encode_share_fetch(&answer(), 1, 42).unwrap();
        let mut bytes = BytesMut::new();
        for piece in &frame.pieces {
            match piece {
                Piece::Bytes(some) => bytes.extend_from_slice(some),
                Piece::Payload { topic, partition } => {
                    assert_eq!((*topic, *partition), (0, 0));
                    bytes.extend_from_slice(b"hello");
                }
            }
        }
        assert_eq!(bytes.len(), frame.len);
        assert_eq!(bytes[..4], i32::try_from(frame.len - 4).unwrap().to_be_bytes());
        // The frame's length, the correlation id and the header's tags.
        let mut body = bytes.freeze().slice(9..);
        let decoded = ShareFetchResponse::decode(&mut body, 1).unwrap();
        let mut expected = answer().message;
        expected.responses[0].partitions[0].records = Some(Bytes::from_static(b"hello"));
        assert_eq!(decoded, expected);
        assert!(body.is_empty());
    }

    #[test]
    fn a_version_that_is_not_served_is_refused() {
        assert!(encode_share_fetch(&answer(), 0, 1).is_err());
    }
}
