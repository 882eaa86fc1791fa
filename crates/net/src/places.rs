//! How many connections there may be, of the node, of each listener and of each address, and how many new ones in a second.
//!
//! As in Kafka, a connection over the limit of the node or of its listener is accepted late, once another has closed; one over the limit of
//! its address is closed at once, and one that its address has no quota left for after the time that the quota throttles it (KIP-612).
//! Limits change while connections are open, which stay. [`Seats`] decides; [`Places`] waits.

use crate::Rate;
use millstream_runtime::Clock;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Addresses whose rate is measured at once. Above it, those that come new go unmeasured until others have gone quiet.
const MEASURED_MAX: usize = 10_000;

/// New connections a second of one address (the quota `connection_creation_rate`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AddressRates {
    /// Of each address that has none of its own.
    pub default: Option<f64>,
    /// Of these.
    pub own: HashMap<IpAddr, f64>,
}

/// `NAME:COUNT` by commas, as Kafka writes how many connections addresses may have; what is wrong with it else. Names are not looked up.
///
/// # Errors
/// In words, which part of it is not so.
pub fn address_counts(text: &str) -> Result<Vec<(&str, usize)>, String> {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(address_count).collect()
}

fn address_count(pair: &str) -> Result<(&str, usize), String> {
    let wrong =
        || format!("{pair:?} is not ADDRESS:COUNT with an IP address or a host name, for example 127.0.0.1:200");
    let (host, count) = pair.rsplit_once(':').ok_or_else(wrong)?;
    let count = count.trim().parse().map_err(|_| wrong())?;
    Ok((host.trim().trim_matches(['[', ']']), count))
}

/// Limits of all listeners of a node together.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionLimits {
    /// Connections open at once (`max.connections`).
    pub max: usize,
    /// New connections a second (`max.connection.creation.rate`); so many may also come at once.
    pub rate: u32,
    /// Connections of one address (`max.connections.per.ip`).
    pub per_address: usize,
    /// Addresses with a limit of their own (`max.connections.per.ip.overrides`).
    pub overrides: HashMap<IpAddr, usize>,
    /// New connections a second of one address.
    pub address_rates: AddressRates,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max: usize::MAX,
            rate: u32::MAX,
            per_address: usize::MAX,
            overrides: HashMap::new(),
            address_rates: AddressRates::default(),
        }
    }
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its address has so many already.
    TooMany(usize),
    /// Its address has opened too many of late: it is to be closed after so long.
    TooSoon(Duration),
}

/// What becomes of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    /// It is counted.
    Taken,
    /// It has to wait until one closes.
    Full,
    /// It has to wait so long.
    TooSoon(Duration),
    /// It is closed.
    Refused(Refused),
}

/// One limit of connections open, and of those new in a second.
#[derive(Debug)]
struct Room {
    max: usize,
    open: usize,
    /// Between two new connections, on the average; none where any number may come.
    interval: Option<Duration>,
    /// When all that have come would have, had each come its interval after the one before.
    caught_up: Duration,
}

/// What a second lets come at once.
const BURST: Duration = Duration::from_secs(1);

impl Room {
    fn new(max: usize, rate: u32) -> Self {
        // Rates beyond one in a microsecond are none: no machine accepts so many.
        let interval = Some(rate).filter(|rate| *rate < 1_000_000).map(|rate| BURST / rate.max(1));
        Self { max, open: 0, interval, caught_up: Duration::ZERO }
    }

    /// From now on other limits hold.
    fn limit(&mut self, max: usize, rate: u32) {
        (self.max, self.interval) = (max, Self::new(max, rate).interval);
    }

    fn is_full(&self) -> bool {
        self.open >= self.max
    }

    /// How long a new connection has to wait for the rate.
    fn too_soon(&self, now: Duration) -> Duration {
        let interval = self.interval.unwrap_or_default();
        (self.caught_up + interval).saturating_sub(now + BURST)
    }

