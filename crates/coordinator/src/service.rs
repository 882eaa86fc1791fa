//! The coordinator of one node: a board for each of its topics.

use crate::board::{Board, Surroundings};
use crate::config::Config;
use crate::handle::Handle;
use crate::markers::Markers;
use crate::port::{Controller, Participants};
use crate::producers::ProducerIdSource;
use crate::shard::{GroupErrands, GroupSurroundings, Pruner};
use millstream_group::{Cluster, GroupState};
use millstream_runtime::Runtime;
use millstream_telemetry::{Counter, Gauge, Metrics, catalogue};
use std::sync::Arc;
use tokio::sync::watch;

/// Starts the coordinator.
pub struct Service;

impl Service {
    /// A coordinator that serves no partition yet: [`Handle::elected`] gives it one. Its tasks end with those of `runtime`.
    #[must_use]
    pub fn start(runtime: Runtime, config: Config, ports: Ports, metrics: &Metrics) -> Handle {
        let Ports { controller, participants, cluster } = ports;
        let around = Surroundings {
            runtime: runtime.clone(),
            controller: controller.clone(),
            changes: Arc::new(watch::channel(0).0),
        };
        let rebalances = metrics.counter(&catalogue::GROUP_REBALANCES, &[]);
        let shares = Arc::new(Board::new(around.clone(), config.shares, Arc::new(Pruner)));
        let errands = GroupErrands { rebalances, cluster: cluster.clone(), shares: shares.clone() };
        let decided_by = GroupSurroundings { config: config.group, cluster };
        let groups = Arc::new(Board::new(around.clone(), decided_by, Arc::new(errands)));
        let markers = Markers { groups: groups.clone(), participants };
        let transactions = Board::new(around, config.transactions, Arc::new(markers.clone()));
        Handle::new(Arc::new(Inner {
            groups,
            transactions,
            shares,
            markers,
            producer_ids: ProducerIdSource::new(controller),
            commits: metrics.counter(&catalogue::OFFSET_COMMITS, &[]),
            states: GroupState::ALL.map(|state| (state, metrics.gauge(&catalogue::GROUPS, &[state.name()]))),
            runtime,
        }))
    }
}

/// What the coordinator needs of the rest.
pub struct Ports {
    /// Topics and producer ids.
    pub controller: Arc<dyn Controller>,
    /// The partitions that transactions write to.
    pub participants: Arc<dyn Participants>,
    /// The topics that groups subscribe to, and the settings of single groups.
    pub cluster: Arc<dyn Cluster>,
}

/// What all handles share.
pub(crate) struct Inner {
    pub(crate) groups: Arc<Board<millstream_group::Shard>>,
    pub(crate) transactions: Board<millstream_txn::Shard>,
    pub(crate) shares: Arc<Board<millstream_group::share::StateShard>>,
    pub(crate) markers: Markers,
    pub(crate) producer_ids: ProducerIdSource,
    /// Offsets committed.
    pub(crate) commits: Counter,
    /// How many groups are in each state.
    pub(crate) states: [(GroupState, Gauge); GroupState::ALL.len()],
    pub(crate) runtime: Runtime,
}
