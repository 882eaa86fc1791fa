//! A record's timestamp from text: pure.

use crate::settings::TimestampFormat;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// Forms of a time without a zone.
const WITHOUT_ZONE: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];

/// Milliseconds since the Unix epoch. The error says what was expected.
pub(crate) fn parse(text: &str, format: TimestampFormat) -> Result<i64, &'static str> {
    match format {
        TimestampFormat::Rfc3339 => rfc3339(text).ok_or("a time such as 2013-01-01T10:00:00Z"),
        TimestampFormat::Seconds => {
            let seconds: f64 = text.parse().map_err(|_| "seconds since the Unix epoch")?;
            let milliseconds = (seconds * 1000.0).round();
            // An i64 of milliseconds reaches beyond any calendar; a float outside it would be cut to its ends.
            if milliseconds.is_finite() && milliseconds.abs() < 9e15 {
                Ok(milliseconds as i64)
            } else {
                Err("seconds since the Unix epoch")
            }
        }
        TimestampFormat::Milliseconds => text.parse().map_err(|_| "milliseconds since the Unix epoch"),
    }
}

fn rfc3339(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let time = WITHOUT_ZONE.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN));
    time.or_else(day).map(|time| time.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        let cases = [
            ("2013-01-01T10:00:00Z", 1_357_034_400_000),
            ("2013-01-01T10:00:00.250+01:00", 1_357_030_800_250),
            ("2013-01-01 10:00:00", 1_357_034_400_000),
            ("2013-01-01", 1_356_998_400_000),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, TimestampFormat::Rfc3339), Ok(expected), "{text}");
        }
        assert!(parse("01/02/2013", TimestampFormat::Rfc3339).is_err());
    }

    #[test]
    fn numbers_are_of_their_unit() {
        assert_eq!(parse("1.5", TimestampFormat::Seconds), Ok(1500));
        assert_eq!(parse("1500", TimestampFormat::Milliseconds), Ok(1500));
        assert!(parse("1e300", TimestampFormat::Seconds).is_err());
        assert!(parse("NaN", TimestampFormat::Seconds).is_err());
        assert!(parse("1.5", TimestampFormat::Milliseconds).is_err());
    }
}
