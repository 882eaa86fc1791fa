//! How what was taken off a queue is appended: together where it can be, alone where it must.

use crate::config::APPEND_BYTES_MAX;
use crate::port::{LogError, OffsetsLog};
use crate::shard::{Shard, Stored};
use crate::slot::Queued;
use millstream_record::{Batch, BatchBuilder, Codec, StoredRecord};
use millstream_types::{LeaderEpoch, Offset, Ticket, TimestampMs};
use std::sync::Arc;

/// What became of a write.
pub(crate) struct Settled<S: Shard> {
    pub(crate) ticket: Ticket,
    pub(crate) alone: Option<S::Alone>,
    pub(crate) outcome: Result<(), S::WriteError>,
}

/// Appends the writes. Fails where it is not known what became of them.
pub(crate) async fn append<S: Shard>(
    log: Arc<dyn OffsetsLog>,
    queued: Vec<Queued<S>>,
    now: TimestampMs,
) -> Result<Vec<Settled<S>>, LogError> {
    if let [Queued { write, alone: Some(alone) }] = queued.as_slice() {
        let appended = S::append_alone(&*log, write, *alone, now).await;
        let outcome = definite::<S>(appended)?;
        return Ok(vec![Settled { ticket: write.ticket(), alone: Some(*alone), outcome }]);
    }
    let writes: Vec<S::Write> = queued.into_iter().map(|queued| queued.write).collect();
    append_together(&*log, &writes, now).await
}

/// One write that is too large must not take the others with it: then each is appended by itself.
async fn append_together<S: Shard>(
    log: &dyn OffsetsLog,
    writes: &[S::Write],
    now: TimestampMs,
) -> Result<Vec<Settled<S>>, LogError> {
    let settled = |write: &S::Write, outcome| Settled { ticket: write.ticket(), alone: None, outcome };
    match append_records(log, writes.iter().flat_map(Stored::records), now).await {
        Err(LogError::TooLarge(_)) if writes.len() > 1 => {
            let mut all = Vec::with_capacity(writes.len());
            for write in writes {
                let outcome = definite::<S>(append_records(log, write.records().iter(), now).await)?;
                all.push(settled(write, outcome));
            }
            Ok(all)
        }
        appended => {
            let outcome = definite::<S>(appended)?;
            Ok(writes.iter().map(|write| settled(write, outcome)).collect())
        }
    }
}

fn definite<S: Shard>(appended: Result<(), LogError>) -> Result<Result<(), S::WriteError>, LogError> {
    match appended {
        Ok(()) => Ok(Ok(())),
        Err(error) => S::refused(error).map(Err),
    }
}

async fn append_records<'a>(
    log: &dyn OffsetsLog,
    records: impl Iterator<Item = &'a StoredRecord>,
    now: TimestampMs,
) -> Result<(), LogError> {
    log.append(batches(records, now)?).await
}

/// Batches of about `APPEND_BYTES_MAX` each: a write of more records than that is several.
fn batches<'a>(records: impl Iterator<Item = &'a StoredRecord>, now: TimestampMs) -> Result<Vec<Batch>, LogError> {
    let mut batches = Vec::new();
    let mut builder = BatchBuilder::new(Codec::None);
    for record in records {
        builder.push(now, Some(&record.key), record.value.as_deref(), []);
        if builder.plain_bytes() >= APPEND_BYTES_MAX {
            let full = std::mem::replace(&mut builder, BatchBuilder::new(Codec::None));
            batches.push(build(full)?);
        }
    }
    if !builder.is_empty() {
        batches.push(build(builder)?);
    }
    Ok(batches)
}

/// The batch, which the log puts in its place.
pub(crate) fn build(builder: BatchBuilder) -> Result<Batch, LogError> {
    builder.build(Offset::ZERO, LeaderEpoch::NONE).map_err(|error| LogError::TooLarge(error.to_string()))
}
