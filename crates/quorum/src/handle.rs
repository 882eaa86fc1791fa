//! What other services have of the quorum: the image, decisions, and the broker's own registration.

use crate::controller::{Controller, Job, Reply, Wait, is_applied};
use crate::inbound::Inbound;
use crate::log_writer::Command;
use crate::raft_types::{ReplicaId, TypeConfig};
use crate::state_machine::{Published, StateMachine};
use crate::{Config, Error};
use millstream_metadata::{Decision, Image, brokers};
use millstream_runtime::{DiskFile, Runtime, Tasks};
use millstream_types::{BrokerEpoch, BrokerId, ClusterId, DirectoryId, FolderIdentity};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::ClientWriteError;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How long a graceful stop waits for the quorum's own tasks.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A handle to the quorum; clones are the same.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

/// What the quorum has come to, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumState {
    /// The node that decides.
    pub leader: Option<BrokerId>,
    /// The term it decides in.
    pub term: i32,
    /// The offset after the last entry of this node's log.
    pub log_end: i64,
    /// The offset after the last entry that is committed.
    pub committed: i64,
    /// Who votes.
    pub voters: Vec<BrokerId>,
    /// Who only follows.
    pub learners: Vec<BrokerId>,
}

pub(crate) struct Shared {
    pub runtime: Runtime,
    pub tasks: Tasks,
    pub config: Config,
    pub identity: FolderIdentity,
    pub raft: Raft<TypeConfig, StateMachine>,
    pub published: Published,
    pub controller: Mutex<Controller>,
    pub proposals: mpsc::Sender<Job>,
    pub log_commands: mpsc::Sender<Command>,
    /// Terms up to this one are of an earlier life of this process: nothing is decided in them.
    pub past_term: u64,
    pub broker_epoch: watch::Sender<Option<BrokerEpoch>>,
    pub lock: Mutex<Option<Arc<dyn DiskFile>>>,
}

