//! The records of groups of the new protocol, as Kafka 4.3 writes them. Stored: never renumber.
//!
//! ```text
//! key  3 group                 epoch i32 | tag 0: hash of the topics' metadata i64
//!      4 group                 (Kafka 4.0: partitions of the topics; read as being there, written as removed)
//!      5 group, member         instance | rack | client id | client host | [topic] | regex | rebalance timeout i32 | assignor
//!                              | tag 0: classic member: session timeout i32, [(protocol, metadata)]
//!      6 group                 epoch i32 | tag 0: when i64
//!      7 group, member         [(topic id, [partition])]
//!      8 group, member         epoch i32 | previous epoch i32 | state i8 | assigned | to be revoked
//!                              both: [(topic id, [partition], tag 0: [epoch in which it was given])]
//!     16 group, regex          [topic] | version i64 | when i64
//! ```
//!
//! Every value is flexible, of version 0.

use crate::consumer::member::{ClassicMember, Current, MemberMetadata, MemberState, Owned, Partitions};
use crate::consumer::stored::{ConsumerChange, GroupEpoch, Resolved, TargetEpoch};
use crate::request::Protocol;
use bytes::Bytes;
use millstream_record::{Malformed, StoredReader, StoredRecord, StoredWriter};
use millstream_types::{TimestampMs, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const GROUP: i16 = 3;
const TOPICS: i16 = 4;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const REGEX: i16 = 16;
/// The only version of every value; it is flexible.
const VERSION: i16 = 0;
/// A struct that may be null begins with a byte that says whether it is there.
const IS_THERE: i8 = 1;

/// The change of a record whose key is of `kind`; none where the kind is another's.
pub(super) fn read(
    kind: i16,
    key: &mut StoredReader<'_>,
    value: Option<&[u8]>,
) -> Result<Option<(String, ConsumerChange)>, Malformed> {
    if ![GROUP, TOPICS, MEMBER, TARGET_EPOCH, TARGET, CURRENT, REGEX].contains(&kind) {
        return Ok(None);
    }
    let group = key.string("group")?;
    let mut name = |field| key.string(field).map(Arc::<str>::from);
    let change = match kind {
        GROUP => ConsumerChange::Group(value.map(group_value).transpose()?),
        TOPICS => ConsumerChange::Topics(value.is_some()),
        MEMBER => ConsumerChange::Member(name("member")?, value.map(member_value).transpose()?.map(Arc::new)),
        TARGET_EPOCH => ConsumerChange::TargetEpoch(value.map(target_epoch_value).transpose()?),
        TARGET => ConsumerChange::Target(name("member")?, value.map(target_value).transpose()?.map(Arc::new)),
        CURRENT => ConsumerChange::Current(name("member")?, value.map(current_value).transpose()?.map(Arc::new)),
        _ => ConsumerChange::Regex(name("regular expression")?, value.map(regex_value).transpose()?.map(Arc::new)),
    };
    Ok(Some((group, change)))
}

pub(super) fn value_of(value: &[u8]) -> Result<StoredReader<'_>, Malformed> {
    StoredReader::versioned(value, VERSION, VERSION).map(|(reader, _)| reader)
}

pub(super) fn group_value(value: &[u8]) -> Result<GroupEpoch, Malformed> {
    let mut value = value_of(value)?;
    let mut group = GroupEpoch { epoch: value.i32("epoch")?, metadata_hash: 0 };
    value.each_tag(|tag, mut field| {
        if tag == 0 {
            group.metadata_hash = field.i64("metadata hash")?;
        }
        Ok(())
    })?;
    Ok(group)
}

fn member_value(value: &[u8]) -> Result<MemberMetadata, Malformed> {
    let mut value = value_of(value)?;
    let mut member = MemberMetadata {
        instance: value.nullable("instance id")?,
        rack: value.nullable("rack")?,
        client_id: value.string("client id")?,
        client_host: value.string("client host")?,
        topics: value.each("topics", |value| value.string("topic"))?.into_iter().collect(),
        regex: value.nullable("regular expression")?,
        rebalance_timeout_ms: value.i32("rebalance timeout")?,
        assignor: value.nullable("assignor")?,
        classic: None,
    };
    value.each_tag(|tag, mut field| {
        if tag == 0 && field.i8("classic member")? == IS_THERE {
            member.classic = Some(classic_member(&mut field)?);
        }
        Ok(())
    })?;
    Ok(member)
}

