//! The partitions of one internal topic that are led here, each with its slot, its log and the owner of its task.

use crate::config::INTERNAL_WAIT;
use crate::driver::Driver;
use crate::error::Error;
use crate::owner::partition_of;
use crate::port::{Controller, OffsetsLog};
use crate::shard::{Errands, Shard, Unavailable};
use crate::slot::Slot;
use millstream_runtime::{Runtime, Tasks};
use millstream_types::PartitionIndex;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

struct Led<S: Shard> {
    slot: Arc<Slot<S>>,
    log: Arc<dyn OffsetsLog>,
    tasks: Tasks,
}

/// A slot, and the log that it is written to.
pub(crate) type SlotAndLog<S> = (Arc<Slot<S>>, Arc<dyn OffsetsLog>);

/// What every board shares.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) runtime: Runtime,
    pub(crate) controller: Arc<dyn Controller>,
    /// Counts up whenever a partition is loaded, given or taken.
    pub(crate) changes: Arc<watch::Sender<u64>>,
}

/// See the module.
pub(crate) struct Board<S: Shard> {
    around: Surroundings,
    config: S::Config,
    errands: Arc<dyn Errands<S>>,
    led: RwLock<BTreeMap<PartitionIndex, Led<S>>>,
}

impl<S: Shard> Board<S> {
    /// A board that serves no partition yet.
    pub(crate) fn new(around: Surroundings, config: S::Config, errands: Arc<dyn Errands<S>>) -> Self {
        Self { around, config, errands, led: RwLock::new(BTreeMap::new()) }
    }

    /// This node leads partition `index`: its log is read, then it is served. In place of what was there before.
    pub(crate) fn elected(&self, index: PartitionIndex, log: Arc<dyn OffsetsLog>) {
        self.resigned(index);
        let clock = self.around.runtime.clock.clone();
        let slot = Arc::new(Slot::new(index, clock.clone()));
        let tasks = self.around.runtime.tasks.child();
        let driver = Driver {
            index,
            slot: slot.clone(),
            log: log.clone(),
            clock,
            config: self.config.clone(),
            errands: self.errands.clone(),
            changes: self.around.changes.clone(),
        };
        tasks.spawn_until_stopped(S::HOLDS, driver.run());
        self.led.write().insert(index, Led { slot, log, tasks });
        self.around.changes.send_modify(|count| *count += 1);
    }

    /// This node leads partition `index` no more.
    pub(crate) fn resigned(&self, index: PartitionIndex) {
        let Some(led) = self.led.write().remove(&index) else { return };
        led.tasks.stop();
        led.slot.close();
        self.around.changes.send_modify(|count| *count += 1);
    }

    /// Whether partition `index` was taken over.
    pub(crate) fn leads(&self, index: PartitionIndex) -> bool {
        self.led.read().contains_key(&index)
    }

    /// The slot of partition `index`.
    pub(crate) fn slot(&self, index: PartitionIndex) -> Option<Arc<Slot<S>>> {
        self.led.read().get(&index).map(|led| led.slot.clone())
    }

    /// Every slot, by partition.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot<S>>> {
        self.led.read().values().map(|led| led.slot.clone()).collect()
    }

    /// The slot of `name`'s partition.
    pub(crate) fn slot_of(&self, name: &str) -> Result<Arc<Slot<S>>, Error> {
        self.led_of(name).map(|(slot, _)| slot)
    }

    /// The slot of `name`'s partition, with its log.
    pub(crate) fn led_of(&self, name: &str) -> Result<SlotAndLog<S>, Error> {
        let partitions = self
            .around
            .controller
            .internal_topic(S::TOPIC)
            .ok_or_else(|| S::unavailable(name, Unavailable::NoTopic))?;
        let partition = partition_of(name, partitions);
        let board = self.led.read();
        let led = board.get(&partition).ok_or_else(|| S::unavailable(name, Unavailable::NotLed(partition)))?;
        Ok((led.slot.clone(), led.log.clone()))
    }

    /// Whether the topic exists: where it does not, nothing is held.
    pub(crate) fn has_topic(&self) -> bool {
        self.around.controller.internal_topic(S::TOPIC).is_some()
    }

    /// Returns when `name` is served here, or fails after a while with the reason why it is not. The topic is made if there is none.
    pub(crate) async fn wait_until_loaded(&self, name: &str) -> Result<(), Error> {
        self.partition_of(name).await?;
        let mut changes = self.around.changes.subscribe();
        let loaded = async {
            while !self.slot_of(name).is_ok_and(|slot| slot.is_loaded()) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = loaded => {}
            () = self.around.runtime.clock.sleep(INTERNAL_WAIT) => {}
        }
        self.slot_of(name)?.ask(name, |_, _| ())
    }

    /// The partition that holds `name`; the topic is made if there is none.
    pub(crate) async fn partition_of(&self, name: &str) -> Result<PartitionIndex, Error> {
        let partitions = match self.around.controller.internal_topic(S::TOPIC) {
            Some(partitions) => partitions,
            None => self.around.controller.ensure_internal_topic(S::TOPIC).await?,
        };
        Ok(partition_of(name, partitions))
    }
}
