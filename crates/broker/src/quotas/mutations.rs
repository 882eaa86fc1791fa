//! Partitions that clients make and delete, held against their quota (`controller_mutation_rate`, KIP-599).
//!
//! As in Kafka a client has a bucket of tokens, into which as many come in a second as it may change partitions, and which holds those of
//! eleven seconds. While there is no less than nothing in it a change is let through, however much it takes out: until that is back in, the
//! client's next change is refused (THROTTLING_QUOTA_EXCEEDED), or, where it asks in a version that knows no such answer, made, and the
//! client made to wait.

use super::{Charge, Client, Quotas, SENSORS_MAX, Used, whose};
use millstream_metadata::quotas::{CONTROLLER_MUTATION_RATE, limit};
use millstream_metadata::{Error, Image};
use millstream_runtime::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a bucket holds, in seconds of its rate (Kafka's `controller.quota.window.num` of `controller.quota.window.size.seconds`).
const HELD_SECONDS: f64 = 11.0;
/// The longest that a client is made to wait: a limit near nothing would come to a time without end.
const WAIT_MAX_SECONDS: f64 = 3_600.0 * 24.0;

/// The tokens of one client.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    const fn full(rate: f64, now: Duration) -> Self {
        Self { tokens: rate * HELD_SECONDS, filled: now }
    }

    fn fill(&mut self, rate: f64, now: Duration) {
        let came = now.saturating_sub(self.filled).as_secs_f64() * rate;
        self.tokens = (self.tokens + came).min(rate * HELD_SECONDS);
        self.filled = now;
    }

    /// How long until there is no less than nothing in it.
    fn wait(&self, rate: f64) -> Duration {
        if self.tokens >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((-self.tokens / rate).min(WAIT_MAX_SECONDS))
    }

    /// Nobody has taken anything out for long enough.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        // Whatever the rate: what is owed is paid back within the longest wait.
        now.saturating_sub(self.filled).as_secs_f64() > WAIT_MAX_SECONDS + HELD_SECONDS
            || (self.tokens >= 0.0 && now.saturating_sub(self.filled).as_secs_f64() >= HELD_SECONDS)
    }
}

impl Quotas {
    /// Takes the tokens of `partitions` changes out of the client's bucket; where `is_strict`, only if it holds no less than nothing.
    fn mutate(&self, image: &Image, client: Client<'_>, (partitions, is_strict): (f64, bool), now: Duration) -> Charge {
        if image.client_quotas().is_empty() {
            return Charge::None;
        }
        let Some(limit) = limit(image, client.user, client.id, CONTROLLER_MUTATION_RATE) else { return Charge::None };
        let whose = whose(Used::Mutations, client, limit);
        let mut buckets = self.buckets.lock();
        if !buckets.contains_key(&whose) && buckets.len() >= SENSORS_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= SENSORS_MAX {
                return Charge::Unmeasured;
            }
        }
        let bucket = buckets.entry(whose).or_insert_with(|| Bucket::full(limit.value, now));
        bucket.fill(limit.value, now);
        let wait = bucket.wait(limit.value);
        if is_strict && !wait.is_zero() {
            return Charge::Throttle(wait);
        }
        bucket.tokens -= partitions;
        match is_strict {
            true => Charge::Throttle(Duration::ZERO),
            false => Charge::Throttle(bucket.wait(limit.value)),
        }
    }
}

/// What one request may change, and until when its client waits for what it did.
pub(crate) struct Mutations<'a> {
    pub(crate) quotas: &'a Quotas,
    pub(crate) client: Client<'a>,
    pub(crate) clock: &'a dyn Clock,
    /// Microseconds on the clock; 0 where nobody waits.
    until: AtomicU64,
}

impl<'a> Mutations<'a> {
    pub(crate) const fn new(quotas: &'a Quotas, client: Client<'a>, clock: &'a dyn Clock) -> Self {
        Self { quotas, client, clock, until: AtomicU64::new(0) }
    }

    /// Asks to change so many partitions.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] where that is refused, which it is only where `is_strict`.
    pub(crate) fn take(&self, image: &Image, partitions: usize, is_strict: bool) -> Result<(), Error> {
        #[expect(clippy::cast_precision_loss, reason = "no request names 2^52 partitions")]
        let partitions = partitions as f64;
        let now = self.clock.elapsed();
        let Charge::Throttle(wait) = self.quotas.mutate(image, self.client, (partitions, is_strict), now) else {
            return Ok(());
        };
        if wait.is_zero() {
            return Ok(());
        }
        let until = u64::try_from((now + wait).as_micros()).unwrap_or(u64::MAX);
        self.until.fetch_max(until, Ordering::AcqRel);
        if is_strict {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::QuotaExceeded { quota: CONTROLLER_MUTATION_RATE, wait_ms });
        }
        Ok(())
    }

    /// What the client has to wait from now on.
    pub(crate) fn charge(&self) -> Charge {
        let until = Duration::from_micros(self.until.load(Ordering::Acquire));
        match until.saturating_sub(self.clock.elapsed()) {
            Duration::ZERO => Charge::None,
            wait => Charge::Throttle(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, client, image, seconds};
    use super::*;

    #[test]
    fn what_a_bucket_holds_may_be_overdrawn_once_and_is_refused_until_it_is_back() {
        let (image, quotas) = (image(&[(&[("user", None)], CONTROLLER_MUTATION_RATE, 2.0)]), Quotas::default());
        let take = |partitions, now| seconds(quotas.mutate(&image, client("u", "c"), (partitions, true), now));
        // 22 tokens are there: 30 may be taken, and 8 are owed.
        assert_eq!(take(30.0, at(100)), 0.0);
        assert_eq!(take(1.0, at(100)), 4.0);
        assert_eq!(take(1.0, at(103)), 1.0, "what was refused took nothing");
        assert_eq!(take(1.0, at(104)), 0.0);
        assert_eq!(take(1.0, at(104)), 0.5);
        // No more than eleven seconds' worth is kept.
        assert_eq!(take(23.0, at(100_000)), 0.0);
        assert_eq!(take(1.0, at(100_000)), 0.5);
    }

    #[test]
    fn a_client_that_knows_no_refusal_is_served_and_waits() {
        let (image, quotas) = (image(&[(&[("user", None)], CONTROLLER_MUTATION_RATE, 1.0)]), Quotas::default());
        let take = |partitions| seconds(quotas.mutate(&image, client("u", "c"), (partitions, false), at(100)));
        assert_eq!([take(11.0), take(1.0), take(5.0)], [0.0, 1.0, 6.0]);
    }

    #[test]
    fn without_a_quota_nothing_is_kept_and_full_buckets_make_room() {
        let quotas = Quotas::default();
        assert_eq!(quotas.mutate(&Image::default(), client("u", "c"), (1e9, true), at(1)), Charge::None);
        assert!(quotas.buckets.lock().is_empty());
        let image = image(&[(&[("client-id", None)], CONTROLLER_MUTATION_RATE, 1.0)]);
        let take = |id: &str, now| quotas.mutate(&image, client("u", id), (1.0, true), now);
        for number in 0..SENSORS_MAX {
            assert_eq!(take(&number.to_string(), at(1)), Charge::Throttle(Duration::ZERO));
        }
        assert_eq!(take("new", at(2)), Charge::Unmeasured);
        assert_eq!(take("new", at(60)), Charge::Throttle(Duration::ZERO));
        assert_eq!(quotas.buckets.lock().len(), 1);
    }
}
