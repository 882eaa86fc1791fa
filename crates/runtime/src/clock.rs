//! Time: what the wall clock says, how much has passed, and sleeping.

use async_trait::async_trait;
use millstream_types::TimestampMs;
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
}

/// 2026-01-01T00:00:00Z, when every simulation starts.
const SIM_EPOCH_MS: i64 = 1_767_225_600_000;

impl SimClock {
    /// A clock that says 2026-01-01T00:00:00Z now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
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
        TimestampMs(SIM_EPOCH_MS + i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
