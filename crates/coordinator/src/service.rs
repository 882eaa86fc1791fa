//! The coordinator of one node: which partitions of the offsets topic it serves, and the task of each.

use crate::config::Config;
use crate::driver::Driver;
use crate::handle::Handle;
use crate::markers::Markers;
use crate::owner::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC, partition_of};
use crate::port::{Controller, OffsetsLog, Participants};
use crate::slot::Slot;
use crate::txn_driver::TxnDriver;
use crate::txn_slot::TxnSlot;
use crate::{Error, producers::ProducerIdSource};
use millstream_group::GroupState;
use millstream_runtime::{Runtime, Tasks};
use millstream_telemetry::{Counter, Gauge, Metrics, catalogue};
use millstream_types::PartitionIndex;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Starts the coordinator.
pub struct Service;

impl Service {
    /// A coordinator that serves no partition yet: [`Handle::elected`] gives it one. Its tasks end with those of `runtime`.
    #[must_use]
    pub fn start(runtime: Runtime, config: Config, ports: Ports, metrics: &Metrics) -> Handle {
        let Ports { controller, participants } = ports;
        let slots = Arc::new(RwLock::new(BTreeMap::new()));
        Handle::new(Arc::new(Inner {
            config,
            markers: Markers { slots: slots.clone(), participants },
            txn_slots: RwLock::new(BTreeMap::new()),
            producer_ids: ProducerIdSource::new(controller.clone()),
            controller,
            commits: metrics.counter(&catalogue::OFFSET_COMMITS, &[]),
            rebalances: metrics.counter(&catalogue::GROUP_REBALANCES, &[]),
            groups: GroupState::ALL.map(|state| (state, metrics.gauge(&catalogue::GROUPS, &[state.name()]))),
            runtime,
            slots,
            changes: Arc::new(watch::channel(0).0),
        }))
    }
}

/// What the coordinator needs of the rest.
pub struct Ports {
    /// Topics and producer ids.
    pub controller: Arc<dyn Controller>,
    /// The partitions that transactions write to.
    pub participants: Arc<dyn Participants>,
}

/// A partition that is led here, and the owner of its task.
pub(crate) struct Led {
    pub(crate) slot: Arc<Slot>,
    pub(crate) log: Arc<dyn OffsetsLog>,
    tasks: Tasks,
}

/// The same of `__transaction_state`.
struct LedTxn {
    slot: Arc<TxnSlot>,
    tasks: Tasks,
}

/// The partitions of the offsets topic that are led here.
pub(crate) type Slots = Arc<RwLock<BTreeMap<PartitionIndex, Led>>>;

/// What all handles share.
pub(crate) struct Inner {
    config: Config,
    pub(crate) producer_ids: ProducerIdSource,
    controller: Arc<dyn Controller>,
    /// Offsets committed.
    pub(crate) commits: Counter,
    rebalances: Counter,
    pub(crate) groups: [(GroupState, Gauge); GroupState::ALL.len()],
    pub(crate) runtime: Runtime,
    pub(crate) slots: Slots,
    txn_slots: RwLock<BTreeMap<PartitionIndex, LedTxn>>,
    pub(crate) markers: Markers,
    changes: Arc<watch::Sender<u64>>,
}

impl Inner {
    /// This node leads partition `index`: its log is read, then its groups are served. In place of what was there before.
    pub(crate) fn elected(&self, index: PartitionIndex, log: Arc<dyn OffsetsLog>) {
        self.resigned(index);
        let slot = Arc::new(Slot::new(index, self.runtime.clock.clone(), self.rebalances.clone()));
        let tasks = self.runtime.tasks.child();
        let driver = Driver {
            index,
            slot: slot.clone(),
            log: log.clone(),
            clock: self.runtime.clock.clone(),
            group: self.config.group.clone(),
            changes: self.changes.clone(),
        };
        tasks.spawn_until_stopped("group coordinator", driver.run());
        self.slots.write().insert(index, Led { slot, log, tasks });
        self.changes.send_modify(|count| *count += 1);
    }

    /// This node leads partition `index` no more.
    pub(crate) fn resigned(&self, index: PartitionIndex) {
        let Some(led) = self.slots.write().remove(&index) else { return };
        led.tasks.stop();
        led.slot.close();
        self.changes.send_modify(|count| *count += 1);
    }

