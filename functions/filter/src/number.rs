//! Decimal numbers as `Double.toString` prints them.

/// A number that was read from text of at most 15 digits: its value, and its shortest text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decimal<'a> {
    /// The number.
    pub value: f64,
    /// The text without trailing zeros behind its point.
    text: &'a [u8],
}

const TENTHS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

impl<'a> Decimal<'a> {
    /// Reads plain digits with at most one point. None for what needs more care: a sign, an exponent, more than 15 digits, a size at
    /// which Java writes an exponent.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let mut digits = 0u64;
        let mut point = None;
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
                b'.' if point.is_none() && at > 0 => point = Some(at),
                _ => return None,
            }
            if at > 15 {
                return None;
            }
        }
        let fraction = point.map_or(0, |at| text.len() - at - 1);
        let whole = point.unwrap_or(text.len());
        let ill_formed = whole == 0 || (whole > 1 && text[0] == b'0') || (point.is_some() && fraction == 0);
        if ill_formed || text.len() - usize::from(point.is_some()) > 15 {
            return None;
        }
        // Both are exact in 53 bits, so the quotient is the nearest double (Clinger's fast path).
        let value = digits as f64 / TENTHS[fraction];
        if value != 0.0 && !(1e-3..1e7).contains(&value) {
            return None;
        }
        let trailing =
            if fraction == 0 { 0 } else { text.iter().rev().take(fraction).take_while(|byte| **byte == b'0').count() };
        let text = &text[..text.len() - trailing];
        // "12." keeps its point here; `write` puts the zero behind it that Java wants.
        Some(Self { value, text })
    }

    /// Writes it as Java does: at least one digit behind the point.
    pub fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.text);
        if self.text.last() == Some(&b'.') {
            to.push(b'0');
        } else if !self.text.contains(&b'.') {
            to.extend_from_slice(b".0");
        }
    }
}

/// Writes any finite number as Java does.
pub fn write(value: f64, to: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        to.extend_from_slice(buffer.format_finite(value).as_bytes());
        return;
    }
    // Outside that range Java writes d.dddE±x; Rust's exponent form lacks only the point.
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    to.extend_from_slice(format!("{mantissa}{point}E{exponent}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Option<String> {
        let mut to = Vec::new();
        Decimal::read(text.as_bytes())?.write(&mut to);
        String::from_utf8(to).ok()
    }

    #[test]
    fn decimals_are_written_as_java_writes_them() {
        for (read, written) in [
            ("500", "500.0"),
            ("500.00", "500.0"),
            ("512.30", "512.3"),
            ("999.99", "999.99"),
            ("0.0", "0.0"),
            ("100", "100.0"),
        ] {
            assert_eq!(decimal(read).as_deref(), Some(written));
        }
    }

    #[test]
    fn what_needs_care_is_left_to_the_slow_path() {
        for text in ["", ".5", "5.", "-1", "1e3", "1.2.3", "01", "0.0001", "12345678", "1234567890.1234567"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn every_amount_of_two_digits_reads_as_the_standard_library_does() {
        for cents in 0..100_000u32 {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            let value: f64 = text.parse().unwrap();
            assert_eq!(
                Decimal::read(text.as_bytes()).map(|decimal| decimal.value),
                (value == 0.0 || value >= 1e-3).then_some(value)
            );
            assert_eq!(decimal(&text).unwrap(), format!("{value:?}"));
        }
    }

    #[test]
    fn large_and_small_numbers_have_java_s_exponent() {
        for (value, text) in
            [(1e7, "1.0E7"), (1.25e-4, "1.25E-4"), (14.800290000000002, "14.800290000000002"), (0.0, "0.0")]
        {
            let mut to = Vec::new();
            write(value, &mut to);
            assert_eq!(String::from_utf8(to).unwrap(), text);
        }
    }
}
