//! A rate by Kafka's rules: what was used in the last seconds, and how long nothing may be used until it is no more than a limit.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples of a rate and how long each is (Kafka's `quota.window.num` and `quota.window.size.seconds`).
const SAMPLES: u32 = 11;
const SAMPLE: Duration = Duration::from_secs(1);

/// Use by the second, newest last.
#[derive(Debug, Clone, Default)]
pub struct Rate(VecDeque<(Duration, f64)>);

impl Rate {
    /// All that is looked at.
    pub const WINDOW: Duration = SAMPLE.saturating_mul(SAMPLES);

    /// So much was used at `now`, which never goes back.
    pub fn add(&mut self, amount: f64, now: Duration) {
        self.forget(now);
        match self.0.back_mut() {
            Some((begun, sum)) if now < *begun + SAMPLE => *sum += amount,
            _ => self.0.push_back((now, amount)),
        }
    }

    fn forget(&mut self, now: Duration) {
        while self.0.front().is_some_and(|(begun, _)| now >= *begun + Self::WINDOW) {
            self.0.pop_front();
        }
    }

    /// Whether nothing was used for as long as counts.
    pub fn is_quiet(&mut self, now: Duration) -> bool {
        self.forget(now);
        self.0.is_empty()
    }

    /// How long nothing may be used until the rate is what it may be.
    #[must_use]
    pub fn throttle(&self, limit: f64, now: Duration) -> Duration {
        let Some((first, _)) = self.0.front() else { return Duration::ZERO };
        // A rate is taken over all but one of the samples at least: a burst after a pause is not a rate.
        let window = now.saturating_sub(*first).max(SAMPLE * (SAMPLES - 1)).as_secs_f64();
        let rate = self.0.iter().map(|(_, amount)| amount).sum::<f64>() / window;
        if rate <= limit {
            return Duration::ZERO;
        }
        // A limit near nothing would come to a time without end.
        const LONGEST: f64 = 3_600.0 * 24.0;
        Duration::from_secs_f64(((rate - limit) / limit * window).min(LONGEST))
    }
}
