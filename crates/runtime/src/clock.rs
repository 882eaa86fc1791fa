//! Time: what the wall clock says, how much has passed, and sleeping.

use async_trait::async_trait;
use millstream_types::TimestampMs;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The clock port.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time. It may jump: use it for timestamps, never to measure how long something took.
    fn now(&self) -> TimestampMs;

    /// Time since some fixed moment of this process. It never goes back.
    fn elapsed(&self) -> Duration;

    /// Returns after `duration`. Safe to drop.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clock.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clock; its elapsed time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port that others must use instead")]
    fn now(&self) -> TimestampMs {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Virtual time: it stands still while anything can run and jumps to the next timer when nothing can (tokio's paused time).
pub struct SimClock {
    start: Instant,
    /// What the wall clock is ahead of the time that passed, in milliseconds.
    ahead_ms: AtomicI64,
}

/// 2026-01-01T00:00:00Z, when every simulation starts.
const SIM_EPOCH_MS: i64 = 1_767_225_600_000;

impl SimClock {
    /// A clock that says 2026-01-01T00:00:00Z now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), ahead_ms: AtomicI64::new(0) }
    }

    /// Sets the wall clock by so many milliseconds, forwards or back, as a person or a time server does. No time passes.
    pub fn jump(&self, by_ms: i64) {
        self.ahead_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> TimestampMs {
        let passed = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        TimestampMs(SIM_EPOCH_MS.saturating_add(passed).saturating_add(self.ahead_ms.load(Ordering::Relaxed)))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_jump_moves_the_wall_clock_and_nothing_else() {
        let clock = SimClock::new();
        let before = (clock.now(), clock.elapsed());
        clock.jump(-5_000);
        clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(clock.now().0 - before.0.0, -3_000);
        assert_eq!(clock.elapsed() - before.1, Duration::from_secs(2));
    }
}
