//! A cursor over one JSON text: tokens, and skipping whole values, without building anything.

use crate::misfit::{Fit, Misfit};

/// How deep a value may nest.
pub(crate) const DEPTH_MAX: usize = 128;

/// A place in a JSON text that is known to be UTF-8.
pub(crate) struct Cursor<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) at: usize,
}

/// A number as it stands in the text.
pub(crate) struct Number<'a> {
    pub(crate) text: &'a [u8],
    /// Its digits without the point, while they fit in 19 digits.
    mantissa: Option<u64>,
    /// Digits after the point.
    fraction: i32,
    /// What follows the `e`.
    exponent: i32,
    negative: bool,
}

/// A string as it stands in the text, between its quotes.
pub(crate) struct Quoted<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) escaped: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is not white space, left where it is; 0 at the end.
    pub(crate) fn peek(&mut self) -> u8 {
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                other => return *other,
            }
        }
        0
    }

    /// Takes `byte` if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    /// Takes `byte`, which must be next.
    pub(crate) fn expect(&mut self, byte: u8) -> Fit {
        if self.take(byte) { Ok(()) } else { Err(self.broken(format!("expected {:?}", char::from(byte)))) }
    }

    /// What says that the text is not JSON here.
    #[cold]
    pub(crate) fn broken(&self, what: impl Into<String>) -> Box<Misfit> {
        let found = match self.text.get(self.at) {
            None => "the text ends".to_owned(),
            Some(_) => {
                format!("{:?} stands", String::from_utf8_lossy(&self.text[self.at..self.text.len().min(self.at + 12)]))
            }
        };
        Misfit::new(format!("not JSON: {} where {found}, at byte {}", what.into(), self.at))
    }

    /// Only white space may be left.
    pub(crate) fn end(&mut self) -> Fit {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { Err(self.broken("expected the end")) }
    }

    /// A word such as `null`.
    pub(crate) fn word(&mut self, word: &'static [u8]) -> Fit {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.broken("expected a value"))
        }
    }

    /// A string, its opening quote included.
    pub(crate) fn string(&mut self) -> Fit<Quoted<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = &self.text[self.at..];
            let Some(plain) = rest.iter().position(|byte| STOPS[usize::from(*byte)]) else {
                self.at = self.text.len();
                return Err(self.broken("expected the closing quote of a string"));
            };
            self.at += plain;
            match self.text[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(Quoted { raw: &self.text[start..self.at - 1], escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.broken("a control character must be escaped")),
            }
        }
    }

    fn escape(&mut self) -> Fit {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') if hex(self.text, self.at + 2).is_some() => self.at += 6,
            _ => return Err(self.broken("expected an escape of a string")),
        }
        Ok(())
    }

    /// A number by JSON's grammar.
    pub(crate) fn number(&mut self) -> Fit<Number<'a>> {
        let start = self.at;
        let negative = self.text.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let mut number = Number { text: &[], mantissa: Some(0), fraction: 0, exponent: 0, negative };
        let first = self.text.get(self.at).copied();
        let whole = self.digits(&mut number.mantissa)?;
        if whole > 1 && first == Some(b'0') {
            return Err(self.broken("a number has no leading zero"));
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            let digits = self.digits(&mut number.mantissa)?;
            number.fraction = i32::try_from(digits).unwrap_or(i32::MAX);
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            let sign = self.text.get(self.at).copied();
            self.at += usize::from(matches!(sign, Some(b'+' | b'-')));
            let mut exponent = Some(0);
            self.digits(&mut exponent)?;
            let exponent = exponent.and_then(|value| i32::try_from(value).ok()).unwrap_or(i32::MAX);
            number.exponent = if sign == Some(b'-') { -exponent } else { exponent };
        }
        number.text = &self.text[start..self.at];
        Ok(number)
    }

    fn digits(&mut self, value: &mut Option<u64>) -> Fit<usize> {
        let start = self.at;
        while let Some(byte @ b'0'..=b'9') = self.text.get(self.at) {
            *value = value.and_then(|value| value.checked_mul(10)?.checked_add(u64::from(byte - b'0')));
            self.at += 1;
        }
        if self.at == start { Err(self.broken("expected a digit")) } else { Ok(self.at - start) }
    }

    /// A whole value of any kind, and its text.
    pub(crate) fn skip(&mut self, depth: usize) -> Fit<&'a [u8]> {
        let first = self.peek();
        let start = self.at;
        match first {
            b'"' => self.string().map(|_| ())?,
            b'{' => self.skip_members(depth, true)?,
            b'[' => self.skip_members(depth, false)?,
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            b'-' | b'0'..=b'9' => self.number().map(|_| ())?,
            _ => return Err(self.broken("expected a value")),
        }
        Ok(&self.text[start..self.at])
    }

    fn skip_members(&mut self, depth: usize, named: bool) -> Fit {
        if depth >= DEPTH_MAX {
            return Err(Misfit::new(format!("it nests more than {DEPTH_MAX} deep")));
        }
        let close = if named { b'}' } else { b']' };
        self.at += 1;
        if self.take(close) {
            return Ok(());
        }
        loop {
            if named {
                self.peek();
                self.string()?;
                self.expect(b':')?;
            }
            self.skip(depth + 1)?;
            if !self.take(b',') {
                return self.expect(close);
            }
        }
    }
}

