//! DescribeShareGroupOffsets since version 1: how far behind a share group is (KIP-1226).

use super::{
    get_array, get_some_text, get_text, get_uuid, known, put_count, put_no_tags, put_text, put_uuid, size_of,
    skip_tags, wrapper,
};
use anyhow::Result;
use kafka_protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup as Group, DescribeShareGroupOffsetsResponsePartition as Partition,
    DescribeShareGroupOffsetsResponseTopic as Topic,
};
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable};

/// The version that partitions tell more in.
const TELLS_LAG: i16 = 1;
/// A lag that is not known.
const UNKNOWN: i64 = -1;

/// The answer, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeShareGroupOffsetsResponse {
    /// All that earlier versions tell.
    pub message: known::DescribeShareGroupOffsetsResponse,
    /// How many records each partition of the answer has left, in the order of all of them; unknown where it is not told.
    pub lags: Vec<i64>,
}

wrapper!(DescribeShareGroupOffsetsResponse, 1);

impl Decodable for DescribeShareGroupOffsetsResponse {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TELLS_LAG {
            return known::DescribeShareGroupOffsetsResponse::decode(buf, version).map(Self::from);
        }
        let message = known::DescribeShareGroupOffsetsResponse::default().with_throttle_time_ms(buf.try_get_i32()?);
        let mut lags = Vec::new();
        let groups = get_array(buf, |buf| {
            let id = get_some_text(buf)?;
            let topics = get_array(buf, |buf| get_topic(buf, &mut lags))?;
            let group = Group::default()
                .with_group_id(id.into())
                .with_topics(topics.unwrap_or_default())
                .with_error_code(buf.try_get_i16()?)
                .with_error_message(get_text(buf)?);
            skip_tags(buf)?;
            Ok(group)
        })?;
        skip_tags(buf)?;
        Ok(Self { message: message.with_groups(groups.unwrap_or_default()), lags })
    }
}

fn get_topic<B: ByteBuf>(buf: &mut B, lags: &mut Vec<i64>) -> Result<Topic> {
    let topic = Topic::default().with_topic_name(get_some_text(buf)?.into()).with_topic_id(get_uuid(buf)?);
    let partitions = get_array(buf, |buf| {
        let partition = Partition::default()
            .with_partition_index(buf.try_get_i32()?)
            .with_start_offset(buf.try_get_i64()?)
            .with_leader_epoch(buf.try_get_i32()?);
        lags.push(buf.try_get_i64()?);
        let partition = partition.with_error_code(buf.try_get_i16()?).with_error_message(get_text(buf)?);
        skip_tags(buf)?;
        Ok(partition)
    })?;
    skip_tags(buf)?;
    Ok(topic.with_partitions(partitions.unwrap_or_default()))
}

impl Encodable for DescribeShareGroupOffsetsResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TELLS_LAG {
            return self.message.encode(buf, version);
        }
        let mut lags = self.lags.iter().copied().chain(std::iter::repeat(UNKNOWN));
        buf.put_i32(self.throttle_time_ms);
        put_count(buf, Some(self.groups.len()))?;
        for group in &self.groups {
            put_text(buf, Some(&group.group_id))?;
            put_count(buf, Some(group.topics.len()))?;
            for topic in &group.topics {
                put_topic(buf, topic, &mut lags)?;
            }
            buf.put_i16(group.error_code);
            put_text(buf, group.error_message.as_ref())?;
            put_no_tags(buf);
        }
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}

fn put_topic<B: ByteBufMut>(buf: &mut B, topic: &Topic, lags: &mut impl Iterator<Item = i64>) -> Result<()> {
    put_text(buf, Some(&topic.topic_name))?;
    put_uuid(buf, topic.topic_id);
    put_count(buf, Some(topic.partitions.len()))?;
    for partition in &topic.partitions {
        buf.put_i32(partition.partition_index);
        buf.put_i64(partition.start_offset);
        buf.put_i32(partition.leader_epoch);
        buf.put_i64(lags.next().unwrap_or(UNKNOWN));
        buf.put_i16(partition.error_code);
        put_text(buf, partition.error_message.as_ref())?;
        put_no_tags(buf);
    }
    put_no_tags(buf);
    Ok(())
}
