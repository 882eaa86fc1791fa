//! The task of one led partition of `__transaction_state`: reads the log, then writes what its transactions decide, ends them in their
//! partitions and fires their timers, until it is stopped.

use crate::config::{LOAD_READ_BYTES, RELOAD_BACKOFF, RELOAD_BACKOFF_MAX, SLEEP_MAX, TXN_WRITES_MAX};
use crate::driver::append_records;
use crate::markers::Markers;
use crate::port::{LogError, OffsetsLog};
use crate::txn_slot::TxnSlot;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use millstream_record::Limits;
use millstream_runtime::Clock;
use millstream_txn::{Change, Config, Shard, Ticket, Write, WriteError};
use millstream_types::{Offset, PartitionIndex, TimestampMs};
use std::sync::Arc;
use tokio::sync::watch;

/// What became of each write of one append, or why that is not known.
type Outcome = Result<Vec<(Ticket, Result<(), WriteError>)>, LogError>;

/// See the module.
pub(crate) struct TxnDriver {
    pub(crate) index: PartitionIndex,
    pub(crate) slot: Arc<TxnSlot>,
    pub(crate) log: Arc<dyn OffsetsLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Config,
    pub(crate) markers: Markers,
    /// Counts up whenever a partition is loaded or given up.
    pub(crate) changes: Arc<watch::Sender<u64>>,
}

impl TxnDriver {
    /// Runs for as long as it is polled.
    pub(crate) async fn run(self) {
        let mut backoff = RELOAD_BACKOFF;
        loop {
            let shard = Shard::new(self.config, self.log.leader_epoch().0);
            match load(&*self.log, shard).await {
                Ok(shard) => {
                    let ids = shard.len();
                    self.slot.install(shard);
                    self.changes.send_modify(|count| *count += 1);
                    tracing::debug!(partition = %self.index, ids, "transactions loaded");
                    backoff = RELOAD_BACKOFF;
                    let cause = self.drive().await;
                    tracing::warn!(partition = %self.index, %cause, "transactions are loaded again after a failed write");
                    self.slot.unload();
                    self.changes.send_modify(|count| *count += 1);
                }
                Err(cause) => {
                    tracing::error!(partition = %self.index, %cause, "transactions could not be loaded; trying again");
                }
            }
            self.clock.sleep(backoff).await;
            backoff = RELOAD_BACKOFF_MAX.min(backoff * 2);
        }
    }

    /// Serves the transactions until a write's outcome is unknown: then memory may differ from the log, which must be read again.
    async fn drive(&self) -> LogError {
        let mut flight: Option<BoxFuture<'static, Outcome>> = None;
        let mut endings = FuturesUnordered::new();
        loop {
            if flight.is_none() {
                let writes = self.slot.take_writes(TXN_WRITES_MAX);
                if !writes.is_empty() {
                    flight = Some(append(self.log.clone(), writes, self.clock.now()).boxed());
                }
            }
            for ending in self.slot.take_endings() {
                endings.push(self.markers.clone().end(ending, self.slot.clone(), self.clock.clone()));
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
                        Ok(settled) => settled.into_iter().for_each(|(ticket, outcome)| self.slot.settle(ticket, outcome)),
                        Err(cause) => return cause,
                    }
                }
                Some(()) = endings.next() => {}
                () = self.slot.wake.notified() => {}
                () = self.clock.sleep(nap) => self.slot.tick(),
            }
        }
    }
}

/// Reads the whole log into `shard`.
async fn load(log: &dyn OffsetsLog, mut shard: Shard) -> Result<Shard, LogError> {
    let mut next = Offset::ZERO;
    loop {
        let batches = log.read(next, LOAD_READ_BYTES).await?;
        if batches.is_empty() {
            return Ok(shard);
        }
        for batch in batches.iter().filter(|batch| !batch.is_control()) {
            let mut failed = None;
            let visited = batch.each(&Limits::default(), |record| {
                if record.offset < next || failed.is_some() {
                    return;
                }
                match Change::decode(record.key.unwrap_or_default(), record.value) {
                    Ok(change) => shard.replay(change),
                    Err(error) => failed = Some(corrupt(record.offset, &error)),
                }
            });
            visited.map_err(|error| corrupt(batch.base_offset(), &error))?;
            failed.map_or(Ok(()), Err)?;
        }
        next = batches.last().map_or(next, |last| last.next_offset());
        // A long log is read without keeping others from the thread.
        tokio::task::yield_now().await;
    }
}

fn corrupt(offset: Offset, cause: &dyn std::fmt::Display) -> LogError {
    LogError::Corrupt(format!("at offset {offset}: {cause}"))
}

/// Appends the writes together. One that is too large must not take the others with it: then each is appended alone.
async fn append(log: Arc<dyn OffsetsLog>, writes: Vec<Write>, now: TimestampMs) -> Outcome {
    let mut settled = Vec::with_capacity(writes.len());
    match append_some(&*log, &writes, now).await {
        Err(LogError::TooLarge(_)) if writes.len() > 1 => {
            for write in &writes {
                let outcome = definite(append_some(&*log, std::slice::from_ref(write), now).await)?;
                settled.push((write.ticket, outcome));
            }
        }
        other => {
            let outcome = definite(other)?;
            settled.extend(writes.iter().map(|write| (write.ticket, outcome)));
        }
    }
    Ok(settled)
}

async fn append_some(log: &dyn OffsetsLog, writes: &[Write], now: TimestampMs) -> Result<(), LogError> {
    let records = writes.iter().map(|write| (write.record.key.as_ref(), write.record.value.as_deref()));
    append_records(log, records, now).await
}

/// A failure after which the log is as before; any other leaves it unknown.
fn definite(result: Result<(), LogError>) -> Result<Result<(), WriteError>, LogError> {
    match result {
        Ok(()) => Ok(Ok(())),
        Err(LogError::TooLarge(_)) => Ok(Err(WriteError::TooLarge)),
        Err(LogError::Refused(_)) => Ok(Err(WriteError::NotAvailable)),
        Err(unknown @ (LogError::NotLeader | LogError::Unknown(_) | LogError::Corrupt(_) | LogError::Producer(_))) => {
            Err(unknown)
        }
    }
}
