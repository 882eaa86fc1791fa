//! The door: what a batch must be before it is stored. After it a batch is opaque.

use crate::batch::{Batch, TimestampType};
use crate::codec::{Codec, Compression, Limits};
use crate::error::Error;
use crate::walk;
use bytes::Bytes;
use std::ops::RangeInclusive;

/// What is asked of batches at the door.
#[derive(Debug, Clone)]
pub struct DoorRules {
    /// Bytes of the largest batch: `max.message.bytes`.
    pub batch_bytes_max: usize,
    /// Exactly one batch with base offset 0 and no control batch: what Kafka asks of clients.
    pub from_client: bool,
    /// Every record has a key: what a compacted topic asks.
    pub keys_required: bool,
    /// Milliseconds since the Unix epoch that a record's own timestamp may have; any where this is absent. -1 ("none") is always taken.
    pub timestamps: Option<RangeInclusive<i64>>,
    /// Whether compressed records are walked too. Costs the decompression; nothing in the broker depends on it.
    pub walk_compressed: bool,
    /// How batches are stored; in the producer's codec where this is absent. Another one costs a recompression.
    pub stored: Option<Compression>,
    /// How far a batch is unpacked, and how many records it may say it has.
    pub limits: Limits,
}

impl DoorRules {
    /// What is asked of a client's batches on a topic without further rules.
    #[must_use]
    pub fn client(batch_bytes_max: usize) -> Self {
        Self {
            batch_bytes_max,
            from_client: true,
            keys_required: false,
            timestamps: None,
            walk_compressed: false,
            stored: None,
            limits: Limits::default(),
        }
    }

    /// What is asked of batches that a leader sends to a follower: whole, and what they were.
    #[must_use]
    pub fn replica() -> Self {
        Self { from_client: false, ..Self::client(usize::MAX) }
    }
}

/// Checks batches that are to be appended: lengths, magic, size, CRC, codec, counts, and one walk over uncompressed records. A header
/// whose largest timestamp or timestamp type is wrong is put right, as Kafka does; that copies the batch.
///
/// # Errors
/// The first rule that is broken; nothing is to be appended then.
pub fn check(records: Bytes, rules: &DoorRules) -> Result<Vec<Batch>, Error> {
    let mut batches = Vec::with_capacity(1);
    let mut rest = records;
    let mut position = 0;
    while !rest.is_empty() {
        let batch = Batch::cut(&mut rest, position)?;
        if rules.from_client && !rest.is_empty() {
            return Err(Error::BatchCount { batches: 2 });
        }
        position += batch.size();
        batches.push(check_batch(batch, rules)?);
    }
    if rules.from_client && batches.is_empty() {
        return Err(Error::BatchCount { batches: 0 });
    }
    Ok(batches)
}

fn check_batch(batch: Batch, rules: &DoorRules) -> Result<Batch, Error> {
    check_size(&batch, rules)?;
    batch.check_crc()?;
    check_header(&batch, rules)?;
    if !rules.from_client {
        return Ok(batch);
    }
    let recoded = rules.stored.filter(|stored| stored.codec != batch.codec());
    let true_max = if batch.codec() == Codec::None {
        walk_records(&batch, &batch.payload(), rules)?
    } else if rules.walk_compressed || rules.keys_required || recoded.is_some() {
        let plain = batch.codec().decompress(&batch.payload(), rules.limits.decompressed_bytes_max)?;
        walk_records(&batch, &plain, rules)?
    } else {
        check_time(0, batch.max_timestamp().0, rules)?;
        batch.max_timestamp().0
    };
    let is_right = batch.timestamp_type() == TimestampType::CreateTime && batch.max_timestamp().0 == true_max;
    let batch = if is_right { batch } else { batch.restamped(TimestampType::CreateTime, true_max) };
    let Some(stored) = recoded else { return Ok(batch) };
    let batch = batch.recoded(stored, &rules.limits)?;
    check_size(&batch, rules)?;
    Ok(batch)
}

fn check_size(batch: &Batch, rules: &DoorRules) -> Result<(), Error> {
    let (bytes, limit) = (batch.size(), rules.batch_bytes_max);
    if bytes > limit { Err(Error::TooLarge { bytes, limit, option: "max.message.bytes" }) } else { Ok(()) }
}

fn check_header(batch: &Batch, rules: &DoorRules) -> Result<(), Error> {
    let (record_count, last_offset_delta) = (batch.record_count(), batch.last_offset_delta());
    if !rules.from_client {
        // A compacted batch has fewer records than offsets, and may have none.
        let fits =
            record_count >= 0 && last_offset_delta >= 0 && i64::from(record_count) <= i64::from(last_offset_delta) + 1;
        return if fits { Ok(()) } else { Err(Error::Counts { record_count, last_offset_delta }) };
    }
    if record_count <= 0 || last_offset_delta != record_count - 1 {
        return Err(Error::Counts { record_count, last_offset_delta });
    }
    if usize::try_from(record_count).is_ok_and(|count| count > rules.limits.records_max) {
        return Err(Error::TooManyRecords { record_count, limit: rules.limits.records_max });
    }
    if batch.base_offset().0 != 0 {
        return Err(Error::BaseOffset { base_offset: batch.base_offset().0 });
    }
    if batch.is_control() {
        return Err(Error::Control);
    }
    let producer_id = batch.producer_id().0;
    if producer_id >= 0 && batch.base_sequence() < 0 {
        return Err(Error::Sequence { producer_id, base_sequence: batch.base_sequence() });
    }
    Ok(())
}

/// Returns the largest timestamp of the records.
fn walk_records(batch: &Batch, plain: &[u8], rules: &DoorRules) -> Result<i64, Error> {
    let count = usize::try_from(batch.record_count()).unwrap_or_default();
    let base_timestamp = batch.base_timestamp().0;
    let mut rest = plain;
    let mut max = i64::MIN;
    for (index, place) in (0..count).zip(0i64..) {
        let record = walk::next(&mut rest, index)?;
        if record.offset_delta != place {
            return Err(Error::Record { index, problem: "its offset delta is not its place in the batch" });
        }
        if rules.keys_required && record.key.is_none() {
            return Err(Error::KeyMissing { index });
        }
        let timestamp = base_timestamp
            .checked_add(record.timestamp_delta)
            .ok_or(Error::Record { index, problem: "its timestamp has more than 64 bits" })?;
        check_time(index, timestamp, rules)?;
        max = max.max(timestamp);
    }
    if rest.is_empty() { Ok(max) } else { Err(Error::Trailing { bytes: rest.len(), record_count: count }) }
}

fn check_time(index: usize, timestamp: i64, rules: &DoorRules) -> Result<(), Error> {
    match &rules.timestamps {
        Some(range) if timestamp != -1 && !range.contains(&timestamp) => {
            Err(Error::Timestamp { index, timestamp, earliest: *range.start(), latest: *range.end() })
        }
        _ => Ok(()),
    }
}
