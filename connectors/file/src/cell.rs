//! One CSV value as JSON: pure.

use crate::settings::ColumnType;

/// Appends a value as JSON. Numbers keep the digits they have.
///
/// The error says what was expected.
pub(crate) fn push_json(
    out: &mut Vec<u8>,
    text: &str,
    wanted: Option<ColumnType>,
    infer: bool,
) -> Result<(), &'static str> {
    match wanted {
        Some(ColumnType::String) => push_string(out, text),
        Some(ColumnType::Integer) => {
            let number: i64 = text.parse().map_err(|_| "a whole number of 64 bits")?;
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Some(ColumnType::Number) => push_number(out, text)?,
        Some(ColumnType::Boolean) => out.extend_from_slice(boolean(text).ok_or("true or false")?),
        None if infer && (is_plain_number(text) || text == "true" || text == "false") => {
            out.extend_from_slice(text.as_bytes())
        }
        None => push_string(out, text),
    }
    Ok(())
}

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(&mut *out, text).expect("writing text to memory as JSON can't fail");
}

fn push_number(out: &mut Vec<u8>, text: &str) -> Result<(), &'static str> {
    // "1e310" is a number to JSON's grammar and to none of its readers.
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or("a number of 64 bits")?;
    if is_json_number(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        // "+1", "01", ".5" and "1." are numbers to people, but not to JSON.
        out.extend_from_slice(number.to_string().as_bytes());
    }
    Ok(())
}

fn boolean(text: &str) -> Option<&'static [u8]> {
    if ["true", "t", "yes", "1"].iter().any(|yes| text.eq_ignore_ascii_case(yes)) {
        return Some(b"true");
    }
    ["false", "f", "no", "0"].iter().any(|no| text.eq_ignore_ascii_case(no)).then_some(b"false")
}

/// JSON's grammar: `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?`
fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// What is taken for a number unasked: no exponent (an "1e5" is as often a code), and no more digits than survive a reader's f64.
fn is_plain_number(text: &str) -> bool {
    const DIGITS_MAX: usize = 15;
    text.len() <= DIGITS_MAX + 2 && !text.contains(['e', 'E']) && text != "-0" && is_json_number(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str, wanted: Option<ColumnType>) -> Result<String, &'static str> {
        let mut out = Vec::new();
        push_json(&mut out, text, wanted, true)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_looks_like_a_number_is_one_and_codes_stay_text() {
        for number in ["0", "517", "-2", "1.50", "true", "0.0"] {
            assert_eq!(json(number, None).unwrap(), number);
        }
        for text in ["007", "1e5", "+1", "1.", ".5", "-", "", "N14228", "12345678901234567890", "1,5", "TRUE", "-0"] {
            assert_eq!(json(text, None).unwrap(), format!("{text:?}"));
        }
    }

    #[test]
    fn a_typed_value_fits_or_is_refused() {
        assert_eq!(json("007", Some(ColumnType::Integer)), Ok("7".into()));
        assert_eq!(json("1.5", Some(ColumnType::Integer)), Err("a whole number of 64 bits"));
        assert_eq!(json(".5", Some(ColumnType::Number)), Ok("0.5".into()));
        assert_eq!(json("1e5", Some(ColumnType::Number)), Ok("1e5".into()));
        assert_eq!(json("1e308", Some(ColumnType::Number)), Ok("1e308".into()));
        for text in ["NaN", "inf", "1e310", "-1E310", ""] {
            assert_eq!(json(text, Some(ColumnType::Number)), Err("a number of 64 bits"));
        }
        assert_eq!(json("Yes", Some(ColumnType::Boolean)), Ok("true".into()));
        assert_eq!(json("maybe", Some(ColumnType::Boolean)), Err("true or false"));
        assert_eq!(json("517", Some(ColumnType::String)), Ok("\"517\"".into()));
    }

    proptest! {
        #[test]
        fn whatever_comes_out_is_json(text in ".{0,12}", digits in "[-+0-9.eE]{0,8}") {
            for text in [text, digits] {
                for wanted in [None, Some(ColumnType::Number), Some(ColumnType::Integer), Some(ColumnType::Boolean)] {
                    if let Ok(json) = json(&text, wanted) {
                        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
                    }
                }
            }
        }
    }
}
