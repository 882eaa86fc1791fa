//! Dates and times as JSON Schema writes them (RFC 3339), to numbers.

const DAY_MICROS: i64 = 86_400_000_000;

/// `2013-01-31` as days since 1970-01-01.
pub(crate) fn days(text: &[u8]) -> Option<i32> {
    match text {
        [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] => {
            let year = i64::from(number(&[*y0, *y1, *y2, *y3])?);
            let (month, day) = (i64::from(number(&[*m0, *m1])?), i64::from(number(&[*d0, *d1])?));
            let valid = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
            valid.then(|| i32::try_from(days_from_civil(year, month, day)).ok())?
        }
        _ => None,
    }
}

/// `2013-01-31T10:00:00.123+01:00` as microseconds since 1970-01-01 UTC; finer fractions are cut. Also taken, since programs write
/// them: a space for the `T`, and no zone at all, which is read as UTC.
pub(crate) fn micros(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = i64::from(days(date)?);
    let ([b'T' | b't' | b' '], rest) = rest.split_at_checked(1)? else { return None };
    let (clock, rest) = rest.split_at_checked(8)?;
    let [h0, h1, b':', m0, m1, b':', s0, s1] = clock else { return None };
    let (hour, minute, second) = (number(&[*h0, *h1])?, number(&[*m0, *m1])?, number(&[*s0, *s1])?);
    // RFC 3339 allows the leap second; it is counted as the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = fraction(rest)?;
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second) - zone_seconds(zone)?;
    Some(days * DAY_MICROS + seconds * 1_000_000 + fraction)
}

fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = rest.split_first() else { return Some((0, rest)) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let (digits, zone) = rest.split_at(digits);
    let micros = (0..6).fold(0, |value, place| value * 10 + digits.get(place).map_or(0, |byte| i64::from(byte - b'0')));
    Some((micros, zone))
}

fn zone_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        [] | [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (number(&[*h0, *h1])?, number(&[*m0, *m1])?);
            let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar: whole years, leap days among them, then the days of the year.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years are counted from March, so that a leap day is a year's last.
    let year = if month <= 2 { year - 1 } else { year };
    let months = (month + 9) % 12;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + (153 * months + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-1)),
            ("2000-02-29", Some(11_016)),
            ("2013-01-01", Some(15_706)),
            ("0001-01-01", Some(-719_162)),
            ("9999-12-31", Some(2_932_896)),
            ("2013-02-29", None),
            ("1900-02-29", None),
            ("2013-13-01", None),
            ("2013-1-1", None),
            ("", None),
        ] {
            assert_eq!(days(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn times_are_microseconds() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.000001Z", Some(1)),
            ("1970-01-01T00:00:00.1234567Z", Some(123_456)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1969-12-31T23:30:00-00:30", Some(0)),
            ("2013-01-01 05:00:00", Some(1_357_016_400_000_000)),
            ("2013-01-01T05:00:00z", Some(1_357_016_400_000_000)),
            ("2013-01-01", None),
            ("2013-01-01T25:00:00Z", None),
            ("2013-01-01T05:00:00.Z", None),
            ("2013-01-01T05:00:00+1", None),
            ("2013-01-01T05:00:00Zjunk", None),
        ] {
            assert_eq!(micros(text.as_bytes()), expected, "{text}");
        }
    }
}
