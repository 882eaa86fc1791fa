//! The engine's pulse: while a guest runs, its epoch goes on every tick. An engine that was idle for a second does not wake the machine.

use crate::limits::TICK;
use millstream_runtime::{Runtime, Shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// How long the pulse goes on after the last guest: calls that follow one another need not wake it each time.
const IDLE_TICKS: u32 = 100;

/// Counts the guests that run.
#[derive(Default)]
pub struct Ticker {
    running: AtomicUsize,
    /// Whether the pulse waits to be woken.
    parked: AtomicBool,
    wake: Notify,
}

impl Ticker {
    /// Starts the pulse. It ends when the runtime stops and no guest runs any more: a guest that is never looked at never ends.
    pub fn start(runtime: &Runtime, engine: wasmtime::Engine) -> Arc<Self> {
        let ticker = Arc::new(Self::default());
        let (shared, clock, shutdown) = (ticker.clone(), runtime.clock.clone(), runtime.tasks.shutdown());
        runtime.tasks.spawn("wasm epoch", async move {
            let mut idle = IDLE_TICKS;
            loop {
                let busy = shared.running.load(Ordering::SeqCst) > 0;
                idle = if busy { 0 } else { idle.saturating_add(1) };
                if !busy && shutdown.is_requested() {
                    return;
                }
                if idle > IDLE_TICKS {
                    shared.park(&shutdown).await;
                    continue;
                }
                clock.sleep(TICK).await;
                engine.increment_epoch();
            }
        });
        ticker
    }

    /// Waits until a guest runs, or the node stops. A guest that began meanwhile has seen the mark and wakes us, or we see it.
    async fn park(&self, shutdown: &Shutdown) {
        self.parked.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                () = shutdown.requested() => {}
            }
        }
        self.parked.store(false, Ordering::SeqCst);
    }

    /// Says that a guest runs, until the answer is dropped.
    pub fn running(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            self.wake.notify_one();
        }
        Running(self.clone())
    }
}

/// A guest runs.
pub struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
