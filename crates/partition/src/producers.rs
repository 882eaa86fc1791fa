//! The state of a partition's idempotent producers: from snapshots and the log at opening, and to snapshots.

use crate::kept;
use crate::partition::Partition;
use bytes::Bytes;
use millstream_record::{Batch, Limits, split};
use millstream_storage::{
    AbortedTxn, Error, Log, ProducerSnapshotEntry, decode_producer_snapshot, encode_producer_snapshot,
};
use millstream_txn::{Completed, Marker, Outcome, Producers, Sequenced, SnapshotEntry};
use millstream_types::{Offset, ProducerId, TimestampMs};
use std::sync::atomic::Ordering;

/// Bytes read at once while the log's end is read again for its producers.
const SCAN_BYTES: usize = 4 << 20;

/// What a batch's header says of its producer; none where it is of no idempotent producer, or a marker.
pub(crate) fn sequenced(batch: &Batch) -> Option<Sequenced> {
    if batch.producer_id() == ProducerId::NONE || batch.is_control() {
        return None;
    }
    Some(Sequenced {
        producer: batch.producer_id(),
        epoch: batch.producer_epoch(),
        first_sequence: batch.base_sequence(),
        records: batch.last_offset_delta().saturating_add(1),
        is_transactional: batch.is_transactional(),
    })
}

/// What a control batch says of its producer's transaction; none where it says something else, or is empty since its transaction was
/// compacted away.
pub(crate) fn marker(batch: &Batch) -> Option<Marker> {
    if !batch.is_control() || batch.producer_id() == ProducerId::NONE {
        return None;
    }
    let (producer, epoch) = (batch.producer_id(), batch.producer_epoch());
    let mut marker = None;
    let read = batch.each(&Limits::default(), |record| {
        let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
        marker = Marker::read(producer, epoch, key, value);
    });
    read.ok().and(marker)
}

/// What the log keeps of a transaction that was aborted.
pub(crate) fn aborted(completed: &Completed) -> Option<AbortedTxn> {
    let Completed { producer, first_offset, last_offset, last_stable, outcome } = *completed;
    (outcome == Outcome::Abort).then_some(AbortedTxn { producer, first_offset, last_offset, last_stable })
}

/// The producers at the log's end: what was kept or snapshotted last, and the batches after it. What they aborted is noted again. Beside them
/// the offset of what was kept.
pub(crate) async fn load(log: &Log) -> Result<(Producers, Offset), Error> {
    let end = log.log_end();
    let (mut producers, mut kept_at) = newest(log, end).await?;
    let mut from = kept_at.max(log.local_start());
    if !log.forget_aborted_from(from).await? {
        tracing::warn!(folder = %log.folder().display(), "an index of aborted transactions is damaged; the whole log is read again for it");
        log.forget_kept_producers().await?;
        log.remove_producer_snapshots(|_| true).await?;
        (producers, from, kept_at) = (Producers::new(), log.local_start(), Offset::NONE);
        // From the segment's first offset: what is torn may be of any marker in it. Of segments that are gone nothing can be read again.
        let first = log.segment_bases(Offset::ZERO).first().copied().unwrap_or(from);
        log.forget_aborted_from(first).await?;
    }
    let mut found = Vec::new();
    while from < end {
        let slice = log.read(from, end, SCAN_BYTES, true).await?;
        let Some(range) = &slice.records else { break };
        let io = |source| Error::Io { action: "read", path: log.folder().to_owned(), source };
        found.extend(apply(&mut producers, range.read().await.map_err(io)?, from));
        from = slice.next_offset;
    }
    if !found.is_empty() {
        log.add_aborted(&found).await?;
    }
    Ok((producers, kept_at))
}

