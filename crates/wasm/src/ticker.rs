//! The engine's pulse: while a guest runs, its epoch goes on every tick. An idle engine does not wake the machine.

use crate::limits::TICK;
use millstream_runtime::Runtime;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Counts the guests that run.
#[derive(Default)]
pub struct Ticker {
    running: AtomicUsize,
    wake: Notify,
}

impl Ticker {
    /// Starts the pulse. It ends when the runtime stops and no guest runs any more: a guest that is never looked at never ends.
    pub fn start(runtime: &Runtime, engine: wasmtime::Engine) -> Arc<Self> {
        let ticker = Arc::new(Self::default());
        let (shared, clock, shutdown) = (ticker.clone(), runtime.clock.clone(), runtime.tasks.shutdown());
        runtime.tasks.spawn("wasm epoch", async move {
            loop {
                if shared.running.load(Ordering::Acquire) > 0 {
                    clock.sleep(TICK).await;
                    engine.increment_epoch();
                } else if shutdown.is_requested() {
                    return;
                } else {
                    tokio::select! {
                        biased;
                        () = shared.wake.notified() => {}
                        () = shutdown.requested() => {}
                    }
                }
            }
        });
        ticker
    }

    /// Says that a guest runs, until the answer is dropped.
    pub fn running(self: &Arc<Self>) -> Running {
        if self.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.wake.notify_one();
        }
        Running(self.clone())
    }
}

/// A guest runs.
pub struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
