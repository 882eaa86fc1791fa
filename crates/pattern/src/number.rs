//! Numbers as JSON has them, equal and ordered by value: an integer is exact, however it was written.

use serde_json::Number as Json;
use std::cmp::Ordering;

/// A number.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    Integer(i128),
    /// Not whole, or larger than any integer here; never NaN.
    Float(f64),
}

/// 2 to the power of 126: every whole float below is an exact integer.
const WHOLE_MAX: f64 = 85_070_591_730_234_615_865_843_651_857_942_052_864.0;

impl Number {
    pub fn of(number: &Json) -> Self {
        if let Some(integer) = number.as_i64() {
            return Self::Integer(integer.into());
        }
        if let Some(integer) = number.as_u64() {
            return Self::Integer(integer.into());
        }
        Self::from_float(number.as_f64().unwrap_or(0.0))
    }

    #[expect(clippy::cast_possible_truncation, reason = "a whole float below 2^126 is an exact i128")]
    fn from_float(float: f64) -> Self {
        if float.trunc() == float && float.abs() < WHOLE_MAX {
            Self::Integer(float as i128)
        } else {
            Self::Float(float)
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(one), Self::Integer(two)) => one.cmp(two),
            (Self::Float(one), Self::Float(two)) => one.total_cmp(two),
            (Self::Integer(integer), Self::Float(float)) => compare(*integer, *float),
            (Self::Float(float), Self::Integer(integer)) => compare(*integer, *float).reverse(),
        }
    }
}

/// The float is never whole here, unless it is larger than all integers.
#[expect(clippy::cast_possible_truncation, reason = "a float below 2^126 rounds down to an exact i128")]
fn compare(integer: i128, float: f64) -> Ordering {
    if float.abs() >= WHOLE_MAX {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    if integer <= float.floor() as i128 { Ordering::Less } else { Ordering::Greater }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::of(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_value_is_equal_however_it_is_written() {
        for text in ["1", "1.0", "1e0", "10e-1"] {
            assert_eq!(number(text), number("1"), "{text}");
        }
        assert_eq!(number("-0.0"), number("0"));
        assert_eq!(number("1e30"), number("1000000000000000000000000000000"));
        // Floats would take these for equal.
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
    }

    #[test]
    fn all_are_in_one_order() {
        let texts = [
            "-1e300",
            "-9223372036854775808",
            "-1.5",
            "-1",
            "-0.5",
            "0",
            "0.1",
            "1",
            "1.5",
            "2",
            "18446744073709551615",
            "1e25",
            "1e300",
        ];
        for pair in texts.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
            assert!(number(pair[1]) > number(pair[0]), "{pair:?}");
        }
    }
}