    fn count(&mut self, now: Duration) {
        self.open += 1;
        self.caught_up = self.caught_up.max(now) + self.interval.unwrap_or_default();
    }
}

/// The connections there are, and whether there is room for one more. A decision: time goes in.
#[derive(Debug)]
struct Seats {
    all: Room,
    listeners: Vec<Room>,
    per_address: usize,
    overrides: HashMap<IpAddr, usize>,
    address_rates: AddressRates,
    addresses: HashMap<IpAddr, usize>,
    /// Those that came of late of addresses with a rate.
    came: HashMap<IpAddr, Rate>,
}

impl Seats {
    fn new(limits: ConnectionLimits) -> Self {
        let ConnectionLimits { max, rate, per_address, overrides, address_rates } = limits;
        Self {
            all: Room::new(max, rate),
            listeners: Vec::new(),
            per_address,
            overrides,
            address_rates,
            addresses: HashMap::new(),
            came: HashMap::new(),
        }
    }

    fn limit(&mut self, limits: ConnectionLimits) {
        let ConnectionLimits { max, rate, per_address, overrides, address_rates } = limits;
        self.all.limit(max, rate);
        (self.per_address, self.overrides, self.address_rates) = (per_address, overrides, address_rates);
    }

    /// How long a connection of that address is throttled, which does not count then.
    fn throttled(&mut self, address: IpAddr, now: Duration) -> Duration {
        let rates = &self.address_rates;
        let Some(limit) = rates.own.get(&address).copied().or(rates.default) else { return Duration::ZERO };
        if !self.came.contains_key(&address) && self.came.len() >= MEASURED_MAX {
            self.came.retain(|_, came| !came.is_quiet(now));
            if self.came.len() >= MEASURED_MAX {
                return Duration::ZERO;
            }
        }
        let came = self.came.entry(address).or_default();
        came.add(1.0, now);
        let wait = came.throttle(limit, now);
        if !wait.is_zero() {
            came.add(-1.0, now);
        }
        wait.min(Rate::WINDOW)
    }

    fn admit(&mut self, listener: usize, address: IpAddr, now: Duration) -> Admission {
        let of_listener = &mut self.listeners[listener];
        let early = self.all.too_soon(now).max(of_listener.too_soon(now));
        if !early.is_zero() {
            return Admission::TooSoon(early);
        }
        if self.all.is_full() || of_listener.is_full() {
            return Admission::Full;
        }
        let wait = self.throttled(address, now);
        if !wait.is_zero() {
            return Admission::Refused(Refused::TooSoon(wait));
        }
        let open = self.addresses.get(&address).copied().unwrap_or(0);
        if open >= self.overrides.get(&address).copied().unwrap_or(self.per_address) {
            return Admission::Refused(Refused::TooMany(open));
        }
        let of_listener = &mut self.listeners[listener];
        self.addresses.insert(address, open + 1);
        self.all.count(now);
        of_listener.count(now);
        Admission::Taken
    }

