//! The service: keeps what runs equal to what is stored, and carries the lifecycle verbs.

mod entry;
mod verbs;

use crate::context::Context;
use crate::positions::Positions;
use crate::status::Board;
use crate::{
    Config, Deployment, DeploymentKey, DeploymentKind, DeploymentStatus, DeploymentStore, Kind, State, Topics,
    instruments,
};
use entry::Entry;
use millstream_runtime::{Runtime, Tasks};
use millstream_telemetry::Metrics;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often the gauges follow the status.
const GAUGES_INTERVAL: Duration = Duration::from_secs(1);
/// How much longer than one deployment's stop the stop of all may take.
const STOP_SLACK: Duration = Duration::from_secs(5);

/// The ports a host needs.
pub struct Ports {
    /// Clock, random, tasks.
    pub runtime: Runtime,
    /// The log.
    pub topics: Arc<dyn Topics>,
    /// The stored deployments.
    pub store: Arc<dyn DeploymentStore>,
    /// Where its counters go.
    pub metrics: Metrics,
}

/// Runs every stored deployment of the kinds it knows. Clones are the same host.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    context: Arc<Context>,
    positions: Arc<Positions>,
    store: Arc<dyn DeploymentStore>,
    kinds: Mutex<BTreeMap<DeploymentKind, Arc<dyn Kind>>>,
    entries: Mutex<BTreeMap<DeploymentKey, Arc<Entry>>>,
    /// Asks the manager to look again.
    kick: Notify,
    tasks: Tasks,
}

impl Host {
    /// A host that runs nothing until it is started.
    #[must_use]
    pub fn new(ports: Ports, config: Config) -> Self {
        let Ports { runtime, topics, store, metrics } = ports;
        let tasks = runtime.tasks.child();
        let positions = Arc::new(Positions::new(topics.clone()));
        let context = Arc::new(Context { runtime, topics, config, metrics });
        let inner = Inner {
            context,
            positions,
            store,
            kinds: Mutex::default(),
            entries: Mutex::default(),
            kick: Notify::new(),
            tasks,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Adds a face. Deployments of kinds that are never added are kept and not run.
    pub fn register(&self, kind: Arc<dyn Kind>) {
        self.inner.kinds.lock().insert(kind.kind(), kind);
        self.inner.kick.notify_one();
    }

    /// Begins to run what is stored.
    pub fn start(&self) {
        let host = self.clone();
        self.inner.tasks.spawn("task-host", async move { host.manage().await });
    }

    /// Stops every task in order: each finishes its batch and commits. Returns whether all did in time.
    pub async fn stop(&self) -> bool {
        let limit = self.inner.context.config.stop_grace + STOP_SLACK;
        self.inner.tasks.stop_and_wait(limit).await
    }

    /// Every stored deployment.
    #[must_use]
    pub fn deployments(&self) -> Vec<Deployment> {
        self.inner.store.watch().borrow().clone()
    }

    /// One stored deployment.
    #[must_use]
    pub fn deployment(&self, key: &DeploymentKey) -> Option<Deployment> {
        self.inner.store.watch().borrow().iter().find(|stored| stored.key == *key).cloned()
    }

    /// What every stored deployment is doing, sorted by key.
    #[must_use]
    pub fn status(&self) -> Vec<DeploymentStatus> {
        self.deployments().iter().map(|deployment| self.status_of(deployment)).collect()
    }

    /// What one deployment is doing.
    #[must_use]
    pub fn status_one(&self, key: &DeploymentKey) -> Option<DeploymentStatus> {
        self.deployment(key).map(|deployment| self.status_of(&deployment))
    }

    fn status_of(&self, deployment: &Deployment) -> DeploymentStatus {
        let entry = self.inner.entries.lock().get(&deployment.key).cloned();
        let board = entry.map_or_else(|| Arc::new(Board::new(deployment, State::Starting)), |entry| entry.board());
        board.status()
    }

    /// Follows the store until the host is stopped.
    async fn manage(&self) {
        let shutdown = self.inner.tasks.shutdown();
        let mut stored = self.inner.store.watch();
        let clock = self.inner.context.runtime.clock.clone();
        loop {
            let wanted = stored.borrow_and_update().clone();
            self.reconcile(&wanted).await;
            let again = async {
                loop {
                    tokio::select! {
                        biased;
                        changed = stored.changed() => return changed.is_ok(),
                        () = self.inner.kick.notified() => return true,
                        () = clock.sleep(GAUGES_INTERVAL) => self.show(),
                    }
                }
            };
            let go_on = tokio::select! {
                biased;
                () = shutdown.requested() => false,
                go_on = again => go_on,
            };
            if !go_on {
                break;
            }
        }
        let entries: Vec<_> = self.inner.entries.lock().values().cloned().collect();
        futures::future::join_all(entries.iter().map(|entry| self.inner.halt(entry))).await;
    }

    fn show(&self) {
        self.status().iter().for_each(|status| instruments::show(&self.inner.context.metrics, status));
    }

    /// Makes what runs equal to what is stored. Deployments are changed side by side: a slow one holds up no other's start for longer
    /// than its grace.
    async fn reconcile(&self, wanted: &[Deployment]) {
        let gone: Vec<Arc<Entry>> = {
            let mut entries = self.inner.entries.lock();
            for deployment in wanted {
                entries.entry(deployment.key.clone()).or_insert_with(|| Arc::new(Entry::new(deployment)));
            }
            entries.values().filter(|entry| wanted.iter().all(|each| each.key != entry.key)).cloned().collect()
        };
        let there = wanted.iter().filter_map(|deployment| self.inner.entries.lock().get(&deployment.key).cloned());
        let there: Vec<Arc<Entry>> = there.collect();
        futures::future::join(
            futures::future::join_all(there.iter().map(|entry| self.inner.follow(entry))),
            futures::future::join_all(gone.iter().map(|entry| self.inner.bury(entry))),
        )
        .await;
    }
}
