//! One deployment on this node: what of it runs, and how that follows the store.

use super::Inner;
use crate::runner::Runner;
use crate::status::Board;
use crate::{Deployment, DeploymentKey, DeploymentState, Error, State, instruments};
use millstream_runtime::Tasks;
use millstream_types::ErrorKind;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// How much longer than its tasks' grace a run may take to stop.
const STOP_SLACK: Duration = Duration::from_secs(3);

/// One deployment here. Its slot is held by whoever starts, stops or resets it.
pub(super) struct Entry {
    pub key: DeploymentKey,
    pub slot: tokio::sync::Mutex<Option<Run>>,
    board: Mutex<Arc<Board>>,
}

/// What runs.
pub(super) struct Run {
    generation: u32,
    restarts: u32,
    tasks: Tasks,
}

impl Entry {
    pub fn new(deployment: &Deployment) -> Self {
        let board = Arc::new(Board::new(deployment, State::Starting));
        Self { key: deployment.key.clone(), slot: tokio::sync::Mutex::new(None), board: Mutex::new(board) }
    }

    /// The notes of the last run. Until a new generation has begun, the one before is shown.
    pub fn board(&self) -> Arc<Board> {
        self.board.lock().clone()
    }

    fn set_board(&self, board: Arc<Board>) {
        *self.board.lock() = board;
    }
}

impl Inner {
    pub(super) fn stored(&self, key: &DeploymentKey) -> Option<Deployment> {
        self.store.watch().borrow().iter().find(|stored| stored.key == *key).cloned()
    }

    /// Starts, stops or restarts a deployment as the store says now.
    pub(super) async fn follow(&self, entry: &Entry) {
        let mut slot = entry.slot.lock().await;
        // Read after the wait for the slot: whoever had it may have changed it.
        let Some(deployment) = self.stored(&entry.key) else { return };
        let runs = slot
            .as_ref()
            .is_some_and(|run| run.generation == deployment.generation && run.restarts == deployment.restarts);
        match deployment.state {
            DeploymentState::Running if runs => {}
            DeploymentState::Running => {
                self.stop_run(slot.take()).await;
                if !self.tasks.shutdown().is_requested() {
                    *slot = self.start_run(entry, deployment);
                }
            }
            DeploymentState::Paused => {
                self.stop_run(slot.take()).await;
                entry.board().pause(deployment.generation);
            }
        }
    }

    fn start_run(&self, entry: &Entry, deployment: Deployment) -> Option<Run> {
        let board = Arc::new(Board::new(&deployment, State::Starting));
        entry.set_board(board.clone());
        let Some(kind) = self.kinds.lock().get(&deployment.key.kind).cloned() else {
            let message = format!("this node was built without {}s: run one that has them", deployment.key.kind.word());
            board.error(State::Failed, &Error::new(ErrorKind::Unavailable, message), self.context.runtime.clock.now());
            return None;
        };
        let tasks = self.tasks.child();
        let run = Run { generation: deployment.generation, restarts: deployment.restarts, tasks: tasks.clone() };
        let runner = Runner {
            context: self.context.clone(),
            positions: self.positions.clone(),
            kind,
            deployment,
            board,
            shutdown: tasks.shutdown(),
        };
        tasks.spawn("deployment", runner.run());
        Some(run)
    }

    async fn stop_run(&self, run: Option<Run>) {
        let Some(run) = run else { return };
        run.tasks.stop_and_wait(self.context.config.stop_grace + STOP_SLACK).await;
    }

    /// Stops what runs of it.
    pub(super) async fn halt(&self, entry: &Entry) {
        let run = entry.slot.lock().await.take();
        self.stop_run(run).await;
    }

    /// Stops what runs while the slot is held.
    pub(super) async fn halt_held(&self, slot: &mut Option<Run>) {
        self.stop_run(slot.take()).await;
    }

    /// Forgets a deployment that is no longer stored.
    pub(super) async fn bury(&self, entry: &Entry) {
        let mut slot = entry.slot.lock().await;
        if self.stored(&entry.key).is_some() {
            return;
        }
        self.stop_run(slot.take()).await;
        if let Err(error) = self.forget_progress(&entry.key).await {
            tracing::warn!(name = %entry.key.name, %error, "the progress of a deleted deployment could not be deleted");
        }
        instruments::forget(&self.context.metrics, &entry.board().status());
        self.entries.lock().remove(&entry.key);
    }

    /// Deletes the group's offsets and the sources' positions. What a run left open is undone first, or its offsets would come after.
    pub(super) async fn forget_progress(&self, key: &DeploymentKey) -> Result<(), Error> {
        self.context.topics.abort(&key.group()).await?;
        self.context.topics.delete_group(&key.group()).await?;
        if key.kind == crate::DeploymentKind::Connector {
            self.positions.forget(key, self.context.runtime.clock.now()).await?;
        }
        Ok(())
    }
}