fn classic_member(field: &mut StoredReader<'_>) -> Result<ClassicMember, Malformed> {
    let session_timeout_ms = field.i32("session timeout")?;
    let protocols = field.each("protocols", |field| {
        let (name, metadata) = (field.string("protocol")?, field.bytes("protocol's metadata")?);
        field.skip_tags()?;
        Ok(Protocol { name, metadata })
    })?;
    field.skip_tags()?;
    Ok(ClassicMember { session_timeout_ms, protocols })
}

pub(super) fn target_epoch_value(value: &[u8]) -> Result<TargetEpoch, Malformed> {
    let mut value = value_of(value)?;
    let mut target = TargetEpoch { epoch: value.i32("assignment epoch")?, at: TimestampMs(0) };
    value.each_tag(|tag, mut field| {
        if tag == 0 {
            target.at = TimestampMs(field.i64("assignment's time")?);
        }
        Ok(())
    })?;
    Ok(target)
}

pub(super) fn target_value(value: &[u8]) -> Result<Partitions, Malformed> {
    let mut value = value_of(value)?;
    let topics = value.each("topics", |value| {
        let topic = topic_id(value)?;
        let partitions = value.each("partitions", |value| value.i32("partition"))?;
        value.skip_tags()?;
        Ok((topic, partitions.into_iter().collect()))
    })?;
    value.skip_tags()?;
    Ok(topics.into_iter().collect())
}

fn current_value(value: &[u8]) -> Result<Current, Malformed> {
    let mut value = value_of(value)?;
    let epoch = value.i32("member epoch")?;
    let current = Current {
        epoch,
        previous_epoch: value.i32("previous member epoch")?,
        state: MemberState::of_id(value.i8("state")?),
        assigned: owned(&mut value, epoch)?,
        revoking: owned(&mut value, epoch)?,
    };
    value.skip_tags()?;
    Ok(current)
}

/// What a member has. Where an old record does not say when it was given: in the member's epoch.
fn owned(value: &mut StoredReader<'_>, epoch: i32) -> Result<Owned, Malformed> {
    let topics = value.each("topics", |value| {
        let topic = topic_id(value)?;
        let partitions = value.each("partitions", |value| value.i32("partition"))?;
        let mut epochs = Vec::new();
        value.each_tag(|tag, mut field| {
            if tag == 0
                && let Some(count) = field.count_or_null("assignment epochs")?
            {
                for _ in 0..count {
                    epochs.push(field.i32("assignment epoch")?);
                }
            }
            Ok(())
        })?;
        let given = |place: usize| epochs.get(place).copied().unwrap_or(epoch);
        let partitions: BTreeMap<i32, i32> =
            partitions.into_iter().enumerate().map(|(place, one)| (one, given(place))).collect();
        Ok((topic, partitions))
    })?;
    Ok(topics.into_iter().collect())
}

fn regex_value(value: &[u8]) -> Result<Resolved, Malformed> {
    let mut value = value_of(value)?;
    let resolved = Resolved {
        topics: value.each("topics", |value| value.string("topic"))?.into_iter().collect(),
        version: value.i64("version")?,
        at: TimestampMs(value.i64("timestamp")?),
    };
    value.skip_tags()?;
    Ok(resolved)
}

pub(super) fn topic_id(value: &mut StoredReader<'_>) -> Result<TopicId, Malformed> {
    Ok(TopicId(Uuid::from_bytes(value.array("topic id")?)))
}