/// Bytes at which a run of plain string bytes ends: the quote, the backslash and control characters.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        stops[byte] = true;
        byte += 1;
    }
    stops[b'"' as usize] = true;
    stops[b'\\' as usize] = true;
    stops
};

const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// The largest integer up to which every integer is a float.
const EXACT_MAX: u64 = 1 << 53;

impl Number<'_> {
    /// It as an integer, if it is one: `5`, and by JSON Schema also `5.0`.
    pub(crate) fn integer(&self) -> Option<i64> {
        if self.fraction == 0 && self.exponent == 0 {
            let magnitude = i128::from(self.mantissa?);
            return i64::try_from(if self.negative { -magnitude } else { magnitude }).ok();
        }
        let value = self.float();
        let whole = value.fract() == 0.0 && value.abs() <= EXACT_MAX as f64;
        whole.then_some(value as i64)
    }

    /// It as a float: the nearest one, infinite where it is too large.
    pub(crate) fn float(&self) -> f64 {
        let power = self.exponent.saturating_sub(self.fraction);
        // A mantissa and a power of ten that are both exact give the nearest float in one operation (Clinger 1990).
        let value = match (self.mantissa, usize::try_from(power.unsigned_abs())) {
            (Some(mantissa), Ok(places)) if mantissa <= EXACT_MAX && places < POWERS_OF_TEN.len() => {
                let mantissa = mantissa as f64;
                if power < 0 { mantissa / POWERS_OF_TEN[places] } else { mantissa * POWERS_OF_TEN[places] }
            }
            _ => return std::str::from_utf8(self.text).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN),
        };
        if self.negative { -value } else { value }
    }
}

impl Quoted<'_> {
    /// Appends the text it stands for.
    pub(crate) fn unescape(&self, out: &mut Vec<u8>) -> Fit {
        let mut at = 0;
        while let Some(plain) = self.raw[at..].iter().position(|byte| *byte == b'\\') {
            out.extend_from_slice(&self.raw[at..at + plain]);
            at += plain + 1;
            let byte = match self.raw.get(at) {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'u') => {
                    at = self.unicode(at + 1, out)?;
                    continue;
                }
                Some(other) => *other,
                None => break,
            };
            out.push(byte);
            at += 1;
        }
        out.extend_from_slice(&self.raw[at..]);
        Ok(())
    }

    /// The character of `\uXXXX` (of two of them for one beyond the basic plane), and where the text goes on.
    fn unicode(&self, at: usize, out: &mut Vec<u8>) -> Fit<usize> {
        let lone = || Misfit::new("a string holds half of a surrogate pair".to_owned());
        let first = hex(self.raw, at).ok_or_else(lone)?;
        let (code, next) = match first {
            0xD800..=0xDBFF if self.raw.get(at + 4..at + 6) == Some(b"\\u") => {
                let second = hex(self.raw, at + 6).filter(|code| (0xDC00..=0xDFFF).contains(code)).ok_or_else(lone)?;
                (0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), at + 10)
            }
            code => (code, at + 4),
        };
        let character = char::from_u32(code).ok_or_else(lone)?;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(next)
    }
}

fn hex(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..at + 4)?.iter().try_fold(0, |value, byte| Some(value * 16 + char::from(*byte).to_digit(16)?))
}
