//! How fast work in the background may read and write, and when it must stop.

use millstream_runtime::{Runtime, Shutdown};
use parking_lot::Mutex;
use std::time::Duration;

/// The longest time that is made up for at once: idle time is no credit.
const CREDIT: Duration = Duration::from_millis(300);

/// The bytes that one sort of work moves on a node, kept under a rate.
pub struct Pace {
    runtime: Runtime,
    shutdown: Shutdown,
    bytes_per_second: Mutex<f64>,
    /// When what was taken so far is paid for.
    paid: Mutex<Duration>,
}

impl Pace {
    /// At most `bytes_per_second` on average, until `shutdown`.
    #[must_use]
    pub fn new(runtime: &Runtime, shutdown: Shutdown, bytes_per_second: f64) -> Self {
        Self {
            runtime: runtime.clone(),
            shutdown,
            bytes_per_second: Mutex::new(bytes_per_second),
            paid: Mutex::new(Duration::ZERO),
        }
    }

    /// From now on at another rate.
    pub fn set(&self, bytes_per_second: f64) {
        *self.bytes_per_second.lock() = bytes_per_second;
    }

    /// Whether it is time to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.shutdown.is_requested()
    }

    /// Takes note of bytes that were read or written, and waits until they are within the rate, or it is time to stop.
    pub(crate) async fn took(&self, bytes: usize) {
        let now = self.runtime.clock.elapsed();
        let ahead = {
            let mut paid = self.paid.lock();
            *paid = (*paid).max(now.saturating_sub(CREDIT)) + self.cost(bytes);
            paid.saturating_sub(now)
        };
        if ahead.is_zero() {
            return;
        }
        tokio::select! {
            biased;
            () = self.shutdown.requested() => {}
            () = self.runtime.clock.sleep(ahead) => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn cost(&self, bytes: usize) -> Duration {
        let seconds = bytes as f64 / self.bytes_per_second.lock().max(1.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_runtime::SimDisk;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn bytes_take_their_time_and_idle_time_is_no_credit() {
        let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
        let pace = Pace::new(&runtime, runtime.tasks.shutdown(), 1000.0);
        runtime.clock.sleep(Duration::from_secs(60)).await;
        let begun = runtime.clock.elapsed();
        for _ in 0..10 {
            pace.took(1000).await;
        }
        let took = runtime.clock.elapsed() - begun;
        assert!((Duration::from_millis(9600)..=Duration::from_secs(10)).contains(&took), "{took:?}");
        let unlimited = Pace::new(&runtime, runtime.tasks.shutdown(), f64::MAX);
        unlimited.took(usize::MAX).await;
        assert_eq!(runtime.clock.elapsed() - begun, took);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_wait() {
        let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
        let pace = Pace::new(&runtime, runtime.tasks.shutdown(), 1.0);
        runtime.tasks.stop();
        pace.took(1_000_000).await;
        assert!(pace.is_stopped());
    }
}
