//! WriteShareGroupState and ReadShareGroupStateSummary since version 1: how many records are done (KIP-1226).

use super::{
    get_array, get_known, get_some_text, get_text, get_uuid, known, put_count, put_known, put_no_tags, put_text,
    put_uuid, size_of, skip_tags, wrapper,
};
use anyhow::Result;
use kafka_protocol::messages::read_share_group_state_summary_response::{
    PartitionResult, ReadStateSummaryResult as Summaries,
};
use kafka_protocol::messages::write_share_group_state_request::{PartitionData, WriteStateData as Topic};
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable};

/// The version that partitions tell more in.
const TELLS_COUNT: i16 = 1;
/// The version in which the crate knows the batches of a partition, which are the same since.
const BATCHES: i16 = 0;
/// A count that is not known.
const UNKNOWN: i32 = -1;

/// The request, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WriteShareGroupStateRequest {
    /// All that earlier versions tell.
    pub message: known::WriteShareGroupStateRequest,
    /// How many records of each partition are done, in the order of all of them; unknown where it is not told.
    pub complete: Vec<i32>,
}

wrapper!(WriteShareGroupStateRequest, 1);

impl Decodable for WriteShareGroupStateRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TELLS_COUNT {
            return known::WriteShareGroupStateRequest::decode(buf, version).map(Self::from);
        }
        let message = known::WriteShareGroupStateRequest::default().with_group_id(get_some_text(buf)?);
        let mut complete = Vec::new();
        let topics = get_array(buf, |buf| {
            let topic = Topic::default().with_topic_id(get_uuid(buf)?);
            let partitions = get_array(buf, |buf| {
                let partition = PartitionData::default()
                    .with_partition(buf.try_get_i32()?)
                    .with_state_epoch(buf.try_get_i32()?)
                    .with_leader_epoch(buf.try_get_i32()?)
                    .with_start_offset(buf.try_get_i64()?);
                complete.push(buf.try_get_i32()?);
                let partition = partition.with_state_batches(get_known(buf, BATCHES)?);
                skip_tags(buf)?;
                Ok(partition)
            })?;
            skip_tags(buf)?;
            Ok(topic.with_partitions(partitions.unwrap_or_default()))
        })?;
        skip_tags(buf)?;
        Ok(Self { message: message.with_topics(topics.unwrap_or_default()), complete })
    }
}

impl Encodable for WriteShareGroupStateRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TELLS_COUNT {
            return self.message.encode(buf, version);
        }
        let mut complete = self.complete.iter().copied().chain(std::iter::repeat(UNKNOWN));
        put_text(buf, Some(&self.group_id))?;
        put_count(buf, Some(self.topics.len()))?;
        for topic in &self.topics {
            put_uuid(buf, topic.topic_id);
            put_count(buf, Some(topic.partitions.len()))?;
            for partition in &topic.partitions {
                buf.put_i32(partition.partition);
                buf.put_i32(partition.state_epoch);
                buf.put_i32(partition.leader_epoch);
                buf.put_i64(partition.start_offset);
                buf.put_i32(complete.next().unwrap_or(UNKNOWN));
                put_known(buf, &partition.state_batches, BATCHES)?;
                put_no_tags(buf);
            }
            put_no_tags(buf);
        }
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}

/// The answer, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadShareGroupStateSummaryResponse {
    /// All that earlier versions tell.
    pub message: known::ReadShareGroupStateSummaryResponse,
    /// How many records of each partition are done, in the order of all of them; unknown where it is not told.
    pub complete: Vec<i32>,
}

wrapper!(ReadShareGroupStateSummaryResponse, 1);

impl Decodable for ReadShareGroupStateSummaryResponse {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TELLS_COUNT {
            return known::ReadShareGroupStateSummaryResponse::decode(buf, version).map(Self::from);
        }
        let mut complete = Vec::new();
        let results = get_array(buf, |buf| {
            let topic = Summaries::default().with_topic_id(get_uuid(buf)?);
            let partitions = get_array(buf, |buf| {
                let partition = PartitionResult::default()
                    .with_partition(buf.try_get_i32()?)
                    .with_error_code(buf.try_get_i16()?)
                    .with_error_message(get_text(buf)?)
                    .with_state_epoch(buf.try_get_i32()?)
                    .with_leader_epoch(buf.try_get_i32()?)
                    .with_start_offset(buf.try_get_i64()?);
                complete.push(buf.try_get_i32()?);
                skip_tags(buf)?;
                Ok(partition)
            })?;
            skip_tags(buf)?;
            Ok(topic.with_partitions(partitions.unwrap_or_default()))
        })?;
        skip_tags(buf)?;
        let message = known::ReadShareGroupStateSummaryResponse::default().with_results(results.unwrap_or_default());
        Ok(Self { message, complete })
    }
}

impl Encodable for ReadShareGroupStateSummaryResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TELLS_COUNT {
            return self.message.encode(buf, version);
        }
        let mut complete = self.complete.iter().copied().chain(std::iter::repeat(UNKNOWN));
        put_count(buf, Some(self.results.len()))?;
        for topic in &self.results {
            put_uuid(buf, topic.topic_id);
            put_count(buf, Some(topic.partitions.len()))?;
            for partition in &topic.partitions {
                buf.put_i32(partition.partition);
                buf.put_i16(partition.error_code);
                put_text(buf, partition.error_message.as_ref())?;
                buf.put_i32(partition.state_epoch);
                buf.put_i32(partition.leader_epoch);
                buf.put_i64(partition.start_offset);
                buf.put_i32(complete.next().unwrap_or(UNKNOWN));
                put_no_tags(buf);
            }
            put_no_tags(buf);
        }
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}
