//! OffsetCommit and OffsetFetch since version 10: topics are told by their ids.

use super::{
    get_array, get_bool, get_known, get_some_text, get_text, get_uuid, known, put_bool, put_count, put_known,
    put_no_tags, put_text, put_uuid, size_of, skip_tags, wrapper,
};
use anyhow::Result;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable};
use uuid::Uuid;

/// The version from which on topics are told by their ids.
const BY_ID: i16 = 10;
/// The version in which the crate knows the partitions of a commit, which are the same since.
const PARTITIONS: i16 = 9;

/// The request, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitRequest {
    /// All that earlier versions tell. From version 10 on its topics have no names.
    pub message: known::OffsetCommitRequest,
    /// The id of each topic, by its place; none before version 10.
    pub topic_ids: Vec<Uuid>,
}

wrapper!(OffsetCommitRequest, 10);

impl Decodable for OffsetCommitRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < BY_ID {
            return known::OffsetCommitRequest::decode(buf, version).map(Self::from);
        }
        let message = known::OffsetCommitRequest::default()
            .with_group_id(get_some_text(buf)?.into())
            .with_generation_id_or_member_epoch(buf.try_get_i32()?)
            .with_member_id(get_some_text(buf)?)
            .with_group_instance_id(get_text(buf)?);
        let topics = get_array(buf, |buf| {
            let id = get_uuid(buf)?;
            let partitions = get_known(buf, PARTITIONS)?;
            skip_tags(buf)?;
            Ok((OffsetCommitRequestTopic::default().with_partitions(partitions), id))
        })?;
        skip_tags(buf)?;
        let (topics, topic_ids) = topics.unwrap_or_default().into_iter().unzip();
        Ok(Self { message: message.with_topics(topics), topic_ids })
    }
}

impl Encodable for OffsetCommitRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < BY_ID {
            return self.message.encode(buf, version);
        }
        put_text(buf, Some(&self.group_id))?;
        buf.put_i32(self.generation_id_or_member_epoch);
        put_text(buf, Some(&self.member_id))?;
        put_text(buf, self.group_instance_id.as_ref())?;
        put_count(buf, Some(self.topics.len()))?;
        let ids = self.topic_ids.iter().copied().chain(std::iter::repeat(Uuid::nil()));
        for (topic, id) in self.topics.iter().zip(ids) {
            put_uuid(buf, id);
            put_known(buf, &topic.partitions, PARTITIONS)?;
            put_no_tags(buf);
        }
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}

/// The request, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchRequest {
    /// All that earlier versions tell. From version 10 on its topics have no names.
    pub message: known::OffsetFetchRequest,
    /// The ids of each group's topics, by their places; none before version 10.
    pub topic_ids: Vec<Vec<Uuid>>,
}

wrapper!(OffsetFetchRequest, 10);

/// A group and the ids of its topics.
fn get_group<B: ByteBuf>(buf: &mut B) -> Result<(OffsetFetchRequestGroup, Vec<Uuid>)> {
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(get_some_text(buf)?.into())
        .with_member_id(get_text(buf)?)
        .with_member_epoch(buf.try_get_i32()?);
    let topics = get_array(buf, |buf| {
        let id = get_uuid(buf)?;
        let partitions = get_array(buf, |buf| Ok(buf.try_get_i32()?))?.unwrap_or_default();
        skip_tags(buf)?;
        Ok((OffsetFetchRequestTopics::default().with_partition_indexes(partitions), id))
    })?;
    skip_tags(buf)?;
    let Some(topics) = topics else { return Ok((group.with_topics(None), Vec::new())) };
    let (topics, ids) = topics.into_iter().unzip();
    Ok((group.with_topics(Some(topics)), ids))
}

fn put_group<B: ByteBufMut>(buf: &mut B, group: &OffsetFetchRequestGroup, ids: &[Uuid]) -> Result<()> {
    put_text(buf, Some(&group.group_id))?;
    put_text(buf, group.member_id.as_ref())?;
    buf.put_i32(group.member_epoch);
    put_count(buf, group.topics.as_ref().map(Vec::len))?;
    let ids = ids.iter().copied().chain(std::iter::repeat(Uuid::nil()));
    for (topic, id) in group.topics.iter().flatten().zip(ids) {
        put_uuid(buf, id);
        put_count(buf, Some(topic.partition_indexes.len()))?;
        topic.partition_indexes.iter().for_each(|index| buf.put_i32(*index));
        put_no_tags(buf);
    }
    put_no_tags(buf);
    Ok(())
}

impl Decodable for OffsetFetchRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < BY_ID {
            return known::OffsetFetchRequest::decode(buf, version).map(Self::from);
        }
        let groups = get_array(buf, get_group)?;
        let require_stable = get_bool(buf)?;
        skip_tags(buf)?;
        let (groups, topic_ids) = groups.unwrap_or_default().into_iter().unzip();
        let message = known::OffsetFetchRequest::default().with_groups(groups).with_require_stable(require_stable);
        Ok(Self { message, topic_ids })
    }
}

impl Encodable for OffsetFetchRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < BY_ID {
            return self.message.encode(buf, version);
        }
        put_count(buf, Some(self.groups.len()))?;
        for (place, group) in self.groups.iter().enumerate() {
            put_group(buf, group, self.topic_ids.get(place).map_or(&[], Vec::as_slice))?;
        }
        put_bool(buf, self.require_stable);
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}
