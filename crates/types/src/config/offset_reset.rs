//! Where a share group starts in a partition that it has not read (`share.auto.offset.reset`).

use std::str::FromStr;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record.
    Earliest,
    /// After the last.
    Latest,
    /// At the first record that is not older than so many milliseconds.
    ByDuration(i64),
}

/// A text that says none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not say where to start: expected latest, earliest or by_duration:PnDTnHnMn.nS")]
pub struct NoOffsetReset(pub String);

const BY_DURATION: &str = "by_duration:";

impl FromStr for OffsetReset {
    type Err = NoOffsetReset;

    fn from_str(text: &str) -> Result<Self, NoOffsetReset> {
        let lower = text.trim().to_ascii_lowercase();
        match lower.as_str() {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            other => other
                .strip_prefix(BY_DURATION)
                .and_then(duration_ms)
                .map(Self::ByDuration)
                .ok_or_else(|| NoOffsetReset(text.to_owned())),
        }
    }
}

/// Milliseconds of an ISO 8601 duration of days, hours, minutes and seconds, in small letters. None where it is no such, or negative.
fn duration_ms(text: &str) -> Option<i64> {
    let rest = text.strip_prefix('p')?;
    let (days, time) = rest.split_once('t').map_or((rest, None), |(days, time)| (days, Some(time)));
    let mut left = days;
    let mut total = take(&mut left, 'd', 86_400_000)?;
    if !left.is_empty() || time == Some("") || (days.is_empty() && time.is_none()) {
        return None;
    }
    let mut left = time.unwrap_or_default();
    for (unit, ms) in [('h', 3_600_000), ('m', 60_000)] {
        total = total.checked_add(take(&mut left, unit, ms)?)?;
    }
    total = total.checked_add(take_seconds(&mut left)?)?;
    left.is_empty().then_some(total)
}

/// Takes a whole number and its unit off the front; nothing where the unit is not there.
fn take(text: &mut &str, unit: char, ms: i64) -> Option<i64> {
    let Some((number, rest)) = text.split_once(unit) else { return Some(0) };
    *text = rest;
    digits(number)?.checked_mul(ms)
}

/// Takes seconds, which may have a fraction.
fn take_seconds(text: &mut &str) -> Option<i64> {
    let Some((number, rest)) = text.split_once('s') else { return Some(0) };
    *text = rest;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let thousandths: String = fraction.chars().chain("00".chars()).take(3).collect();
    digits(fraction)?;
    digits(whole)?.checked_mul(1_000)?.checked_add(digits(&thousandths)?)
}

/// A number of digits alone.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("latest", OffsetReset::Latest),
            ("Earliest", OffsetReset::Earliest),
            ("by_duration:PT1H", OffsetReset::ByDuration(3_600_000)),
            ("by_duration:P1DT2H3M4.5S", OffsetReset::ByDuration(93_784_500)),
            ("by_duration:P7D", OffsetReset::ByDuration(7 * 86_400_000)),
            ("by_duration:PT0.25S", OffsetReset::ByDuration(250)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for text in [
            "",
            "none",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:1H",
            "by_duration:PT-1H",
            "by_duration:-PT1H",
            "by_duration:PT1X",
            "by_duration:PT1S1H",
            "by_duration:PT99999999999999999999S",
        ] {
            assert_eq!(text.parse::<OffsetReset>(), Err(NoOffsetReset(text.to_owned())));
        }
    }
}
