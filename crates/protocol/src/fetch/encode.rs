//! Every version of Kafka's FetchResponse that we serve, as bytes around slots.
//!
//! ```text
//! v4   throttle, topics[name, partitions[index, error, high watermark, last stable, aborted, records]]
//! v5   + log start            v7  + error, session      v11 + preferred replica
//! v12  compact lengths and tagged fields (diverging epoch, current leader)
//! v13  topic id for name      v16 + tagged node endpoints
//! ```
//! The bytes between two slots are slices of one buffer: an answer costs one allocation for its bytes and one for its pieces.

use super::{FetchAnswer, FetchFrame, NodeEndpoint, PartitionAnswer, Piece, TopicAnswer};
use crate::{ApiKey, Error, supported};
use bytes::{BufMut, Bytes, BytesMut};

const MESSAGE: &str = "FetchResponse";
const LENGTH_BYTES: usize = 4;
/// Bytes set aside for the header and each partition: what most take, so that the buffer seldom grows.
const FIXED_BYTES: usize = 64;
const TOPIC_BYTES: usize = 64;
const PARTITION_BYTES: usize = 64;

const FLEXIBLE_FROM: i16 = 12;

/// The frame of an answer, with a slot for each partition that has records.
///
/// # Errors
/// [`Error::Encode`] when the version is not served or a text is too long for it, [`Error::TooLarge`] when it exceeds a frame.
pub fn encode_fetch(answer: &FetchAnswer, version: i16, correlation_id: i32) -> Result<FetchFrame, Error> {
    if !supported(ApiKey::Fetch).is_some_and(|range| range.contains(&version)) {
        return Err(Error::Encode { message: MESSAGE, version, reason: "the version is not served".to_owned() });
    }
    let partitions: usize = answer.topics.iter().map(|topic| topic.partitions.len()).sum();
    let capacity = FIXED_BYTES + answer.topics.len() * TOPIC_BYTES + partitions * PARTITION_BYTES;
    let mut writer = Writer {
        buffer: BytesMut::with_capacity(capacity),
        version,
        slots: Vec::with_capacity(partitions),
        payload: 0,
    };
    writer.answer(answer, correlation_id)?;
    writer.finish()
}

struct Slot {
    /// Where in the buffer the payload belongs.
    at: usize,
    topic: usize,
    partition: usize,
}

struct Writer {
    buffer: BytesMut,
    version: i16,
    slots: Vec<Slot>,
    /// Bytes of all payloads.
    payload: usize,
}

impl Writer {
    fn answer(&mut self, answer: &FetchAnswer, correlation_id: i32) -> Result<(), Error> {
        self.buffer.put_i32(0);
        self.buffer.put_i32(correlation_id);
        self.no_tags();
        self.buffer.put_i32(answer.throttle_time_ms);
        if self.version >= 7 {
            self.buffer.put_i16(answer.error_code);
            self.buffer.put_i32(answer.session_id);
        }
        self.count(answer.topics.len())?;
        for (place, topic) in answer.topics.iter().enumerate() {
            self.topic(place, topic)?;
        }
        if self.version >= 16 && !answer.node_endpoints.is_empty() {
            let mut endpoints = self.nested();
            endpoints.endpoints(&answer.node_endpoints)?;
            self.tags(&[(0, endpoints.buffer)])
        } else {
            self.no_tags();
            Ok(())
        }
    }

    fn topic(&mut self, place: usize, topic: &TopicAnswer) -> Result<(), Error> {
        if self.version >= 13 {
            self.buffer.put_slice(topic.id.0.as_bytes());
        } else {
            self.text(&topic.name)?;
        }
        self.count(topic.partitions.len())?;
        for (within, partition) in topic.partitions.iter().enumerate() {
            self.partition(partition)?;
            self.records((place, within), partition.records_len)?;
            self.partition_tags(partition)?;
        }
        self.no_tags();
        Ok(())
    }

    fn partition(&mut self, answer: &PartitionAnswer) -> Result<(), Error> {
        self.buffer.put_i32(answer.partition.0);
        self.buffer.put_i16(answer.error_code);
        self.buffer.put_i64(answer.high_watermark.0);
        self.buffer.put_i64(answer.last_stable.0);
        if self.version >= 5 {
            self.buffer.put_i64(answer.log_start.0);
        }
        match &answer.aborted_transactions {
            None => self.null_array(),
            Some(aborted) => {
                self.count(aborted.len())?;
                for transaction in aborted {
                    self.buffer.put_i64(transaction.producer.0);
                    self.buffer.put_i64(transaction.first_offset.0);
                    self.no_tags();
                }
            }
        }
        if self.version >= 11 {
            self.buffer.put_i32(answer.preferred_read_replica.0);
        }
        Ok(())
    }