impl Handle {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// The metadata as far as this node has applied it.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.0.published.image.borrow().clone()
    }

    /// The metadata now, and again after each change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Image>> {
        self.0.published.image.subscribe()
    }

    /// The cluster.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        self.0.identity.cluster_id
    }

    /// This node.
    #[must_use]
    pub fn node_id(&self) -> BrokerId {
        self.0.identity.node_id
    }

    /// Whose the node's data folder is.
    #[must_use]
    pub fn identity(&self) -> FolderIdentity {
        self.0.identity
    }

    /// This node's data folder.
    #[must_use]
    pub fn directory_id(&self) -> DirectoryId {
        self.0.identity.directory
    }

    /// This node as a member of the quorum.
    #[must_use]
    pub fn replica_id(&self) -> ReplicaId {
        ReplicaId { node: self.0.identity.node_id, directory: self.0.identity.directory }
    }

    /// The node that decides, as far as this node knows.
    #[must_use]
    pub fn controller(&self) -> Option<BrokerId> {
        self.0.raft.metrics().borrow_watched().current_leader.map(|leader| leader.node)
    }

    /// What the quorum has come to.
    #[must_use]
    pub fn state(&self) -> QuorumState {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow_watched();
        let after = |index: u64| i64::try_from(index + 1).unwrap_or(i64::MAX);
        let membership = metrics.membership_config.membership();
        QuorumState {
            leader: metrics.current_leader.map(|leader| leader.node),
            term: i32::try_from(metrics.current_term).unwrap_or(i32::MAX),
            log_end: metrics.last_log_index.map_or(0, after),
            committed: metrics.last_applied.map_or(0, |entry| after(entry.index())),
            voters: membership.voter_ids().map(|id| id.node).collect(),
            learners: membership.learner_ids().map(|id| id.node).collect(),
        }
    }

    /// The epoch of this broker's registration; none until it is registered.
    #[must_use]
    pub fn broker_epoch(&self) -> Option<BrokerEpoch> {
        *self.0.broker_epoch.borrow()
    }

    /// Why the quorum can't go on, if it can't.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub fn health(&self) -> Result<(), Error> {
        self.0.raft.metrics().borrow_watched().running_state.clone().map_err(|fatal| stopped(&fatal))
    }

    /// Decides something, as the controller: `decide` sees everything decided so far, and its records are committed after those of
    /// all decisions before it. The answer comes when the records are committed and in [`Handle::image`].
    ///
    /// Safe to drop: what was decided may still be committed then.
    ///
    /// # Errors
    /// [`Error::Refused`] by `decide` itself; [`Error::NotLeader`], [`Error::NoLeader`], [`Error::Superseded`] when nothing was
    /// decided; [`Error::Unknown`] when it may have been; [`Error::Stopped`].
    pub async fn decide<T>(
        &self,
        decide: impl FnOnce(&Image) -> Result<Decision<T>, millstream_metadata::Error> + Send,
    ) -> Result<T, Error> {
        let shared = &*self.0;
        let permit = shared.proposals.reserve().await.map_err(|_| self.stopped())?;
        let term = self.leading_term().await?;
        let committed = self.image();
        let (answer, wait) = shared.controller.lock().decide(term, &committed, decide, permit)?;
        match wait {
            Wait::Applied(reply) => self.applied(term, reply).await?,
            Wait::Proposals(count) => self.proposals_applied(term, count).await?,
        }
        Ok(answer)
    }

    /// Tells the controller that this broker is ready to lead, or (`want_fence`) is not. Answers whether it is fenced.
    ///
    /// # Errors
    /// As [`Handle::decide`]; [`Error::Refused`] when the broker was registered anew since.
    pub async fn heartbeat(&self, want_fence: bool) -> Result<bool, Error> {
        let broker = self.node_id();
        let epoch = self.broker_epoch().unwrap_or(BrokerEpoch::NONE);
        self.decide(|image| brokers::heartbeat(image, brokers::Heartbeat { broker, epoch, want_fence })).await
    }

    /// What answers the other members of the quorum.
    #[must_use]
    pub fn inbound(&self) -> Inbound {
        Inbound(self.0.raft.clone())
    }

    /// Makes a snapshot now, rather than after so many entries.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn snapshot(&self) -> Result<(), Error> {
        self.0.raft.trigger().snapshot().await.map_err(|error| stopped(&error))
    }

    /// Stops the quorum: what was committed stays, what waits is answered with [`Error::Stopped`]. The folder is free afterwards.
    ///
    /// # Errors
    /// [`Error::Disk`] when the log's end could not be noted; the next start then reads it as after a crash.
    pub async fn stop(&self) -> Result<(), Error> {
        let shared = &*self.0;
        if shared.raft.shutdown().await.is_err() {
            tracing::error!("the Raft library's task panicked while it stopped; this is a bug in Millstream");
        }
        let (done, closed) = oneshot::channel();
        let asked = shared.log_commands.send(Command::Close { done }).await.is_ok();
        let closed = if asked { closed.await.unwrap_or(Ok(())) } else { Ok(()) };
        if !shared.tasks.stop_and_wait(STOP_LIMIT).await {
            tracing::warn!(limit = ?STOP_LIMIT, "tasks of the metadata quorum did not stop in time");
        }
        shared.lock.lock().take();
        closed.map_err(|source| Error::Disk {
            action: "close the log in",
            path: shared.config.data_dir.clone(),
            source,
        })
    }

    /// The term in which this node is the controller and knows all that was decided before.
    async fn leading_term(&self) -> Result<u64, Error> {
        let wait = self.0.config.leader_wait;
        tokio::select! {
            biased;
            term = self.wait_to_lead() => term,
            () = self.0.runtime.clock.sleep(wait) => Err(Error::NoLeader { waited: wait }),
        }
    }

    async fn wait_to_lead(&self) -> Result<u64, Error> {
        let shared = &*self.0;
        let (mut metrics, mut progress) = (shared.raft.metrics(), shared.published.progress.subscribe());
        loop {
            self.health()?;
            let leading = shared.raft.as_leader().map(|leader| leader.leader_id().term);
            match leading {
                // The first applied entry of a term is applied after all of earlier terms.
                Ok(term) if term > shared.past_term && progress.borrow_and_update().term == term => return Ok(term),
                Ok(_) => {}
                Err(other) => match other.leader_id {
                    Some(leader) if leader != self.replica_id() => {
                        return Err(Error::NotLeader { leader: leader.node });
                    }
                    _ => {}
                },
            }
            tokio::select! {
                biased;
                changed = progress.changed() => changed.map_err(|_| self.stopped())?,
                changed = metrics.changed() => changed.map_err(|_| self.stopped())?,
            }
        }
    }

    async fn applied(&self, term: u64, reply: Reply) -> Result<(), Error> {
        let failure = match reply.await {
            Ok(Ok(response)) if is_applied(response.data) => return Ok(()),
            Ok(Ok(_) | Err(ClientWriteError::ForwardToLeader(_) | ClientWriteError::PreconditionFailed(_))) => {
                Error::Superseded
            }
            Ok(Err(ClientWriteError::LogEntryDiscarded(_))) => Error::Unknown,
            Ok(Err(ClientWriteError::ChangeMembershipError(error))) => Error::Stopped { reason: error.to_string() },
            Err(_) => self.stopped(),
        };
        self.0.controller.lock().abandon(term);
        Err(failure)
    }

    async fn proposals_applied(&self, term: u64, count: u64) -> Result<(), Error> {
        let mut progress = self.0.published.progress.subscribe();
        let mut running = self.0.raft.metrics();
        loop {
            let now = *progress.borrow_and_update();
            if now.term == term && now.proposals >= count {
                return Ok(());
            }
            if now.term > term {
                return Err(Error::Superseded);
            }
            self.health()?;
            tokio::select! {
                biased;
                changed = progress.changed() => changed.map_err(|_| self.stopped())?,
                changed = running.changed() => changed.map_err(|_| self.stopped())?,
            }
        }
    }

    fn stopped(&self) -> Error {
        self.health().err().unwrap_or_else(|| Error::Stopped { reason: "this node is stopping".into() })
    }
}

fn stopped(fatal: &openraft::errors::Fatal<TypeConfig>) -> Error {
    Error::Stopped { reason: fatal.to_string() }
}