    fn leave(&mut self, listener: usize, address: IpAddr) {
        self.all.open -= 1;
        self.listeners[listener].open -= 1;
        if let Some(open) = self.addresses.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

/// The places of a node's connections, shared by its listeners.
#[derive(Debug)]
pub struct Places {
    seats: Mutex<Seats>,
    freed: Notify,
}

impl Places {
    /// Places within these limits.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { seats: Mutex::new(Seats::new(limits)), freed: Notify::new() })
    }

    /// From now on these limits hold. Connections that are open stay, and count.
    pub fn limit(&self, limits: ConnectionLimits) {
        self.seats.lock().limit(limits);
        self.freed.notify_waiters();
    }

    /// A listener's own limits: connections open at once, and new ones a second.
    pub(crate) fn of_listener(self: &Arc<Self>, max: usize, rate: u32) -> ListenerPlaces {
        let mut seats = self.seats.lock();
        seats.listeners.push(Room::new(max, rate));
        ListenerPlaces { places: self.clone(), listener: seats.listeners.len() - 1 }
    }
}

/// The places of one listener.
#[derive(Debug)]
pub struct ListenerPlaces {
    places: Arc<Places>,
    listener: usize,
}

impl ListenerPlaces {
    /// A place for a connection of that address as soon as there is one, or why it has none. `waits` is told when it has to wait.
    pub async fn take(&self, address: IpAddr, clock: &dyn Clock, waits: impl Fn(&str)) -> Result<Place, Refused> {
        // An IPv4 client is the same by whichever socket it comes.
        let address = address.to_canonical();
        loop {
            let mut freed = pin!(self.places.freed.notified());
            // From here on it is told of those that close.
            freed.as_mut().enable();
            let admission = self.places.seats.lock().admit(self.listener, address, clock.elapsed());
            match admission {
                Admission::Taken => {
                    return Ok(Place { places: self.places.clone(), listener: self.listener, address });
                }
                Admission::Refused(refused) => return Err(refused),
                Admission::Full => {
                    waits("max.connections");
                    freed.await;
                }
                Admission::TooSoon(early) => {
                    waits("max.connection.creation.rate");
                    tokio::select! {
                        () = clock.sleep(early) => {}
                        // There may be another limit now.
                        () = freed => {}
                    }
                }
            }
        }
    }
}

/// A connection's place. Dropped, it is another's.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    listener: usize,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.seats.lock().leave(self.listener, self.address);
        self.places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Admission::{Full, Taken, TooSoon};
    use Refused::TooMany;

    const NOW: Duration = Duration::from_secs(100);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn seats(limits: ConnectionLimits, listeners: &[(usize, u32)]) -> Seats {
        let mut seats = Seats::new(limits);
        seats.listeners.extend(listeners.iter().map(|(max, rate)| Room::new(*max, *rate)));
        seats
    }

    const ANY: (usize, u32) = (usize::MAX, u32::MAX);

    #[test]
    fn the_node_is_full_for_all_listeners_and_a_listener_for_itself() {
        let mut seats = seats(ConnectionLimits { max: 3, ..ConnectionLimits::default() }, &[(1, u32::MAX), ANY]);
        assert_eq!(seats.admit(0, address(1), NOW), Taken);
        assert_eq!(seats.admit(0, address(1), NOW), Full, "its listener is");
        assert_eq!([(); 3].map(|()| seats.admit(1, address(1), NOW)), [Taken, Taken, Full]);
        seats.leave(1, address(1));
        assert_eq!(seats.admit(0, address(1), NOW), Full, "its listener still is");
        assert_eq!(seats.admit(1, address(1), NOW), Taken);
    }

    #[test]
    fn an_address_has_its_own_limit_or_that_of_all() {
        let overrides = HashMap::from([(address(9), 3), (address(8), 0)]);
        let limits = ConnectionLimits { per_address: 2, overrides, ..ConnectionLimits::default() };
        let mut seats = seats(limits, &[ANY]);
        let mut of = |last| [(); 4].map(|()| seats.admit(0, address(last), NOW));
        assert_eq!(of(1), [Taken, Taken, Admission::Refused(TooMany(2)), Admission::Refused(TooMany(2))]);
        assert_eq!(of(9), [Taken, Taken, Taken, Admission::Refused(TooMany(3))]);
        assert_eq!(of(8), [Admission::Refused(TooMany(0)); 4]);
        seats.leave(0, address(1));
        assert_eq!(seats.admit(0, address(1), NOW), Taken);
        for (last, open) in [(1, 2), (9, 3)] {
            (0..open).for_each(|_| seats.leave(0, address(last)));
        }
        assert!(seats.addresses.is_empty() && seats.all.open == 0, "nothing is left of who is gone");
    }

