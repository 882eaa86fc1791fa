//! Starting a node of the quorum: its folder, its log, the Raft library, and the broker's registration.

use crate::controller::{Controller, Job, QUEUE_LEN};
use crate::error::DiskContext;
use crate::handle::{Handle, Shared};
use crate::identity::{Expected, establish, lock};
use crate::log_store::LogStore;
use crate::network::Network;
use crate::raft_types::{Peer, RaftRuntime, ReplicaId, TypeConfig};
use crate::state_machine::{Progress, Published, StateMachine};
use crate::{Config, Error, Unfence};
use millstream_metadata::{Image, brokers};
use millstream_runtime::{DiskFile, Runtime, Tasks};
use millstream_types::{ClusterId, FolderIdentity};
use openraft::async_runtime::WatchReceiver;
use openraft::{Raft, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use uuid::Builder;

/// The quorum's folder within the data folder.
pub(crate) const FOLDER: &str = "metadata";

/// The metadata quorum on this node.
pub struct Service;

impl Service {
    /// Starts the quorum and registers the broker. A node that forms a cluster of its own leads it when this returns.
    ///
    /// # Errors
    /// The folder is another node's, in use, damaged or of a newer version; the disk fails; the broker is refused.
    pub async fn start(runtime: &Runtime, config: Config) -> Result<Handle, Error> {
        let dir = config.data_dir.join(FOLDER);
        let disk = &*runtime.disk;
        disk.create_dir_durable(&dir).await.while_at("create", &dir)?;
        let lock = lock(disk, &config.data_dir).await?;
        let expected = Expected { node_id: config.node_id, cluster_id: config.cluster_id, form: config.form };
        let identity = establish(disk, &*runtime.random, &config.data_dir, expected).await?;
        let tasks = runtime.tasks.child();
        let handle = match build(runtime, &tasks, config, (identity, lock)).await {
            Ok(handle) => handle,
            Err(error) => {
                tasks.stop();
                return Err(error);
            }
        };
        match handle.form_and_register().await {
            Ok(()) => Ok(handle),
            Err(error) => {
                // The reason for which it could not start is worth more than a second one for which it could not stop.
                let _ = handle.stop().await;
                Err(error)
            }
        }
    }
}

async fn build(
    runtime: &Runtime,
    tasks: &Tasks,
    config: Config,
    (identity, lock): (FolderIdentity, Arc<dyn DiskFile>),
) -> Result<Handle, Error> {
    let dir = config.data_dir.join(FOLDER);
    let published = Published {
        image: watch::Sender::new(Arc::new(
            Image::default().on_node(Some(config.node_id), Arc::new(config.static_configs.clone()))?,
        )),
        progress: watch::Sender::new(Progress::default()),
    };
    let machine = StateMachine::open(runtime, &dir, published.clone()).await?;
    check_cluster(&config.data_dir, &identity, published.image.borrow().cluster_id())?;
    let log = LogStore::open(runtime, tasks, &dir, config.segment_bytes_max).await?;
    let (past_term, log_commands) = (log.voted_term(), log.commands());
    let id = ReplicaId { node: identity.node_id, directory: identity.directory };
    let settings = Arc::new(raft_config(&config)?);
    let network = Network(config.peers.clone());
    let seed = runtime.random.next_u64();
    let raft = RaftRuntime::scope(seed, Raft::new(id, settings, network, log, machine)).await;
    let raft: Raft<TypeConfig, StateMachine> = raft.map_err(|error| Error::Stopped { reason: error.to_string() })?;
    let (proposals, queue) = mpsc::channel(QUEUE_LEN);
    tasks.spawn_until_stopped("metadata-proposals", propose(raft.clone(), queue));
    tasks.spawn_until_stopped("metadata-clock", tick_while_needed(raft.clone()));
    Ok(Handle::new(Shared {
        runtime: runtime.clone(),
        tasks: tasks.clone(),
        config,
        identity,
        raft,
        published,
        controller: Mutex::new(Controller::default()),
        proposals,
        log_commands,
        past_term,
        broker_epoch: watch::Sender::new(None),
        lock: Mutex::new(Some(lock)),
    }))
}

fn check_cluster(data_dir: &Path, identity: &FolderIdentity, formed: Option<ClusterId>) -> Result<(), Error> {
    match formed {
        Some(formed) if formed != identity.cluster_id => Err(Error::WrongFolder {
            path: data_dir.join(FOLDER),
            what: "cluster",
            stored: formed.to_string(),
            given: identity.cluster_id.to_string(),
        }),
        _ => Ok(()),
    }
}

fn raft_config(config: &Config) -> Result<openraft::Config, Error> {
    openraft::Config {
        cluster_name: "millstream".to_owned(),
        heartbeat_interval: 250,
        election_timeout_min: 1_000,
        election_timeout_max: 2_000,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_entries),
        max_in_snapshot_log_to_keep: config.kept_entries,
        enable_pre_vote: Some(true),
        // A restart is a new term, so that nothing decided by this process's predecessor is taken for its own.
        enable_leader_restore: Some(false),
        ..openraft::Config::default()
    }
    .validate()
    .map_err(|error| Error::Stopped { reason: error.to_string() })
}

