//! The task of one led partition: reads the log, then writes what its groups decide and fires their timers, until it is stopped.

use crate::config::{APPEND_BYTES_MAX, RELOAD_BACKOFF, RELOAD_BACKOFF_MAX, SLEEP_MAX};
use crate::load;
use crate::port::{LogError, OffsetsLog};
use crate::slot::{Queued, Slot, Transactional};
use futures::FutureExt;
use futures::future::BoxFuture;
use millstream_group::{Shard, StoredRecord, Ticket, Write, WriteError};
use millstream_partition::marker_batch;
use millstream_record::{Batch, BatchBuilder, Codec};
use millstream_runtime::Clock;
use millstream_txn::{Marker, NO_SEQUENCE, Version};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use std::sync::Arc;
use tokio::sync::watch;

/// What became of each write of one append, or why that is not known.
type Outcome = Result<Landed, LogError>;

enum Landed {
    Writes(Settled),
    Marker(Ticket, Marker, Result<(), WriteError>),
}

/// See the module.
pub(crate) struct Driver {
    pub(crate) index: PartitionIndex,
    pub(crate) slot: Arc<Slot>,
    pub(crate) log: Arc<dyn OffsetsLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) group: millstream_group::Config,
    /// Counts up whenever a partition is loaded or given up.
    pub(crate) changes: Arc<watch::Sender<u64>>,
}

impl Driver {
    /// Runs for as long as it is polled.
    pub(crate) async fn run(self) {
        let mut backoff = RELOAD_BACKOFF;
        loop {
            match load::load(&*self.log, Shard::new(self.group.clone())).await {
                Ok(shard) => {
                    let groups = shard.group_count();
                    self.slot.install(shard);
                    self.changes.send_modify(|count| *count += 1);
                    tracing::debug!(partition = %self.index, groups, "groups loaded");
                    backoff = RELOAD_BACKOFF;
                    let cause = self.drive().await;
                    tracing::warn!(partition = %self.index, %cause, "groups are loaded again after a failed write");
                    self.slot.unload();
                    self.changes.send_modify(|count| *count += 1);
                }
                Err(cause) => {
                    tracing::error!(partition = %self.index, %cause, "groups could not be loaded; trying again");
                }
            }
            self.clock.sleep(backoff).await;
            backoff = RELOAD_BACKOFF_MAX.min(backoff * 2);
        }
    }

