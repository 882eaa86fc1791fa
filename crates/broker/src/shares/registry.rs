//! The share partitions that are open here, each from its first use on.

use crate::codes::Failure;
use crate::config::Settings;
use crate::shares::opened::{Opened, Outcome};
use crate::shares::options::ShareOptions;
use crate::shares::session::Member;
use millstream_coordinator::{Error as CoordinatorError, Handle as Coordinator};
use millstream_group::Error as GroupError;
use millstream_group::share::{Acknowledgement, ShareKey, SharePartition, UNKNOWN};
use millstream_partition::{PartitionHandle, Partitions};
use millstream_protocol::ResponseError;
use millstream_quorum::Handle as Quorum;
use millstream_runtime::Runtime;
use millstream_telemetry::Metrics;
use millstream_types::{BrokerId, LeaderEpoch};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, OnceCell, oneshot};

/// A share partition that nobody used for so long, and whose group has no member with a session here, is let go.
const IDLE_MS: u64 = 60_000;

/// Whoever comes while it is being opened waits for the same.
type Cell = Arc<OnceCell<Arc<Opened>>>;

/// See the module.
pub(crate) struct Registry {
    pub(super) runtime: Runtime,
    pub(super) metrics: Metrics,
    pub(super) coordinator: Coordinator,
    pub(super) partitions: Partitions,
    pub(super) quorum: Quorum,
    pub(super) node: BrokerId,
    /// Options of the broker as given at start.
    pub(super) given: BTreeMap<String, String>,
    opened: Mutex<BTreeMap<ShareKey, Cell>>,
    /// When the first lock ends, as far as the task that watches them knows, in elapsed milliseconds.
    pub(super) next_end: AtomicU64,
    /// That is earlier now, or there is something new to watch.
    pub(super) earlier: Notify,
}

/// What a registry works with.
pub(crate) struct Around {
    pub(crate) runtime: Runtime,
    pub(crate) metrics: Metrics,
    pub(crate) coordinator: Coordinator,
    pub(crate) partitions: Partitions,
    pub(crate) quorum: Quorum,
    pub(crate) settings: Settings,
}