/// Stops the library's clock while there is nobody to hear it: a leader that is the only voter sends no heartbeats and fears no election.
/// Its ticks would be most of what a node at rest does.
async fn tick_while_needed(raft: Raft<TypeConfig, StateMachine>) {
    let mut metrics = raft.metrics();
    let mut is_ticking = true;
    loop {
        let is_alone = {
            let now = metrics.borrow_watched();
            now.state == ServerState::Leader && now.membership_config.membership().voter_ids().count() == 1
        };
        if is_ticking == is_alone {
            is_ticking = !is_alone;
            raft.runtime_config().tick(is_ticking);
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// Hands proposals to the library in the order in which they were decided.
async fn propose(raft: Raft<TypeConfig, StateMachine>, mut queue: mpsc::Receiver<Job>) {
    while let Some(Job { proposal, responder }) = queue.recv().await {
        let leader = proposal.term;
        // A failure drops the responder, which tells the one who waits.
        if let Err(error) = raft.write(proposal).with_leader(leader).responder(responder).await {
            tracing::warn!(%error, "the metadata log takes no more proposals");
            return;
        }
    }
}

impl Handle {
    /// Brings a first start or a restart to the point where decisions are taken, and registers the broker.
    async fn form_and_register(&self) -> Result<(), Error> {
        let shared = self.shared();
        let id = self.replica_id();
        let fatal = |error: &dyn std::fmt::Display| Error::Stopped { reason: error.to_string() };
        let formed = shared.raft.is_initialized().await.map_err(|error| fatal(&error))?;
        if !formed && shared.config.form {
            let members = BTreeMap::from([(id, Peer::default())]);
            shared.raft.initialize(members).await.map_err(|error| fatal(&error))?;
        }
        let alone =
            shared.raft.with_raft_state(move |state| state.membership_state.effective().voter_ids().eq([id])).await;
        if !alone.map_err(|error| fatal(&error))? {
            return Ok(());
        }
        // Nobody else can be elected: there is nothing to wait for.
        shared.raft.trigger().elect(false).await.map_err(|error| fatal(&error))?;
        let cluster_id = shared.identity.cluster_id;
        let stored = self.decide(|image| brokers::form_cluster(image, cluster_id)).await?;
        check_cluster(&shared.config.data_dir, &shared.identity, Some(stored))?;
        self.register().await
    }

    async fn register(&self) -> Result<(), Error> {
        let shared = self.shared();
        let request = brokers::Register {
            broker: self.node_id(),
            incarnation: Builder::from_random_bytes(shared.runtime.random.next_u128().to_be_bytes()).into_uuid(),
            directory: self.directory_id(),
            listeners: shared.config.listeners.clone(),
            rack: shared.config.rack.clone(),
            // The folder's lock says that no other process of this node lives.
            predecessor_alive: false,
        };
        let epoch = self.decide(|image| brokers::register(image, &request)).await?;
        shared.broker_epoch.send_replace(Some(epoch));
        if shared.config.unfence == Unfence::AtStart {
            self.heartbeat(false).await?;
        }
        Ok(())
    }
}
