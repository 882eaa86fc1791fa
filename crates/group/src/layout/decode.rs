//! Reads the records of `__consumer_offsets` in every version that Kafka ever wrote. Never trusts a length.

use super::{Change, Committed, StoredGroup, StoredMember};
use crate::Error;
use bytes::Bytes;
use millstream_types::{LeaderEpoch, Offset, TimestampMs, TopicId};
use uuid::Uuid;

/// The version from which lengths are varints and tagged fields follow.
const FLEXIBLE: i16 = 4;
const VALUE_VERSION_MAX: i16 = 4;
const TOPIC_ID_TAG: usize = 0;

pub(super) fn change(key: &[u8], value: Option<&[u8]>, timestamp: TimestampMs) -> Result<Change, Error> {
    let mut key = Reader { rest: key, flexible: false, timestamp };
    match key.i16("key version")? {
        0 | 1 => {
            let (group, topic, partition) = (key.string("group")?, key.string("topic")?, key.i32("partition")?);
            let committed = value.map(|value| offset_value(value, timestamp)).transpose()?;
            Ok(Change::Offset { group, topic, partition, committed })
        }
        2 => {
            let group = key.string("group")?;
            let stored = value.map(|value| group_value(value, timestamp)).transpose()?;
            Ok(Change::Group { group, stored })
        }
        other => Ok(Change::Other(other)),
    }
}

fn offset_value(value: &[u8], timestamp: TimestampMs) -> Result<Committed, Error> {
    let (mut value, version) = versioned(value, timestamp)?;
    let offset = Offset(value.i64("offset")?);
    let leader_epoch = LeaderEpoch(if version >= 3 { value.i32("leader epoch")? } else { -1 });
    let metadata = value.string("metadata")?;
    let committed_at = TimestampMs(value.i64("commit timestamp")?);
    let expires_at = match version {
        1 => Some(value.i64("expire timestamp")?).filter(|&at| at >= 0).map(TimestampMs),
        _ => None,
    };
    let mut topic_id = TopicId::ZERO;
    if value.flexible {
        for _ in 0..value.varint("tagged fields")? {
            let (tag, size) = (value.varint("tag")?, value.varint("tag size")?);
            let field = value.take(size, "tagged field")?;
            if tag == TOPIC_ID_TAG {
                let id = field.try_into().map_err(|_| value.corrupt("topic id", "it is not 16 bytes long"))?;
                topic_id = TopicId(Uuid::from_bytes(id));
            }
        }
    }
    Ok(Committed { offset, leader_epoch, metadata, committed_at, expires_at, topic_id })
}

fn group_value(value: &[u8], timestamp: TimestampMs) -> Result<StoredGroup, Error> {
    let (mut value, version) = versioned(value, timestamp)?;
    let protocol_type = value.string("protocol type")?;
    let generation = value.i32("generation")?;
    let protocol = value.nullable("protocol")?;
    let leader = value.nullable("leader")?;
    let state_since = match version {
        0 | 1 => None,
        _ => Some(value.i64("state timestamp")?).filter(|&at| at != -1).map(TimestampMs),
    };
    let count = value.count("members")?;
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(member_value(&mut value, version)?);
    }
    value.skip_tags()?;
    Ok(StoredGroup { protocol_type, generation, protocol, leader, state_since, members })
}

fn member_value(value: &mut Reader<'_>, version: i16) -> Result<StoredMember, Error> {
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

fn versioned(value: &[u8], timestamp: TimestampMs) -> Result<(Reader<'_>, i16), Error> {
    let mut reader = Reader { rest: value, flexible: false, timestamp };
    let version = reader.i16("value version")?;
    if !(0..=VALUE_VERSION_MAX).contains(&version) {
        return Err(reader.corrupt("value version", "it is newer than this Millstream knows: start a newer one"));
    }
    reader.flexible = version >= FLEXIBLE;
    Ok((reader, version))
}

/// What is left to read of one key or value.
struct Reader<'a> {
    rest: &'a [u8],
    flexible: bool,
    timestamp: TimestampMs,
}

impl<'a> Reader<'a> {
    fn corrupt(&self, field: &'static str, why: &'static str) -> Error {
        Error::CorruptRecord { field, timestamp: self.timestamp, why }
    }

    fn take(&mut self, size: usize, field: &'static str) -> Result<&'a [u8], Error> {
        let (taken, rest) =
            self.rest.split_at_checked(size).ok_or_else(|| self.corrupt(field, "the record ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        let (taken, rest) =
            self.rest.split_first_chunk::<N>().ok_or_else(|| self.corrupt(field, "the record ends early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn i16(&mut self, field: &'static str) -> Result<i16, Error> {
        Ok(i16::from_be_bytes(self.array(field)?))
    }

    fn i32(&mut self, field: &'static str) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    fn i64(&mut self, field: &'static str) -> Result<i64, Error> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    fn varint(&mut self, field: &'static str) -> Result<usize, Error> {
        let mut number = 0usize;
        for shift in (0..35).step_by(7) {
            let byte = self.array::<1>(field)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.corrupt(field, "a number has more than 5 bytes"))
    }

    /// A length or count; none is null.
    fn length(&mut self, wide: bool, field: &'static str) -> Result<Option<usize>, Error> {
        if self.flexible {
            return Ok(self.varint(field)?.checked_sub(1));
        }
        let length = if wide { self.i32(field)? } else { i32::from(self.i16(field)?) };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| self.corrupt(field, "a length is negative")),
        }
    }

    fn nullable(&mut self, field: &'static str) -> Result<Option<String>, Error> {
        let Some(length) = self.length(false, field)? else { return Ok(None) };
        let text = self.take(length, field)?;
        let text = std::str::from_utf8(text).map_err(|_| self.corrupt(field, "it is not UTF-8"))?;
        Ok(Some(text.to_owned()))
    }

    fn string(&mut self, field: &'static str) -> Result<String, Error> {
        self.nullable(field)?.ok_or_else(|| self.corrupt(field, "it is null"))
    }

    fn bytes(&mut self, field: &'static str) -> Result<Bytes, Error> {
        let length = self.length(true, field)?.ok_or_else(|| self.corrupt(field, "it is null"))?;
        Ok(Bytes::copy_from_slice(self.take(length, field)?))
    }

    fn count(&mut self, field: &'static str) -> Result<usize, Error> {
        self.length(true, field)?.ok_or_else(|| self.corrupt(field, "it is null"))
    }

    fn skip_tags(&mut self) -> Result<(), Error> {
        if self.flexible {
            for _ in 0..self.varint("tagged fields")? {
                self.varint("tag")?;
                let size = self.varint("tag size")?;
                self.take(size, "tagged field")?;
            }
        }
        Ok(())
    }
}
