//! The records of share groups, as Kafka 4.3 writes them. Stored: never renumber.
//!
//! ```text
//! key 10 group, member         rack | client id | client host | [topic]
//!     11 group                 epoch i32 | hash of the topics' metadata i64
//!     12 group                 epoch i32 | tag 0: when i64
//!     13 group, member         [(topic id, [partition])]
//!     14 group, member         epoch i32 | previous epoch i32 | state i8 | [(topic id, [partition])]
//!     15 group                 initializing | initialized: [(topic id, topic, [partition])] | deleting: [(topic id, topic)]
//! ```
//!
//! Every value is flexible, of version 0. Nobody has to give anything back.

use super::consumer::{target_epoch_value, target_value, topic_id, value_of, write_target, write_target_epoch};
use crate::consumer::member::{Current, MemberMetadata, MemberState, Owned, Partitions, without_epochs};
use crate::consumer::share::given_in;
use crate::consumer::stored::{ConsumerChange, GroupEpoch, ShareTopics, SharedTopic};
use bytes::Bytes;
use millstream_record::{Malformed, StoredReader, StoredRecord, StoredWriter};
use millstream_types::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

const MEMBER: i16 = 10;
const GROUP: i16 = 11;
const TARGET_EPOCH: i16 = 12;
const TARGET: i16 = 13;
const CURRENT: i16 = 14;
const SHARES: i16 = 15;
const VERSION: i16 = 0;

/// The change of a record whose key is of `kind`; none where the kind is another's.
pub(super) fn read(
    kind: i16,
    key: &mut StoredReader<'_>,
    value: Option<&[u8]>,
) -> Result<Option<(String, ConsumerChange)>, Malformed> {
    if !(MEMBER..=SHARES).contains(&kind) {
        return Ok(None);
    }
    let group = key.string("group")?;
    let mut name = |field| key.string(field).map(Arc::<str>::from);
    let change = match kind {
        MEMBER => ConsumerChange::Member(name("member")?, value.map(member_value).transpose()?.map(Arc::new)),
        GROUP => ConsumerChange::Group(value.map(group_value).transpose()?),
        TARGET_EPOCH => ConsumerChange::TargetEpoch(value.map(target_epoch_value).transpose()?),
        TARGET => ConsumerChange::Target(name("member")?, value.map(target_value).transpose()?.map(Arc::new)),
        CURRENT => ConsumerChange::Current(name("member")?, value.map(current_value).transpose()?.map(Arc::new)),
        _ => ConsumerChange::Shares(value.map(shares_value).transpose()?.map(Arc::new)),
    };
    Ok(Some((group, change)))
}

fn member_value(value: &[u8]) -> Result<MemberMetadata, Malformed> {
    let mut value = value_of(value)?;
    let member = MemberMetadata {
        rack: value.nullable("rack")?,
        client_id: value.string("client id")?,
        client_host: value.string("client host")?,
        topics: value.each("topics", |value| value.string("topic"))?.into_iter().collect(),
        ..MemberMetadata::default()
    };
    value.skip_tags()?;
    Ok(member)
}

fn group_value(value: &[u8]) -> Result<GroupEpoch, Malformed> {
    let mut value = value_of(value)?;
    let group = GroupEpoch { epoch: value.i32("epoch")?, metadata_hash: value.i64("metadata hash")? };
    value.skip_tags()?;
    Ok(group)
}

fn current_value(value: &[u8]) -> Result<Current, Malformed> {
    let mut value = value_of(value)?;
    let epoch = value.i32("member epoch")?;
    let previous_epoch = value.i32("previous member epoch")?;
    let state = MemberState::of_id(value.i8("state")?);
    let assigned = read_partitions(&mut value)?;
    value.skip_tags()?;
    Ok(Current { epoch, previous_epoch, state, assigned: given_in(epoch, &assigned), revoking: Owned::new() })
}

