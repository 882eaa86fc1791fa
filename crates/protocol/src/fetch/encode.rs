//! Every version of Kafka's FetchResponse that we serve, as bytes around slots.
//!
//! ```text
//! v4   throttle, topics[name, partitions[index, error, high watermark, last stable, aborted, records]]
//! v5   + log start            v7  + error, session      v11 + preferred replica
//! v12  compact lengths and tagged fields (diverging epoch, current leader)
//! v13  topic id for name      v16 + tagged node endpoints
//! ```

use super::writer::{Message, Writer};
use super::{FetchAnswer, FetchFrame, NodeEndpoint, PartitionAnswer, TopicAnswer};
use crate::{ApiKey, Error, supported};
use bytes::BufMut;

const MESSAGE: &str = "FetchResponse";
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
    let message = Message { name: MESSAGE, version, is_flexible: version >= FLEXIBLE_FROM };
    let mut writer = Writer::new(message, capacity, partitions);
    writer.answer(answer, correlation_id)?;
    writer.finish()
}

impl Writer {
    fn answer(&mut self, answer: &FetchAnswer, correlation_id: i32) -> Result<(), Error> {
        self.head(correlation_id);
        self.buffer.put_i32(answer.throttle_time_ms);
        if self.message.version >= 7 {
            self.buffer.put_i16(answer.error_code);
            self.buffer.put_i32(answer.session_id);
        }
        self.count(answer.topics.len())?;
        for (place, topic) in answer.topics.iter().enumerate() {
            self.topic(place, topic)?;
        }
        if self.message.version >= 16 && !answer.node_endpoints.is_empty() {
            let mut endpoints = self.nested();
            endpoints.endpoints(&answer.node_endpoints)?;
            self.tags(&[(0, endpoints.buffer)])
        } else {
            self.no_tags();
            Ok(())
        }
    }

    fn topic(&mut self, place: usize, topic: &TopicAnswer) -> Result<(), Error> {
        if self.message.version >= 13 {
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
        if self.message.version >= 5 {
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
        if self.message.version >= 11 {
            self.buffer.put_i32(answer.preferred_read_replica.0);
        }
        Ok(())
    }

    fn partition_tags(&mut self, answer: &PartitionAnswer) -> Result<(), Error> {
        if !self.message.is_flexible || (answer.diverging_epoch.is_none() && answer.current_leader.is_none()) {
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
            self.nullable_text(endpoint.rack.as_deref())?;
            self.no_tags();
        }
        Ok(())
    }
}