/// What is known of the producers, and at which offset: what was kept with a checkpoint, or else Kafka's newest snapshot. That may be of a later
/// offset, and has the last batch of each producer only: a retry of one before it would be taken for a gap.
async fn newest(log: &Log, end: Offset) -> Result<(Producers, Offset), Error> {
    let kept = log.kept_producers().and_then(|(at, content)| Some((Producers::recall(&kept::decode(content)?), at)));
    let Some((producers, at)) = kept else { return newest_snapshot(log, end).await };
    // What was between it and what is left of the log can't be read again.
    let is_cut_off = at < log.local_start();
    if is_cut_off && log.producer_snapshot(end).await?.is_some_and(|(snapshot, _)| snapshot > at) {
        return newest_snapshot(log, end).await;
    }
    Ok((producers, at))
}

async fn newest_snapshot(log: &Log, end: Offset) -> Result<(Producers, Offset), Error> {
    while let Some((at, content)) = log.producer_snapshot(end).await? {
        match decode_producer_snapshot(&content, log.folder()) {
            Ok(entries) => return Ok((Producers::restore(&entries.iter().map(entry).collect::<Vec<_>>()), at)),
            Err(error) => {
                tracing::warn!(folder = %log.folder().display(), %at, %error, "a producer snapshot is unusable; an older one and the log are read instead");
                log.remove_producer_snapshots(|offset| offset == at).await?;
            }
        }
    }
    Ok((Producers::new(), Offset::ZERO))
}

fn apply(producers: &mut Producers, records: Bytes, from: Offset) -> Vec<AbortedTxn> {
    let mut found = Vec::new();
    // The log has checked these batches when it was opened: what is cut off here is what it cut off.
    for batch in split(records).unwrap_or_default().iter().filter(|batch| batch.base_offset() >= from) {
        if let Some(sequenced) = sequenced(batch) {
            producers.apply(&sequenced, batch.base_offset(), batch.max_timestamp());
        } else if let Some(marker) = marker(batch) {
            let completed = producers.end(&marker, batch.base_offset(), batch.max_timestamp());
            found.extend(completed.as_ref().and_then(aborted));
        }
    }
    found
}

/// What a checkpoint is to keep of the producers, and the offset that it is of; none where that is kept already, or where an abort in it is not
/// noted beside the log yet.
pub(crate) fn to_keep(partition: &Partition) -> Option<(Offset, Bytes)> {
    let producers = partition.producers.lock();
    let at = partition.producers_to.load(Ordering::Acquire);
    let is_due = at != partition.kept_at.load(Ordering::Acquire) && !partition.aborts_unnoted.load(Ordering::Acquire);
    is_due.then(|| (Offset(at), kept::encode(&producers.memory())))
}

/// The bytes of a snapshot file.
pub(crate) fn snapshot(producers: &Producers) -> Bytes {
    encode_producer_snapshot(&producers.snapshot().iter().map(stored).collect::<Vec<_>>())
}

fn entry(stored: &ProducerSnapshotEntry) -> SnapshotEntry {
    SnapshotEntry {
        producer_id: stored.producer_id,
        epoch: stored.epoch,
        last_sequence: stored.last_sequence,
        last_offset: stored.last_offset,
        offset_delta: stored.offset_delta,
        timestamp: stored.timestamp,
        coordinator_epoch: stored.coordinator_epoch,
        current_txn_first_offset: stored.current_txn_first_offset.unwrap_or(Offset::NONE),
    }
}

fn stored(entry: &SnapshotEntry) -> ProducerSnapshotEntry {
    ProducerSnapshotEntry {
        producer_id: entry.producer_id,
        epoch: entry.epoch,
        last_sequence: entry.last_sequence,
        last_offset: entry.last_offset,
        offset_delta: entry.offset_delta,
        timestamp: entry.timestamp,
        coordinator_epoch: entry.coordinator_epoch,
        current_txn_first_offset: Some(entry.current_txn_first_offset).filter(|offset| *offset != Offset::NONE),
    }
}

/// The timestamp by which a producer's age is told.
pub(crate) fn stamp(batch: &Batch, append_time: Option<TimestampMs>) -> TimestampMs {
    append_time.unwrap_or_else(|| batch.max_timestamp())
}
