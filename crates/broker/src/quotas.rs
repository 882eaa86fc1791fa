//! What clients use, measured against their quotas: how long a client has to wait that used more than it may.
//!
//! As in Kafka: a rate is taken over some seconds; who is above its limit is answered at once, told how long it is throttled
//! (`throttle_time_ms`), and its connection is not read from for that long (KIP-219). Without any quota nothing is measured.

mod mutations;

pub(crate) use mutations::Mutations;

use millstream_metadata::Image;
use millstream_metadata::quotas::{
    CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, Limit, PRODUCER_BYTE_RATE, REQUEST_PERCENTAGE, limit,
};
use millstream_net::Rate;
use millstream_telemetry::Metrics;
use millstream_telemetry::catalogue::{QUOTA_SENSORS_REFUSED, THROTTLED_REQUESTS};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The longest that a request quota throttles at once, as in Kafka.
const REQUEST_THROTTLE_MAX: Duration = Duration::from_secs(1);
/// Clients measured at once. Above it, those that come new go unmeasured until others have gone quiet.
const SENSORS_MAX: usize = 10_000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Used {
    /// Bytes of produce requests.
    Produced,
    /// Bytes of fetched records.
    Fetched,
    /// Time on a thread.
    Time,
    /// Partitions made and deleted.
    Mutations,
}

impl Used {
    const fn key(self) -> &'static str {
        match self {
            Self::Produced => PRODUCER_BYTE_RATE,
            Self::Fetched => CONSUMER_BYTE_RATE,
            Self::Time => REQUEST_PERCENTAGE,
            Self::Mutations => CONTROLLER_MUTATION_RATE,
        }
    }
}

/// Who used it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) user: &'a str,
    pub(crate) id: &'a str,
}

/// Whose use is added up: a user, a client id, or both, as the limit says.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Whose {
    used: Used,
    user: Option<String>,
    client: Option<String>,
}

/// The measured clients, and the connections that wait.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    sensors: Mutex<HashMap<Whose, Rate>>,
    buckets: Mutex<HashMap<Whose, mutations::Bucket>>,
    muted: Mutex<HashMap<u64, Duration>>,
    /// Entries of `muted`: most requests come when there is none, and take no lock then.
    muted_count: AtomicUsize,
}

impl Quotas {
    /// Whether any use of this client is limited that way.
    pub(crate) fn is_limited(image: &Image, client: Client<'_>, used: Used) -> bool {
        !image.client_quotas().is_empty() && limit(image, client.user, client.id, used.key()).is_some()
    }

    /// Adds what a client used, and says how long it is throttled for it.
    pub(crate) fn charge(&self, image: &Image, client: Client<'_>, what: (Used, f64), now: Duration) -> Charge {
        let (used, amount) = what;
        if image.client_quotas().is_empty() {
            return Charge::None;
        }
        let Some(limit) = limit(image, client.user, client.id, used.key()) else { return Charge::None };
        let mut sensors = self.sensors.lock();
        let whose = whose(used, client, limit);
        if !sensors.contains_key(&whose) && sensors.len() >= SENSORS_MAX {
            sensors.retain(|_, sensor| !sensor.is_quiet(now));
            if sensors.len() >= SENSORS_MAX {
                return Charge::Unmeasured;
            }
        }
        let sensor = sensors.entry(whose).or_default();
        sensor.add(amount, now);
        let throttle = sensor.throttle(limit.value, now);
        match used {
            Used::Time => Charge::Throttle(throttle.min(REQUEST_THROTTLE_MAX)),
            Used::Produced | Used::Fetched | Used::Mutations => Charge::Throttle(throttle),
        }
    }

    /// Lets a connection's next request wait until then.
    pub(crate) fn mute(&self, connection: u64, until: Duration) {
        let mut muted = self.muted.lock();
        muted.insert(connection, until);
        self.muted_count.store(muted.len(), Ordering::Release);
    }

    /// Until when a connection's request is to wait, asked once.
    pub(crate) fn take_muted(&self, connection: u64) -> Option<Duration> {
        if self.muted_count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut muted = self.muted.lock();
        let until = muted.remove(&connection);
        self.muted_count.store(muted.len(), Ordering::Release);
        until
    }
}

/// What using something comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// There is no limit.
    None,
    /// There is no room to measure one more client.
    Unmeasured,
    /// There is a limit, and this is how long it throttles; zero within it.
    Throttle(Duration),
}

impl Charge {
    /// The time, and a count of what happened.
    pub(crate) fn counted(self, metrics: &Metrics, used: Used) -> Duration {
        match self {
            Self::None | Self::Throttle(Duration::ZERO) => Duration::ZERO,
            Self::Unmeasured => {
                metrics.counter(&QUOTA_SENSORS_REFUSED, &[]).inc();
                Duration::ZERO
            }
            Self::Throttle(time) => {
                metrics.counter(&THROTTLED_REQUESTS, &[used.key()]).inc();
                time
            }
        }
    }
}

