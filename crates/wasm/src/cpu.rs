//! A guest's CPU time: of the thread that runs it, only while it runs. A crowded machine makes a guest late, not guilty.

use rustix::time::{ClockId, clock_gettime};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// Counts one call's CPU time: two looks at the thread's clock for each stretch on a thread (most calls are one stretch), one at each tick.
#[derive(Debug, Default)]
pub struct Meter {
    used_ns: AtomicU64,
    since_ns: AtomicU64,
    limit_ns: AtomicU64,
}

impl Meter {
    /// Starts over, for a call that may use `limit`.
    pub fn start(&self, limit: Duration) {
        self.limit_ns.store(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.used_ns.store(0, Ordering::Relaxed);
        self.since_ns.store(thread_ns(), Ordering::Relaxed);
    }

    /// At a tick, on the thread that runs the guest: whether it may go on.
    pub fn tick(&self) -> bool {
        self.end_stretch();
        self.used_ns.load(Ordering::Relaxed) <= self.limit_ns.load(Ordering::Relaxed)
    }

    /// What the call has used.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed))
    }

    /// The call may have moved to another thread, whose clock is another.
    fn begin_stretch(&self) {
        self.since_ns.store(thread_ns(), Ordering::Relaxed);
    }

    fn end_stretch(&self) {
        let now = thread_ns();
        self.used_ns.fetch_add(now.saturating_sub(self.since_ns.swap(now, Ordering::Relaxed)), Ordering::Relaxed);
    }
}

/// A call into a guest whose stretches on a thread are counted.
pub struct Metered<F> {
    /// The call.
    pub call: Pin<Box<F>>,
    /// Where it is counted.
    pub meter: Arc<Meter>,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.begin_stretch();
        let polled = self.call.as_mut().poll(context);
        self.meter.end_stretch();
        polled
    }
}

/// CPU time of this thread.
fn thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_counted_and_working_is() {
        let meter = Meter::default();
        meter.start(Duration::from_millis(60));
        assert!(meter.tick());
        std::thread::sleep(Duration::from_millis(120));
        assert!(meter.tick(), "asleep");
        let start = thread_ns();
        while thread_ns() - start < 80_000_000 {
            std::hint::spin_loop();
        }
        assert!(!meter.tick(), "at work");
    }
}
