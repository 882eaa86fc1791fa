//! Writes the records of `__consumer_offsets` in the versions that Kafka 4.3 writes.

use super::{Change, Committed, StoredGroup, StoredMember, consumer, share};
use bytes::Bytes;
use millstream_record::{StoredRecord, StoredWriter};
use millstream_types::TopicId;

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
/// The only version with an expiry.
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
const OFFSET_VALUE: i16 = 4;
const GROUP_VALUE: i16 = 3;

pub(super) fn change(change: &Change) -> Option<StoredRecord> {
    match change {
        Change::Offset { group, topic, partition, committed } => {
            let mut key = key(OFFSET_KEY, group);
            key.string(topic);
            key.i32(*partition);
            record(key, committed.as_ref().map(offset_value))
        }
        Change::Group { group, stored } => record(key(GROUP_KEY, group), stored.as_ref().map(group_value)),
        Change::Consumer { group, change } => consumer::write(group, change),
        Change::Share { group, change } => share::write(group, change),
        Change::Other(_) => None,
    }
}

fn key(kind: i16, group: &str) -> StoredWriter {
    let mut key = StoredWriter::plain(kind);
    key.string(group);
    key
}

/// None where a key or value is too long for the layout.
fn record(key: StoredWriter, value: Option<Option<Bytes>>) -> Option<StoredRecord> {
    let value = match value {
        Some(written) => Some(written?),
        None => None,
    };
    Some(StoredRecord { key: key.finish()?, value })
}

fn offset_value(committed: &Committed) -> Option<Bytes> {
    if let Some(expires_at) = committed.expires_at {
        let mut out = StoredWriter::plain(OFFSET_VALUE_WITH_EXPIRY);
        out.i64(committed.offset.0);
        out.string(&committed.metadata);
        out.i64(committed.committed_at.0);
        out.i64(expires_at.0);
        return out.finish();
    }
    let mut out = StoredWriter::flexible(OFFSET_VALUE);
    out.i64(committed.offset.0);
    out.i32(committed.leader_epoch.0);
    out.string(&committed.metadata);
    out.i64(committed.committed_at.0);
    if committed.topic_id == TopicId::ZERO {
        out.tags(&[]);
    } else {
        out.tags(&[(0, committed.topic_id.0.as_bytes())]);
    }
    out.finish()
}

fn group_value(stored: &StoredGroup) -> Option<Bytes> {
    let mut out = StoredWriter::plain(GROUP_VALUE);
    out.string(&stored.protocol_type);
    out.i32(stored.generation);
    out.nullable(stored.protocol.as_deref());
    out.nullable(stored.leader.as_deref());
    out.i64(stored.state_since.map_or(-1, |since| since.0));
    out.each(stored.members.iter(), member_value);
    out.finish()
}

fn member_value(out: &mut StoredWriter, member: &StoredMember) {
    out.string(&member.member);
    out.nullable(member.instance.as_deref());
    out.string(&member.client_id);
    out.string(&member.client_host);
    out.i32(member.rebalance_timeout_ms);
    out.i32(member.session_timeout_ms);
    out.bytes(&member.subscription);
    out.bytes(&member.assignment);
}
