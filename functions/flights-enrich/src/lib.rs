//! Checks a flight record (the fields of nycflights13's `flights`), enriches it and routes it: flights that left to the first output
//! topic, cancelled ones (no departure time) to the second, records that are not flights to the function's error policy.
//!
//! Added: `route` ("JFK-LAX"), `scheduled_at` and, for flights that left, `departed_at` (ISO 8601, New York's own time with its offset),
//! `delay_class` (early, on_time, delayed, very_delayed), `speed_mph`. Every field of the input stays.

mod flight;
mod time;

use flight::Flight;
use millstream::{Output, Record, Transform};
use serde::Deserialize;

/// The function's settings, each with its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// From how many minutes on a flight is delayed.
    delayed_minutes: i64,
    /// From how many minutes on it is very delayed.
    very_delayed_minutes: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delayed_minutes: 15, very_delayed_minutes: 60 }
    }
}

/// The function.
struct Enrich {
    settings: Settings,
}

/// Flights that left.
const DEPARTED: u16 = 0;
/// Flights that did not.
const CANCELLED: u16 = 1;

impl Transform for Enrich {
    fn configure(settings: &str) -> Result<Self, String> {
        let settings: Settings = serde_json::from_str(settings).map_err(|error| error.to_string())?;
        if settings.very_delayed_minutes < settings.delayed_minutes {
            return Err(format!(
                "very_delayed_minutes is {}; expected at least delayed_minutes, which is {}",
                settings.very_delayed_minutes, settings.delayed_minutes
            ));
        }
        Ok(Self { settings })
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), String> {
        let flight = Flight::parse(record.value().ok_or("the record has no value")?)?;
        let topic = if flight.dep_time.is_none() { CANCELLED } else { DEPARTED };
        let enriched = serde_json::to_vec(&flight.enriched(&self.settings)).map_err(|error| error.to_string())?;
        out.row().topic(topic).value(Some(&enriched)).send();
        Ok(())
    }
}

millstream::export!(Enrich);