impl Registry {
    /// A registry of nothing.
    pub(crate) fn new(around: Around) -> Arc<Self> {
        let Around { runtime, metrics, coordinator, partitions, quorum, settings } = around;
        Arc::new(Self {
            runtime,
            metrics,
            coordinator,
            partitions,
            quorum,
            node: settings.node,
            given: settings.given,
            opened: Mutex::default(),
            next_end: AtomicU64::new(u64::MAX),
            earlier: Notify::new(),
        })
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.runtime.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The share partition of `key`, whose records are in `log`; opened where it is not.
    pub(crate) async fn open(
        &self,
        key: &ShareKey,
        log: &PartitionHandle,
        options: &ShareOptions,
    ) -> Result<Arc<Opened>, Failure> {
        loop {
            let cell = self.opened.lock().entry(key.clone()).or_default().clone();
            match cell.get_or_try_init(|| self.load(key, log, options)).await {
                Ok(opened) if opened.is_of(log) => {
                    opened.touch(self.now_ms());
                    return Ok(opened.clone());
                }
                Ok(opened) => self.close(opened),
                Err(failure) => {
                    self.forget(key, &cell);
                    return Err(failure);
                }
            }
        }
    }

    /// The share partition of `key`, if it is open and still led here.
    pub(crate) fn get(&self, key: &ShareKey) -> Option<Arc<Opened>> {
        let opened = self.opened.lock().get(key)?.get().cloned();
        let opened = opened.filter(|opened| !opened.is_over())?;
        opened.touch(self.now_ms());
        Some(opened)
    }

    /// Lets those go that nobody has used for long, and of which all is stored: whoever wants one opens it anew. Those of groups that are read
    /// stay. Gives how many are left.
    pub(super) fn let_go(&self, now_ms: u64, is_read: impl Fn(&Arc<str>) -> bool) -> usize {
        let mut known = self.opened.lock();
        known.retain(|key, cell| {
            // Whoever has it, or is about to, has it or its cell; new ones come by this lock.
            let is_free = |opened: &Arc<Opened>| Arc::strong_count(cell) == 1 && Arc::strong_count(opened) == 1;
            let is_idle = |opened: &Arc<Opened>| is_free(opened) && opened.is_idle(now_ms, IDLE_MS);
            !cell.get().is_some_and(|opened| is_idle(opened) && !is_read(&key.group))
        });
        known.len()
    }

    /// All that are open.
    pub(super) fn all(&self) -> Vec<Arc<Opened>> {
        self.opened.lock().values().filter_map(|cell| cell.get().cloned()).collect()
    }

    /// What a member says of records is decided. When it is stored comes through the receiver; none where nothing is to be stored.
    pub(crate) fn acknowledge(
        self: &Arc<Self>,
        opened: &Arc<Opened>,
        member: &str,
        said: &[Acknowledgement],
    ) -> Result<Option<oneshot::Receiver<Outcome>>, Failure> {
        let begun = opened.acknowledge(member, said, self.now_ms())?;
        self.write(opened);
        Ok(begun)
    }

    /// What a member has is given back. When that is stored comes through the receivers.
    pub(crate) fn release(self: &Arc<Self>, member: &Member) -> Vec<oneshot::Receiver<Outcome>> {
        let mut begun = Vec::new();
        for opened in self.all().iter().filter(|opened| opened.key.group == member.group) {
            begun.extend(opened.release(&member.id));
            self.write(opened);
        }
        begun
    }

    /// It is used no more: whoever wants it opens it anew.
    pub(super) fn close(&self, opened: &Opened) {
        opened.fence();
        let mut known = self.opened.lock();
        let is_same = |cell: &Cell| cell.get().is_some_and(|known| std::ptr::eq(&**known, opened));
        if known.get(&opened.key).is_some_and(is_same) {
            known.remove(&opened.key);
        }
    }

    /// The states of a group were set or deleted: what is known of them is not so any more.
    pub(crate) fn close_group(&self, group: &str) {
        for opened in self.all().iter().filter(|opened| *opened.key.group == *group) {
            self.close(opened);
        }
    }

    fn forget(&self, key: &ShareKey, cell: &Cell) {
        let mut known = self.opened.lock();
        if known.get(key).is_some_and(|known| Arc::ptr_eq(known, cell) && known.get().is_none()) {
            known.remove(key);
        }
    }

    async fn load(
        &self,
        key: &ShareKey,
        log: &PartitionHandle,
        options: &ShareOptions,
    ) -> Result<Arc<Opened>, Failure> {
        let leader_epoch = log.bounds().leader_epoch;
        self.coordinator.wait_for_share(key).await.map_err(persister)?;
        let state = self.coordinator.read_share(key, leader_epoch.0).await.map_err(persister)?;
        let start = match state.start {
            UNKNOWN => self.first(log, leader_epoch, options).await?,
            start => start,
        };
        let mut partition = SharePartition::loaded(start, &state.batches, options.limits)?;
        partition.log_starts_at(log.bounds().log_start.0);
        let epochs = (leader_epoch, state.state_epoch);
        let opened = Opened::new(key.clone(), log.clone(), epochs, (partition, state.start != UNKNOWN));
        self.earlier.notify_one();
        Ok(Arc::new(opened))
    }

    /// Where a group begins that has not yet.
    async fn first(&self, log: &PartitionHandle, epoch: LeaderEpoch, options: &ShareOptions) -> Result<i64, Failure> {
        let query = options.begins.query(self.runtime.clock.now());
        let found = log.offset_for_time(query, epoch).await?;
        // Nothing is as young as that.
        Ok(found.map_or_else(|| log.bounds().high_watermark.0, |at| at.offset.0))
    }

    /// A lock ends then.
    pub(super) fn locked_until(&self, deadline: u64) {
        if deadline < self.next_end.load(Ordering::Acquire) {
            self.earlier.notify_one();
        }
    }
}

/// What the state of a share partition that can't be had is to a member, as in Kafka.
pub(super) fn persister(error: CoordinatorError) -> Failure {
    let code = match &error {
        CoordinatorError::Group(GroupError::FencedShareLeader { .. } | GroupError::FencedStateEpoch { .. }) => {
            ResponseError::NotLeaderOrFollower
        }
        CoordinatorError::Group(GroupError::NoShareState { .. }) => ResponseError::UnknownServerError,
        _ => {
            let failure = Failure::from(error);
            let is_away =
                matches!(failure.code, ResponseError::NotCoordinator | ResponseError::CoordinatorLoadInProgress);
            return if is_away { Failure { code: ResponseError::CoordinatorNotAvailable, ..failure } } else { failure };
        }
    };
    Failure::new(code, error.to_string())
}
