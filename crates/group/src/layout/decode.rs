//! Reads the records of `__consumer_offsets` in every version that Kafka ever wrote. Never trusts a length.

use super::{Change, Committed, StoredGroup, StoredMember, consumer, share};
use crate::Error;
use millstream_record::{Malformed, StoredReader};
use millstream_types::{LeaderEpoch, Offset, TimestampMs, TopicId};
use uuid::Uuid;

/// The version from which lengths are varints and tagged fields follow.
const FLEXIBLE: i16 = 4;
const VALUE_VERSION_MAX: i16 = 4;
const TOPIC_ID_TAG: usize = 0;

pub(super) fn change(key: &[u8], value: Option<&[u8]>, timestamp: TimestampMs) -> Result<Change, Error> {
    read(key, value).map_err(|Malformed { field, why }| Error::CorruptRecord { field, timestamp, why })
}

fn read(key: &[u8], value: Option<&[u8]>) -> Result<Change, Malformed> {
    let mut key = StoredReader::plain(key);
    match key.i16("key version")? {
        0 | 1 => {
            let (group, topic, partition) = (key.string("group")?, key.string("topic")?, key.i32("partition")?);
            Ok(Change::Offset { group, topic, partition, committed: value.map(offset_value).transpose()? })
        }
        2 => Ok(Change::Group { group: key.string("group")?, stored: value.map(group_value).transpose()? }),
        kind => {
            if let Some((group, change)) = consumer::read(kind, &mut key, value)? {
                return Ok(Change::Consumer { group, change });
            }
            let of_share = share::read(kind, &mut key, value)?;
            Ok(of_share.map_or(Change::Other(kind), |(group, change)| Change::Share { group, change }))
        }
    }
}

fn offset_value(value: &[u8]) -> Result<Committed, Malformed> {
    let (mut value, version) = versioned(value)?;
    let offset = Offset(value.i64("offset")?);
    let leader_epoch = LeaderEpoch(if version >= 3 { value.i32("leader epoch")? } else { -1 });
    let metadata = value.string("metadata")?;
    let committed_at = TimestampMs(value.i64("commit timestamp")?);
    let expires_at = match version {
        1 => Some(value.i64("expire timestamp")?).filter(|&at| at >= 0).map(TimestampMs),
        _ => None,
    };
    let mut topic_id = TopicId::ZERO;
    value.each_tag(|tag, mut field| {
        if tag == TOPIC_ID_TAG {
            topic_id = TopicId(Uuid::from_bytes(field.array("topic id")?));
        }
        Ok(())
    })?;
    Ok(Committed { offset, leader_epoch, metadata, committed_at, expires_at, topic_id })
}

fn group_value(value: &[u8]) -> Result<StoredGroup, Malformed> {
    let (mut value, version) = versioned(value)?;
    let protocol_type = value.string("protocol type")?;
    let generation = value.i32("generation")?;
    let protocol = value.nullable("protocol")?;
    let leader = value.nullable("leader")?;
    let state_since = match version {
        0 | 1 => None,
        _ => Some(value.i64("state timestamp")?).filter(|&at| at != -1).map(TimestampMs),
    };
    let members = value.each("members", |value| member_value(value, version))?;
    value.skip_tags()?;
    Ok(StoredGroup { protocol_type, generation, protocol, leader, state_since, members })
}

fn member_value(value: &mut StoredReader<'_>, version: i16) -> Result<StoredMember, Malformed> {
    let member = value.string("member id")?;
    let instance = if version >= 3 { value.nullable("instance id")? } else { None };
    let client_id = value.string("client id")?;
    let client_host = value.string("client host")?;
    let rebalance = if version >= 1 { value.i32("rebalance timeout")? } else { -1 };
    let session_timeout_ms = value.i32("session timeout")?;
    let subscription = value.bytes("subscription")?;
    let assignment = value.bytes("assignment")?;
    value.skip_tags()?;
    let rebalance_timeout_ms = if rebalance == -1 { session_timeout_ms } else { rebalance };
    Ok(StoredMember {
        member,
        instance,
        client_id,
        client_host,
        rebalance_timeout_ms,
        session_timeout_ms,
        subscription,
        assignment,
    })
}

fn versioned(value: &[u8]) -> Result<(StoredReader<'_>, i16), Malformed> {
    StoredReader::versioned(value, VALUE_VERSION_MAX, FLEXIBLE)
}
