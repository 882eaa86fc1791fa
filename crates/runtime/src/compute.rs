//! The compute runtime: guests and query plans run here, on threads of lower priority with large stacks, never on an I/O thread.

use std::future::Future;
use std::sync::Arc;
use tokio::runtime::{Builder, Handle, Runtime};

/// Bytes of stack a compute thread has: deep plans and parsers recurse.
const STACK_BYTES: usize = 16 << 20;
/// How much a compute thread yields to I/O threads (Unix niceness).
const NICENESS: i32 = 5;

/// A handle to the compute threads.
#[derive(Clone)]
pub struct Compute(Option<Arc<Owned>>);

struct Owned(Option<Runtime>);

impl Drop for Owned {
    fn drop(&mut self) {
        // A runtime may not be dropped where async code runs: its threads end by themselves.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A computation that could not be finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// It panicked.
    #[error("the computation panicked; this is a bug in Millstream")]
    Panicked,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl Compute {
    /// As many threads as the machine has cores.
    #[must_use]
    pub fn threads() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("compute")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .on_thread_start(|| {
                // Without the right to do so the threads only keep their ordinary priority.
                let _ = rustix::process::nice(NICENESS);
            })
            .build();
        Self(runtime.ok().map(|runtime| Arc::new(Owned(Some(runtime)))))
    }

    /// The caller's own runtime, for simulation.
    #[must_use]
    pub fn inline() -> Self {
        Self(None)
    }

    /// Where a library that spawns by itself (DataFusion) may do so.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.0
            .as_ref()
            .and_then(|owned| owned.0.as_ref())
            .map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    /// Runs `future` on a compute thread and waits for it. Dropping the wait aborts it.
    ///
    /// # Errors
    /// [`Lost`] when it panicked or the node is stopping.
    pub async fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Result<T, Lost> {
        let task = AbortOnDrop(self.handle().spawn(future));
        task.await
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map_err(|error| if error.is_panic() { Lost::Panicked } else { Lost::Stopping })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_to_the_caller() {
        assert_eq!(Compute::threads().run(async { panic!("on purpose") }).await, Err::<(), _>(Lost::Panicked));
    }

    #[tokio::test]
    async fn deep_recursion_has_room() {
        fn depth(n: u64) -> u64 {
            if n == 0 { 0 } else { 1 + std::hint::black_box(depth(n - 1)) }
        }
        assert_eq!(Compute::threads().run(async { depth(50_000) }).await, Ok(50_000));
    }
}