    /// Serves the groups until a write's outcome is unknown: then memory may differ from the log, which must be read again.
    async fn drive(&self) -> LogError {
        let mut flight: Option<BoxFuture<'static, Outcome>> = None;
        loop {
            if flight.is_none() {
                let writes = self.slot.take_writes(APPEND_BYTES_MAX);
                if !writes.is_empty() {
                    flight = Some(append(self.log.clone(), writes, self.clock.now()).boxed());
                }
            }
            let nap = self.slot.until_next_timer().min(SLEEP_MAX);
            let landed = async {
                match &mut flight {
                    Some(append) => append.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                outcome = landed => {
                    flight = None;
                    match outcome {
                        Ok(Landed::Writes(settled)) => self.settle(settled),
                        Ok(Landed::Marker(ticket, marker, outcome)) => self.slot.settle_end(ticket, &marker, outcome),
                        Err(cause) => return cause,
                    }
                }
                () = self.slot.wake.notified() => {}
                () = self.clock.sleep(nap) => self.slot.tick(),
            }
        }
    }

    fn settle(&self, settled: Vec<(Ticket, Result<(), WriteError>)>) {
        for (ticket, outcome) in settled {
            self.slot.settle(ticket, outcome);
        }
    }
}

/// Appends what was taken off the queue.
async fn append(log: Arc<dyn OffsetsLog>, queued: Vec<Queued>, now: TimestampMs) -> Outcome {
    if let [Queued { write, transactional: Some(transactional) }] = queued.as_slice() {
        return append_transactional(&*log, write, *transactional, now).await;
    }
    let writes: Vec<Write> = queued.into_iter().map(|queued| queued.write).collect();
    append_plain(&*log, &writes, now).await.map(Landed::Writes)
}

async fn append_transactional(
    log: &dyn OffsetsLog,
    write: &Write,
    transactional: Transactional,
    now: TimestampMs,
) -> Outcome {
    match transactional {
        Transactional::Marker(marker, version) => {
            let appended = log.append_transactional(marker_batch(&marker, now), None, version).await;
            Ok(Landed::Marker(write.ticket, marker, definite(appended)?))
        }
        Transactional::Offsets(producer, guard) => {
            let mut builder =
                BatchBuilder::new(Codec::None).producer(producer.id, producer.epoch, NO_SEQUENCE).transactional();
            for record in &write.records {
                builder.push(now, Some(&record.key), record.value.as_deref(), []);
            }
            let appended = match build(builder) {
                Ok(batch) => log.append_transactional(batch, guard, Version::Bumping).await,
                Err(error) => Err(error),
            };
            Ok(Landed::Writes(vec![(write.ticket, definite(appended)?)]))
        }
    }
}

type Settled = Vec<(Ticket, Result<(), WriteError>)>;

/// Appends the writes together. One that is too large must not take the others with it: then each is appended alone.
async fn append_plain(log: &dyn OffsetsLog, writes: &[Write], now: TimestampMs) -> Result<Settled, LogError> {
    let records = writes.iter().flat_map(|write| write.records.iter().map(pair));
    match append_records(log, records, now).await {
        Ok(()) => Ok(writes.iter().map(|write| (write.ticket, Ok(()))).collect()),
        Err(LogError::TooLarge(_)) if writes.len() > 1 => {
            let mut settled = Vec::with_capacity(writes.len());
            for write in writes {
                let outcome = definite(append_records(log, write.records.iter().map(pair), now).await)?;
                settled.push((write.ticket, outcome));
            }
            Ok(settled)
        }
        other => {
            let outcome = definite(other)?;
            Ok(writes.iter().map(|write| (write.ticket, outcome)).collect())
        }
    }
}

fn pair(record: &StoredRecord) -> Pair<'_> {
    (&record.key, record.value.as_deref())
}

/// A record's key and value.
pub(crate) type Pair<'a> = (&'a [u8], Option<&'a [u8]>);

/// Appends records together, as batches of no producer.
pub(crate) async fn append_records<'a>(
    log: &dyn OffsetsLog,
    records: impl Iterator<Item = Pair<'a>>,
    now: TimestampMs,
) -> Result<(), LogError> {
    log.append(batches(records, now)?).await
}

/// Batches of about `APPEND_BYTES_MAX` each: a write of more records than that is several.
fn batches<'a>(records: impl Iterator<Item = Pair<'a>>, now: TimestampMs) -> Result<Vec<Batch>, LogError> {
    let mut batches = Vec::new();
    let mut builder = BatchBuilder::new(Codec::None);
    for (key, value) in records {
        builder.push(now, Some(key), value, []);
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

fn build(builder: BatchBuilder) -> Result<Batch, LogError> {
    builder.build(Offset::ZERO, LeaderEpoch::NONE).map_err(|error| LogError::TooLarge(error.to_string()))
}

/// A failure after which the log is as before; any other leaves it unknown.
fn definite(result: Result<(), LogError>) -> Result<Result<(), WriteError>, LogError> {
    match result {
        Ok(()) => Ok(Ok(())),
        Err(LogError::TooLarge(_)) => Ok(Err(WriteError::TooLarge)),
        Err(LogError::Refused(_)) => Ok(Err(WriteError::NotAvailable)),
        Err(LogError::Producer(refused)) => Ok(Err(match refused.kind() {
            ErrorKind::Fenced => WriteError::ProducerFenced,
            _ => WriteError::NotInTransaction,
        })),
        Err(unknown @ (LogError::NotLeader | LogError::Unknown(_) | LogError::Corrupt(_))) => Err(unknown),
    }
}