fn whose(used: Used, client: Client<'_>, limit: Limit) -> Whose {
    let user = limit.per_user.then(|| client.user.to_owned());
    let client = limit.per_client.then(|| client.id.to_owned());
    Whose { used, user, client }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_metadata::quotas::alter;
    use std::collections::BTreeMap;

    /// Whose quota, which, and how much.
    pub(super) type Set<'a> = (&'a [(&'a str, Option<&'a str>)], &'a str, f64);

    pub(super) fn image(quotas: &[Set<'_>]) -> Image {
        let mut image = Image::default();
        for (parts, key, value) in quotas {
            let parts: BTreeMap<String, Option<String>> =
                parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect();
            let decision = alter(&image, &parts, &[((*key).to_owned(), Some(*value))], false).unwrap();
            image.replay_all(&decision.records).unwrap();
        }
        image
    }

    pub(super) const fn client<'a>(user: &'a str, id: &'a str) -> Client<'a> {
        Client { user, id }
    }

    pub(super) fn seconds(charge: Charge) -> f64 {
        match charge {
            Charge::Throttle(time) => time.as_secs_f64(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn without_a_quota_nothing_is_measured() {
        let quotas = Quotas::default();
        let charge = quotas.charge(&Image::default(), client("u", "c"), (Used::Produced, 1e9), at(1));
        assert_eq!(charge, Charge::None);
        assert!(quotas.sensors.lock().is_empty());
    }

    #[test]
    fn who_used_too_much_waits_until_the_rate_is_right() {
        let (image, quotas) = (image(&[(&[("user", None)], PRODUCER_BYTE_RATE, 1_000.0)]), Quotas::default());
        let charge = |bytes: f64, now| quotas.charge(&image, client("u", "c"), (Used::Produced, bytes), now);
        // 10 seconds at 1,000 bytes each may come at once.
        assert_eq!(seconds(charge(10_000.0, at(100))), 0.0);
        // 5,000 more are worth 5 seconds.
        assert_eq!(seconds(charge(5_000.0, at(100))), 5.0);
        // After 11 seconds all of it is forgotten.
        assert_eq!(seconds(charge(10_000.0, at(111))), 0.0);
    }

    #[test]
    fn a_steady_use_within_the_limit_is_never_throttled() {
        let (image, quotas) = (image(&[(&[("client-id", None)], CONSUMER_BYTE_RATE, 1_000.0)]), Quotas::default());
        for second in 0..100 {
            let charge = quotas.charge(&image, client("u", "c"), (Used::Fetched, 900.0), at(second));
            assert_eq!(seconds(charge), 0.0, "at {second}");
        }
    }

    #[test]
    fn time_throttles_a_second_at_most() {
        let (image, quotas) = (image(&[(&[("user", Some("u"))], REQUEST_PERCENTAGE, 1.0)]), Quotas::default());
        assert_eq!(seconds(quotas.charge(&image, client("u", "c"), (Used::Time, 1e6), at(5))), 1.0);
    }

    #[test]
    fn a_users_clients_share_its_quota_and_each_client_has_its_own_where_the_quota_is_by_client() {
        let by_user = image(&[(&[("user", None)], PRODUCER_BYTE_RATE, 1_000.0)]);
        let by_client = image(&[(&[("client-id", None)], PRODUCER_BYTE_RATE, 1_000.0)]);
        for (image, is_shared) in [(by_user, true), (by_client, false)] {
            let quotas = Quotas::default();
            quotas.charge(&image, client("u", "a"), (Used::Produced, 20_000.0), at(1));
            let other = seconds(quotas.charge(&image, client("u", "b"), (Used::Produced, 1.0), at(1)));
            assert_eq!(other > 0.0, is_shared);
        }
    }

    #[test]
    fn measured_clients_are_bounded_and_quiet_ones_make_room() {
        let (image, quotas) = (image(&[(&[("client-id", None)], PRODUCER_BYTE_RATE, 1.0)]), Quotas::default());
        for number in 0..SENSORS_MAX {
            quotas.charge(&image, client("u", &number.to_string()), (Used::Produced, 1.0), at(1));
        }
        assert_eq!(quotas.charge(&image, client("u", "new"), (Used::Produced, 1.0), at(2)), Charge::Unmeasured);
        assert!(matches!(
            quotas.charge(&image, client("u", "new"), (Used::Produced, 1.0), at(60)),
            Charge::Throttle(_)
        ));
        assert_eq!(quotas.sensors.lock().len(), 1);
    }

    #[test]
    fn a_muted_connection_is_told_once() {
        let quotas = Quotas::default();
        assert_eq!(quotas.take_muted(7), None);
        quotas.mute(7, at(9));
        assert_eq!((quotas.take_muted(8), quotas.take_muted(7), quotas.take_muted(7)), (None, Some(at(9)), None));
    }
}