    #[test]
    fn a_second_lets_as_many_in_as_the_rate_and_then_one_each_interval() {
        let mut seats = seats(ConnectionLimits { rate: 10, ..ConnectionLimits::default() }, &[ANY, (usize::MAX, 2)]);
        let mut admit = |listener, ms| seats.admit(listener, address(1), NOW + Duration::from_millis(ms));
        assert_eq!([(); 3].map(|()| admit(1, 0)), [Taken, Taken, TooSoon(Duration::from_millis(500))]);
        assert_eq!([(); 8].map(|()| admit(0, 0)), [Taken; 8]);
        assert_eq!(admit(0, 0), TooSoon(Duration::from_millis(100)));
        assert_eq!([admit(0, 100), admit(0, 150)], [Taken, TooSoon(Duration::from_millis(50))]);
        assert_eq!(admit(1, 500), Taken);
        let come = (0..20).filter(|_| admit(0, 60_000) == Taken).count();
        assert_eq!(come, 10, "a quiet minute lets no more come at once than a second does");
    }

    #[test]
    fn an_address_has_a_rate_of_its_own_or_that_of_all_and_what_is_throttled_does_not_count() {
        let own = HashMap::from([(address(9), 5.0)]);
        let address_rates = AddressRates { default: Some(1.0), own };
        let mut seats = seats(ConnectionLimits { address_rates, ..ConnectionLimits::default() }, &[ANY]);
        let mut taken = |last, ms| {
            let admitted = (0..100).map(|_| seats.admit(0, address(last), NOW + Duration::from_millis(ms)));
            admitted.filter(|admission| *admission == Taken).count()
        };
        // Ten seconds' worth of them, as in Kafka.
        assert_eq!([taken(1, 0), taken(2, 0), taken(9, 0)], [10, 10, 50]);
        assert_eq!(taken(1, 10_500), 0, "not one for each second that it waits");
        assert_eq!(taken(1, 11_000), 10);
        let told = seats.admit(0, address(1), NOW + Duration::from_millis(11_000));
        assert_eq!(told, Admission::Refused(Refused::TooSoon(Duration::from_secs(1))));
        seats.limit(ConnectionLimits::default());
        assert_eq!(seats.admit(0, address(1), NOW + Duration::from_millis(11_000)), Taken, "there is no limit now");
    }

    #[test]
    fn other_limits_hold_at_once_and_leave_what_is_open() {
        let mut seats = seats(ConnectionLimits::default(), &[ANY]);
        assert_eq!([(); 3].map(|()| seats.admit(0, address(1), NOW)), [Taken; 3]);
        seats.limit(ConnectionLimits { max: 3, per_address: 1, rate: 4, ..ConnectionLimits::default() });
        assert_eq!(seats.admit(0, address(2), NOW), Full);
        seats.leave(0, address(1));
        assert_eq!(seats.admit(0, address(1), NOW), Admission::Refused(TooMany(2)));
        assert_eq!(seats.admit(0, address(2), NOW), Taken);
    }

    #[test]
    fn counts_of_addresses_are_read_as_kafka_writes_them() {
        let read = address_counts(" 10.0.0.1:5, [2001:db8::1]:7,localhost:9,").unwrap();
        assert_eq!(read, [("10.0.0.1", 5), ("2001:db8::1", 7), ("localhost", 9)]);
        for wrong in ["10.0.0.1", "10.0.0.1:x", "10.0.0.1:-1"] {
            assert!(address_counts(wrong).unwrap_err().contains(wrong));
        }
    }

    #[test]
    fn who_is_refused_or_waits_is_not_counted() {
        let limits = ConnectionLimits { max: 1, rate: 2, per_address: 1, ..ConnectionLimits::default() };
        let mut seats = seats(limits, &[ANY]);
        assert_eq!(seats.admit(0, address(1), NOW), Taken);
        assert_eq!(seats.admit(0, address(2), NOW), Full);
        seats.leave(0, address(1));
        assert_eq!(seats.admit(0, address(2), NOW), Taken, "the one that waited did not use up the rate");
    }
}