    /// The length of the records, and the slot for them. No records are an empty field, never null: older clients fail on null.
    fn records(&mut self, (topic, partition): (usize, usize), len: usize) -> Result<(), Error> {
        self.count(len)?;
        if len > 0 {
            self.slots.push(Slot { at: self.buffer.len(), topic, partition });
            self.payload = self.payload.checked_add(len).ok_or(Error::TooLarge { message: MESSAGE, len })?;
        }
        Ok(())
    }

    fn partition_tags(&mut self, answer: &PartitionAnswer) -> Result<(), Error> {
        if self.version < FLEXIBLE_FROM || (answer.diverging_epoch.is_none() && answer.current_leader.is_none()) {
            self.no_tags();
            return Ok(());
        }
        let mut tags = Vec::with_capacity(2);
        if let Some(diverging) = answer.diverging_epoch {
            let mut field = self.nested();
            field.buffer.put_i32(diverging.epoch.0);
            field.buffer.put_i64(diverging.end_offset.0);
            field.no_tags();
            tags.push((0, field.buffer));
        }
        if let Some((leader, epoch)) = answer.current_leader {
            let mut field = self.nested();
            field.buffer.put_i32(leader.0);
            field.buffer.put_i32(epoch.0);
            field.no_tags();
            tags.push((1, field.buffer));
        }
        self.tags(&tags)
    }

    fn endpoints(&mut self, endpoints: &[NodeEndpoint]) -> Result<(), Error> {
        self.count(endpoints.len())?;
        for endpoint in endpoints {
            self.buffer.put_i32(endpoint.node.0);
            self.text(&endpoint.host)?;
            self.buffer.put_i32(endpoint.port);
            match &endpoint.rack {
                None => self.varint(0),
                Some(rack) => self.text(rack)?,
            }
            self.no_tags();
        }
        Ok(())
    }

    /// A writer of the same version for the inside of a tagged field, whose length goes before it.
    fn nested(&self) -> Self {
        Self { buffer: BytesMut::new(), version: self.version, slots: Vec::new(), payload: 0 }
    }

    fn tags(&mut self, fields: &[(u32, BytesMut)]) -> Result<(), Error> {
        self.varint(self.checked(fields.len())?);
        for (tag, content) in fields {
            self.varint(*tag);
            self.varint(self.checked(content.len())?);
            self.buffer.put_slice(content);
        }
        Ok(())
    }

    fn no_tags(&mut self) {
        if self.version >= FLEXIBLE_FROM {
            self.buffer.put_u8(0);
        }
    }

    fn null_array(&mut self) {
        if self.version >= FLEXIBLE_FROM {
            self.buffer.put_u8(0);
        } else {
            self.buffer.put_i32(-1);
        }
    }

    /// The number of an array's elements, or of records' bytes: their prefixes are alike.
    fn count(&mut self, count: usize) -> Result<(), Error> {
        let told = self.checked(count)?;
        if self.version >= FLEXIBLE_FROM {
            self.varint(told + 1);
        } else {
            self.buffer.put_u32(told);
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        if self.version >= FLEXIBLE_FROM {
            self.count(text.len())?;
        } else {
            let len = i16::try_from(text.len()).map_err(|_| Error::Encode {
                message: MESSAGE,
                version: self.version,
                reason: format!("a text of {} bytes is longer than 32767", text.len()),
            })?;
            self.buffer.put_i16(len);
        }
        self.buffer.put_slice(text.as_bytes());
        Ok(())
    }

    /// A number that fits Kafka's signed 32-bit lengths.
    fn checked(&self, len: usize) -> Result<u32, Error> {
        let signed = i32::try_from(len).map_err(|_| Error::TooLarge { message: MESSAGE, len })?;
        Ok(signed.unsigned_abs())
    }

    fn varint(&mut self, value: u32) {
        let mut rest = value;
        while rest >= 0x80 {
            // The low seven bits and a mark that more follow.
            self.buffer.put_u8((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.buffer.put_u8(rest as u8);
    }

    fn finish(mut self) -> Result<FetchFrame, Error> {
        let len = self.buffer.len() + self.payload;
        let told = self.checked(len - LENGTH_BYTES)?;
        self.buffer[..LENGTH_BYTES].copy_from_slice(&told.to_be_bytes());
        let whole: Bytes = self.buffer.freeze();
        let mut pieces = Vec::with_capacity(2 * self.slots.len() + 1);
        let mut from = 0;
        for Slot { at, topic, partition } in self.slots {
            pieces.push(Piece::Bytes(whole.slice(from..at)));
            pieces.push(Piece::Payload { topic, partition });
            from = at;
        }
        if from < whole.len() {
            pieces.push(Piece::Bytes(whole.slice(from..)));
        }
        Ok(FetchFrame { pieces, len })
    }
}
