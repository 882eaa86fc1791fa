//! The task of one led partition: reads the log, then writes what its shard decides, runs its errands and fires its timers, until it is
//! stopped.

use crate::append::append;
use crate::config::{APPEND_BYTES_MAX, RELOAD_BACKOFF, RELOAD_BACKOFF_MAX, SLEEP_MAX};
use crate::load;
use crate::port::{LogError, OffsetsLog};
use crate::shard::{Errands, Shard};
use crate::slot::Slot;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use millstream_runtime::Clock;
use millstream_types::PartitionIndex;
use std::sync::Arc;
use tokio::sync::watch;

/// See the module.
pub(crate) struct Driver<S: Shard> {
    pub(crate) index: PartitionIndex,
    pub(crate) slot: Arc<Slot<S>>,
    pub(crate) log: Arc<dyn OffsetsLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: S::Config,
    pub(crate) errands: Arc<dyn Errands<S>>,
    /// Counts up whenever a partition is loaded or given up.
    pub(crate) changes: Arc<watch::Sender<u64>>,
}

impl<S: Shard> Driver<S> {
    /// Runs for as long as it is polled.
    pub(crate) async fn run(self) {
        let mut backoff = RELOAD_BACKOFF;
        loop {
            let shard = S::open(&self.config, self.log.leader_epoch());
            match load::load(&*self.log, shard).await {
                Ok(shard) => {
                    let count = shard.count();
                    self.slot.install(shard);
                    self.changes.send_modify(|count| *count += 1);
                    tracing::debug!(topic = S::TOPIC, partition = %self.index, count, "{} loaded", S::HOLDS);
                    backoff = RELOAD_BACKOFF;
                    let cause = self.drive().await;
                    tracing::warn!(topic = S::TOPIC, partition = %self.index, %cause, "{} are loaded again after a failed write", S::HOLDS);
                    self.slot.unload();
                    self.changes.send_modify(|count| *count += 1);
                }
                Err(cause) => {
                    tracing::error!(topic = S::TOPIC, partition = %self.index, %cause, "{} could not be loaded; trying again", S::HOLDS);
                }
            }
            self.clock.sleep(backoff).await;
            backoff = RELOAD_BACKOFF_MAX.min(backoff * 2);
        }
    }

    /// Serves the shard until a write's outcome is unknown: then memory may differ from the log, which must be read again.
    async fn drive(&self) -> LogError {
        let mut flight = None;
        let mut errands = FuturesUnordered::new();
        loop {
            if flight.is_none() {
                let writes = self.slot.take_writes(APPEND_BYTES_MAX);
                if !writes.is_empty() {
                    flight = Some(append(self.log.clone(), writes, self.clock.now()).boxed());
                }
            }
            for errand in self.slot.take_errands() {
                errands.push(self.errands.run(errand, &self.slot, &self.log, &self.clock));
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
                        Ok(all) => all.into_iter().for_each(|one| self.slot.settle(one.ticket, one.alone, one.outcome)),
                        Err(cause) => return cause,
                    }
                }
                Some(()) = errands.next() => {}
                () = self.slot.wake.notified() => {}
                () = self.clock.sleep(nap) => self.slot.tick(),
            }
        }
    }
}
