//! Owned tasks: every spawned future has one owner that can stop it and wait for it.

use futures::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The owner of a group of tasks. Clones own the same group; a child group is stopped with its parent, or alone.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group of its own that is told to stop when this one is.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { tracker: TaskTracker::new(), stop: self.stop.child_token() }
    }

    /// Runs `future` until it ends; it should end soon after `shutdown()` says so. A panic in it is logged, and only it ends.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a task panicked and ended; this is a bug in Millstream");
            }
        });
    }

    /// Runs `future` until it ends or the group is stopped, whichever is first; then it is dropped where it waits.
    pub fn spawn_until_stopped(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown();
        self.spawn(name, async move {
            tokio::select! {
                biased;
                () = shutdown.requested() => {}
                () = future => {}
            }
        });
    }

    /// What a task of this group waits on to learn that it should end.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(self.stop.clone())
    }

    /// Tells every task of the group, and of its children, to end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Tells every task of this group to end and waits until all have, at most `limit`. Returns whether all did.
    pub async fn stop_and_wait(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

/// Tells a task that it should end.
#[derive(Clone)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns when the end is asked for. Safe to drop.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn a_child_is_stopped_with_its_parent() {
        let parent = Tasks::new();
        let child = parent.child();
        let ended = Arc::new(AtomicBool::new(false));
        let (shutdown, flag) = (child.shutdown(), ended.clone());
        child.spawn("waits", async move {
            shutdown.requested().await;
            flag.store(true, Ordering::SeqCst);
        });
        parent.stop();
        assert!(child.stop_and_wait(Duration::from_secs(5)).await);
        assert!(ended.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_stopped_child_leaves_its_parent_running() {
        let parent = Tasks::new();
        assert!(parent.child().stop_and_wait(Duration::from_secs(5)).await);
        assert!(!parent.shutdown().is_requested());
    }

    #[tokio::test]
    async fn a_panic_ends_only_its_task() {
        let tasks = Tasks::new();
        tasks.spawn("panics", async { panic!("on purpose") });
        assert!(tasks.stop_and_wait(Duration::from_secs(5)).await);
    }
}
