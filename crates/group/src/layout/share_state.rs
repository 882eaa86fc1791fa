//! The records of `__share_group_state`, as Kafka 4.3 writes them. Stored: never renumber.
//!
//! ```text
//! key    0|1 group, topic id, partition i32         0: a snapshot, 1: an update
//! value  0  snapshot epoch i32 | state epoch i32 | leader epoch i32 | start i64 | created i64 | written i64 | [batch] | tag 0: settled i32
//!        1  snapshot epoch i32 | leader epoch i32 | start i64 | [batch] | tag 0: settled i32
//! batch  first i64 | last i64 | state i8 | delivery count i16
//! ```
//!
//! Every value is flexible, of version 0.

use crate::Error;
use crate::share::{Delivery, ShareKey, ShareState, StateBatch, StateChange, StateUpdate};
use bytes::Bytes;
use millstream_record::{Malformed, StoredReader, StoredRecord, StoredWriter};
use millstream_types::{TimestampMs, TopicId};
use std::sync::Arc;
use uuid::Uuid;

const SNAPSHOT: i16 = 0;
const UPDATE: i16 = 1;
/// The only version of every value; it is flexible.
const VERSION: i16 = 0;
/// What is meant where the number of settled offsets is not there.
const UNCOUNTED: i32 = -1;

impl StateChange {
    /// Reads a record written at `timestamp`.
    ///
    /// # Errors
    /// `CorruptRecord` with the field at which it can't be read.
    pub fn decode(key: &[u8], value: Option<&[u8]>, timestamp: TimestampMs) -> Result<Self, Error> {
        read(key, value).map_err(|Malformed { field, why }| Error::CorruptRecord { field, timestamp, why })
    }

    /// The record of this change; none for [`StateChange::Other`], or when the group's name is longer than Kafka's layout can hold.
    #[must_use]
    pub fn encode(&self) -> Option<StoredRecord> {
        let (kind, key, value) = match self {
            Self::Snapshot(key, state) => (SNAPSHOT, key, state.as_ref().map(snapshot)),
            Self::Update(key, update) => (UPDATE, key, update.as_ref().map(self::update)),
            Self::Other(_) => return None,
        };
        let mut out = StoredWriter::plain(kind);
        out.string(&key.group);
        out.raw(key.topic.0.as_bytes());
        out.i32(key.partition);
        let value = match value {
            Some(written) => Some(written?),
            None => None,
        };
        Some(StoredRecord { key: out.finish()?, value })
    }
}

fn read(key: &[u8], value: Option<&[u8]>) -> Result<StateChange, Malformed> {
    let mut key = StoredReader::plain(key);
    let kind = key.i16("key version")?;
    if kind != SNAPSHOT && kind != UPDATE {
        return Ok(StateChange::Other(kind));
    }
    let share = ShareKey {
        group: Arc::from(key.string("group")?),
        topic: TopicId(Uuid::from_bytes(key.array("topic id")?)),
        partition: key.i32("partition")?,
    };
    if kind == SNAPSHOT {
        return Ok(StateChange::Snapshot(share, value.map(read_snapshot).transpose()?));
    }
    Ok(StateChange::Update(share, value.map(read_update).transpose()?))
}

fn read_snapshot(value: &[u8]) -> Result<ShareState, Malformed> {
    let (mut value, _) = StoredReader::versioned(value, VERSION, VERSION)?;
    let mut state = ShareState {
        snapshot_epoch: value.i32("snapshot epoch")?,
        state_epoch: value.i32("state epoch")?,
        leader_epoch: value.i32("leader epoch")?,
        start: value.i64("start offset")?,
        complete: UNCOUNTED,
        created_at: TimestampMs(value.i64("creation time")?),
        written_at: TimestampMs(value.i64("write time")?),
        batches: value.each("state batches", read_batch)?,
    };
    state.complete = read_settled(&mut value)?;
    Ok(state)
}

fn read_update(value: &[u8]) -> Result<StateUpdate, Malformed> {
    let (mut value, _) = StoredReader::versioned(value, VERSION, VERSION)?;
    let mut update = StateUpdate {
        snapshot_epoch: value.i32("snapshot epoch")?,
        leader_epoch: value.i32("leader epoch")?,
        start: value.i64("start offset")?,
        complete: UNCOUNTED,
        batches: value.each("state batches", read_batch)?,
    };
    update.complete = read_settled(&mut value)?;
    Ok(update)
}

fn read_batch(value: &mut StoredReader<'_>) -> Result<StateBatch, Malformed> {
    let (first, last) = (value.i64("first offset")?, value.i64("last offset")?);
    let field = "delivery state";
    let delivery = Delivery::of_id(value.i8(field)?).ok_or(Malformed { field, why: "there is no such state" })?;
    let count = value.i16("delivery count")?;
    value.skip_tags()?;
    Ok(StateBatch { first, last, delivery, count })
}

fn read_settled(value: &mut StoredReader<'_>) -> Result<i32, Malformed> {
    let mut settled = UNCOUNTED;
    value.each_tag(|tag, mut field| {
        if tag == 0 {
            settled = field.i32("settled offsets")?;
        }
        Ok(())
    })?;
    Ok(settled)
}

fn snapshot(state: &ShareState) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.i32(state.snapshot_epoch);
    out.i32(state.state_epoch);
    out.i32(state.leader_epoch);
    out.i64(state.start);
    out.i64(state.created_at.0);
    out.i64(state.written_at.0);
    out.each(state.batches.iter(), batch);
    settled(&mut out, state.complete);
    out.finish()
}

fn update(update: &StateUpdate) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VERSION);
    out.i32(update.snapshot_epoch);
    out.i32(update.leader_epoch);
    out.i64(update.start);
    out.each(update.batches.iter(), batch);
    settled(&mut out, update.complete);
    out.finish()
}

fn batch(out: &mut StoredWriter, batch: &StateBatch) {
    out.i64(batch.first);
    out.i64(batch.last);
    out.i8(batch.delivery.id());
    out.i16(batch.count);
    out.tags(&[]);
}

fn settled(out: &mut StoredWriter, count: i32) {
    if count == UNCOUNTED {
        out.tags(&[]);
    } else {
        out.tags(&[(0, &count.to_be_bytes())]);
    }
}