    /// The slot of `group`'s partition.
    pub(crate) fn slot_of(&self, group: &str) -> Result<Arc<Slot>, Error> {
        let partitions = self
            .controller
            .internal_topic(OFFSETS_TOPIC)
            .ok_or_else(|| Error::NoOffsetsTopic { group: group.to_owned() })?;
        let partition = partition_of(group, partitions);
        let slots = self.slots.read();
        let led = slots.get(&partition).ok_or_else(|| Error::NotCoordinator { group: group.to_owned(), partition })?;
        Ok(led.slot.clone())
    }

    /// The slot of `group`'s partition, with its log.
    pub(crate) fn led_of(&self, group: &str) -> Result<(Arc<Slot>, Arc<dyn OffsetsLog>), Error> {
        let slot = self.slot_of(group)?;
        let partition = slot.index();
        let slots = self.slots.read();
        let led = slots.get(&partition).ok_or_else(|| Error::NotCoordinator { group: group.to_owned(), partition })?;
        Ok((slot, led.log.clone()))
    }

    /// This node leads partition `index` of `__transaction_state`.
    pub(crate) fn txn_elected(&self, index: PartitionIndex, log: Arc<dyn OffsetsLog>) {
        self.txn_resigned(index);
        let slot = Arc::new(TxnSlot::new(index, self.runtime.clock.clone()));
        let tasks = self.runtime.tasks.child();
        let driver = TxnDriver {
            index,
            slot: slot.clone(),
            log,
            clock: self.runtime.clock.clone(),
            config: self.config.transactions,
            markers: self.markers.clone(),
            changes: self.changes.clone(),
        };
        tasks.spawn_until_stopped("transaction coordinator", driver.run());
        self.txn_slots.write().insert(index, LedTxn { slot, tasks });
        self.changes.send_modify(|count| *count += 1);
    }

    /// This node leads partition `index` of `__transaction_state` no more.
    pub(crate) fn txn_resigned(&self, index: PartitionIndex) {
        let Some(led) = self.txn_slots.write().remove(&index) else { return };
        led.tasks.stop();
        led.slot.close();
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn leads_txn(&self, index: PartitionIndex) -> bool {
        self.txn_slots.read().contains_key(&index)
    }

    /// The slot of a transactional id's partition.
    pub(crate) fn txn_slot_of(&self, id: &str) -> Result<Arc<TxnSlot>, Error> {
        let partitions = self
            .controller
            .internal_topic(TRANSACTIONS_TOPIC)
            .ok_or_else(|| Error::NoTransactionsTopic { id: id.to_owned() })?;
        let partition = partition_of(id, partitions);
        let slots = self.txn_slots.read();
        let led = slots.get(&partition).ok_or_else(|| Error::NotTxnCoordinator { id: id.to_owned(), partition })?;
        Ok(led.slot.clone())
    }

    /// Every slot of transactions, by partition.
    pub(crate) fn txn_slots(&self) -> Vec<Arc<TxnSlot>> {
        self.txn_slots.read().values().map(|led| led.slot.clone()).collect()
    }

    /// The partition that holds a transactional id; the topic is made if there is none.
    pub(crate) async fn txn_partition_of(&self, id: &str) -> Result<PartitionIndex, Error> {
        let partitions = match self.controller.internal_topic(TRANSACTIONS_TOPIC) {
            Some(partitions) => partitions,
            None => self.controller.ensure_internal_topic(TRANSACTIONS_TOPIC).await?,
        };
        Ok(partition_of(id, partitions))
    }

    /// Every slot, by partition.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().values().map(|led| led.slot.clone()).collect()
    }

    /// The partition that holds `group`; the topic is made if there is none.
    pub(crate) async fn partition_of(&self, group: &str) -> Result<PartitionIndex, Error> {
        let partitions = match self.controller.internal_topic(OFFSETS_TOPIC) {
            Some(partitions) => partitions,
            None => self.controller.ensure_internal_topic(OFFSETS_TOPIC).await?,
        };
        Ok(partition_of(group, partitions))
    }

    /// Sees the count go up whenever a partition is loaded, given or taken.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
