//! Writes the records of `__consumer_offsets` in the versions that Kafka 4.3 writes.

use super::{Change, Committed, STRING_BYTES_MAX, StoredGroup, StoredMember};
use crate::effects::StoredRecord;
use bytes::{BufMut, Bytes};
use millstream_types::TopicId;

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
/// The only version with an expiry.
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
const OFFSET_VALUE: i16 = 4;
const GROUP_VALUE: i16 = 3;

pub(super) fn change(change: &Change) -> Option<StoredRecord> {
    let mut key = Vec::with_capacity(64);
    let value = match change {
        Change::Offset { group, topic, partition, committed } => {
            key.put_i16(OFFSET_KEY);
            string(&mut key, group)?;
            string(&mut key, topic)?;
            key.put_i32(*partition);
            committed.as_ref().map(offset_value)
        }
        Change::Group { group, stored } => {
            key.put_i16(GROUP_KEY);
            string(&mut key, group)?;
            stored.as_ref().map(group_value)
        }
        Change::Other(_) => return None,
    };
    let value = match value {
        Some(written) => Some(Bytes::from(written?)),
        None => None,
    };
    Some(StoredRecord { key: key.into(), value })
}

fn offset_value(committed: &Committed) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    if let Some(expires_at) = committed.expires_at {
        out.put_i16(OFFSET_VALUE_WITH_EXPIRY);
        out.put_i64(committed.offset.0);
        string(&mut out, &committed.metadata)?;
        out.put_i64(committed.committed_at.0);
        out.put_i64(expires_at.0);
        return Some(out);
    }
    if committed.metadata.len() > STRING_BYTES_MAX {
        return None;
    }
    out.put_i16(OFFSET_VALUE);
    out.put_i64(committed.offset.0);
    out.put_i32(committed.leader_epoch.0);
    varint(&mut out, committed.metadata.len() + 1);
    out.put_slice(committed.metadata.as_bytes());
    out.put_i64(committed.committed_at.0);
    if committed.topic_id == TopicId::ZERO {
        varint(&mut out, 0);
    } else {
        // one tagged field: tag 0 of 16 bytes
        out.put_slice(&[1, 0, 16]);
        out.put_slice(committed.topic_id.0.as_bytes());
    }
    Some(out)
}

fn group_value(stored: &StoredGroup) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    out.put_i16(GROUP_VALUE);
    string(&mut out, &stored.protocol_type)?;
    out.put_i32(stored.generation);
    nullable(&mut out, stored.protocol.as_deref())?;
    nullable(&mut out, stored.leader.as_deref())?;
    out.put_i64(stored.state_since.map_or(-1, |since| since.0));
    out.put_i32(i32::try_from(stored.members.len()).ok()?);
    for member in &stored.members {
        member_value(&mut out, member)?;
    }
    Some(out)
}

fn member_value(out: &mut Vec<u8>, member: &StoredMember) -> Option<()> {
    string(out, &member.member)?;
    nullable(out, member.instance.as_deref())?;
    string(out, &member.client_id)?;
    string(out, &member.client_host)?;
    out.put_i32(member.rebalance_timeout_ms);
    out.put_i32(member.session_timeout_ms);
    byte_string(out, &member.subscription)?;
    byte_string(out, &member.assignment)
}

fn string(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.put_i16(i16::try_from(text.len()).ok()?);
    out.put_slice(text.as_bytes());
    Some(())
}

fn nullable(out: &mut Vec<u8>, text: Option<&str>) -> Option<()> {
    match text {
        Some(text) => string(out, text),
        None => {
            out.put_i16(-1);
            Some(())
        }
    }
}

fn byte_string(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.put_i32(i32::try_from(bytes.len()).ok()?);
    out.put_slice(bytes);
    Some(())
}

fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}