fn read_partitions(value: &mut StoredReader<'_>) -> Result<Partitions, Malformed> {
    let topics = value.each("topics", |value| {
        let topic = topic_id(value)?;
        let partitions = value.each("partitions", |value| value.i32("partition"))?;
        value.skip_tags()?;
        Ok((topic, partitions.into_iter().collect()))
    })?;
    Ok(topics.into_iter().collect())
}

fn shares_value(value: &[u8]) -> Result<ShareTopics, Malformed> {
    let mut value = value_of(value)?;
    let initializing = read_shared(&mut value)?;
    let initialized = read_shared(&mut value)?;
    let deleting = value.each("deleting topics", |value| {
        let topic = (topic_id(value)?, value.string("topic")?);
        value.skip_tags()?;
        Ok(topic)
    })?;
    value.skip_tags()?;
    Ok(ShareTopics { initializing, initialized, deleting: deleting.into_iter().collect() })
}

fn read_shared(value: &mut StoredReader<'_>) -> Result<BTreeMap<TopicId, SharedTopic>, Malformed> {
    let topics = value.each("topics", |value| {
        let (topic, name) = (topic_id(value)?, value.string("topic")?);
        let partitions = value.each("partitions", |value| value.i32("partition"))?;
        value.skip_tags()?;
        Ok((topic, SharedTopic { name, partitions: partitions.into_iter().collect() }))
    })?;
    Ok(topics.into_iter().collect())
}

/// The record of a change; none where a string is longer than the layout can hold, or for what share groups don't have.
pub(super) fn write(group: &str, change: &ConsumerChange) -> Option<StoredRecord> {
    let key = |kind, names: &[&str]| {
        let mut key = StoredWriter::plain(kind);
        key.string(group);
        names.iter().for_each(|name| key.string(name));
        key.finish()
    };
    let (key, value) = match change {
        ConsumerChange::Member(id, member) => (key(MEMBER, &[id]), member.as_deref().map(write_member)),
        ConsumerChange::Group(group) => (key(GROUP, &[]), group.as_ref().map(write_group)),
        ConsumerChange::TargetEpoch(epoch) => (key(TARGET_EPOCH, &[]), epoch.as_ref().map(write_target_epoch)),
        ConsumerChange::Target(id, target) => (key(TARGET, &[id]), target.as_deref().map(write_target)),
        ConsumerChange::Current(id, current) => (key(CURRENT, &[id]), current.as_deref().map(write_current)),
        ConsumerChange::Shares(shares) => (key(SHARES, &[]), shares.as_deref().map(write_shares)),
        ConsumerChange::Topics(_) | ConsumerChange::Regex(..) => return None,
    };
    let value = match value {
        Some(written) => Some(written?),
        None => None,
    };
    Some(StoredRecord { key: key?, value })
}

fn write_member(member: &MemberMetadata) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.nullable(member.rack.as_deref());
    out.string(&member.client_id);
    out.string(&member.client_host);
    out.each(member.topics.iter(), |out, topic| out.string(topic));
    out.tags(&[]);
    out.finish()
}

fn write_group(group: &GroupEpoch) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.i32(group.epoch);
    out.i64(group.metadata_hash);
    out.tags(&[]);
    out.finish()
}

fn write_current(current: &Current) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.i32(current.epoch);
    out.i32(current.previous_epoch);
    out.i8(current.state.id());
    out.each(without_epochs(&current.assigned).iter(), |out, (topic, partitions)| {
        out.raw(topic.0.as_bytes());
        out.each(partitions.iter(), |out, partition| out.i32(*partition));
        out.tags(&[]);
    });
    out.tags(&[]);
    out.finish()
}

fn write_shares(shares: &ShareTopics) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    for topics in [&shares.initializing, &shares.initialized] {
        out.each(topics.iter(), |out, (topic, shared)| {
            out.raw(topic.0.as_bytes());
            out.string(&shared.name);
            out.each(shared.partitions.iter(), |out, partition| out.i32(*partition));
            out.tags(&[]);
        });
    }
    out.each(shares.deleting.iter(), |out, (topic, name)| {
        out.raw(topic.0.as_bytes());
        out.string(name);
        out.tags(&[]);
    });
    out.tags(&[]);
    out.finish()
}