/// The record of a change; none where a string is longer than the layout can hold, or for a change that is only read.
pub(super) fn write(group: &str, change: &ConsumerChange) -> Option<StoredRecord> {
    let key = |kind, names: &[&str]| {
        let mut key = StoredWriter::plain(kind);
        key.string(group);
        names.iter().for_each(|name| key.string(name));
        key.finish()
    };
    let (key, value) = match change {
        ConsumerChange::Group(group) => (key(GROUP, &[]), group.as_ref().map(write_group)),
        ConsumerChange::Topics(false) => (key(TOPICS, &[]), None),
        ConsumerChange::Topics(true) | ConsumerChange::Shares(_) => return None,
        ConsumerChange::Member(id, member) => (key(MEMBER, &[id]), member.as_deref().map(write_member)),
        ConsumerChange::TargetEpoch(epoch) => (key(TARGET_EPOCH, &[]), epoch.as_ref().map(write_target_epoch)),
        ConsumerChange::Target(id, target) => (key(TARGET, &[id]), target.as_deref().map(write_target)),
        ConsumerChange::Current(id, current) => (key(CURRENT, &[id]), current.as_deref().map(write_current)),
        ConsumerChange::Regex(regex, resolved) => (key(REGEX, &[regex]), resolved.as_deref().map(write_regex)),
    };
    let value = match value {
        Some(written) => Some(written?),
        None => None,
    };
    Some(StoredRecord { key: key?, value })
}

pub(super) fn write_group(group: &GroupEpoch) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.i32(group.epoch);
    let hash = group.metadata_hash.to_be_bytes();
    let fields: [(usize, &[u8]); 1] = [(0, &hash)];
    out.tags(if group.metadata_hash == 0 { &[] } else { &fields });
    out.finish()
}

fn write_member(member: &MemberMetadata) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.nullable(member.instance.as_deref());
    out.nullable(member.rack.as_deref());
    out.string(&member.client_id);
    out.string(&member.client_host);
    out.each(member.topics.iter(), |out, topic| out.string(topic));
    out.nullable(member.regex.as_deref());
    out.i32(member.rebalance_timeout_ms);
    out.nullable(member.assignor.as_deref());
    match &member.classic {
        None => out.tags(&[]),
        Some(classic) => {
            let mut field = StoredWriter::field();
            field.i8(IS_THERE);
            field.i32(classic.session_timeout_ms);
            field.each(classic.protocols.iter(), |field, protocol| {
                field.string(&protocol.name);
                field.bytes(&protocol.metadata);
                field.tags(&[]);
            });
            field.tags(&[]);
            out.tags(&[(0, &field.finish()?)]);
        }
    }
    out.finish()
}

pub(super) fn write_target_epoch(target: &TargetEpoch) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.i32(target.epoch);
    let at = target.at.0.to_be_bytes();
    let fields: [(usize, &[u8]); 1] = [(0, &at)];
    out.tags(if target.at.0 == 0 { &[] } else { &fields });
    out.finish()
}

pub(super) fn write_target(target: &Partitions) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.each(target.iter(), |out, (topic, partitions)| {
        out.raw(topic.0.as_bytes());
        out.each(partitions.iter(), |out, partition| out.i32(*partition));
        out.tags(&[]);
    });
    out.tags(&[]);
    out.finish()
}

fn write_current(current: &Current) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.i32(current.epoch);
    out.i32(current.previous_epoch);
    out.i8(current.state.id());
    write_owned(&mut out, &current.assigned)?;
    write_owned(&mut out, &current.revoking)?;
    out.tags(&[]);
    out.finish()
}

fn write_owned(out: &mut StoredWriter, owned: &Owned) -> Option<()> {
    let mut is_whole = true;
    out.each(owned.iter(), |out, (topic, partitions)| {
        out.raw(topic.0.as_bytes());
        out.each(partitions.keys(), |out, partition| out.i32(*partition));
        let mut epochs = StoredWriter::field();
        epochs.each(partitions.values(), |epochs, epoch| epochs.i32(*epoch));
        match epochs.finish() {
            Some(epochs) => out.tags(&[(0, &epochs)]),
            None => is_whole = false,
        }
    });
    is_whole.then_some(())
}

fn write_regex(resolved: &Resolved) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.each(resolved.topics.iter(), |out, topic| out.string(topic));
    out.i64(resolved.version);
    out.i64(resolved.at.0);
    out.tags(&[]);
    out.finish()
}
