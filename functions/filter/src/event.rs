//! An event: found in its text by one scan, or parsed with all care.

use crate::number::{self, Decimal};
use serde_json::Value;

/// The wanted fields of an event, as slices of its text.
pub struct Event<'a> {
    id: &'a [u8],
    user: &'a [u8],
    kind: &'a [u8],
    /// The amount.
    pub amount: Decimal<'a>,
}

impl Event<'_> {
    /// Writes the answer.
    pub fn write(&self, to: &mut Vec<u8>) {
        to.reserve(self.id.len() + self.user.len() + self.kind.len() + 96);
        to.extend_from_slice(b"{\"id\":");
        to.extend_from_slice(self.id);
        to.extend_from_slice(b",\"user\":");
        to.extend_from_slice(self.user);
        to.extend_from_slice(b",\"kind\":");
        to.extend_from_slice(self.kind);
        to.extend_from_slice(b",\"amount\":");
        self.amount.write(to);
        to.extend_from_slice(b",\"fee\":");
        number::write(crate::fee(self.amount.value), to);
        to.push(b'}');
    }
}

/// Reads a flat or nested JSON object whose wanted fields stand at its top. None when it is anything but certain: the caller then parses.
pub fn scan(json: &[u8]) -> Option<Event<'_>> {
    let (mut id, mut user, mut kind, mut amount) = (None, None, None, None);
    let mut scanner = Scanner { json, at: 0 };
    scanner.expect(b'{')?;
    loop {
        let name = scanner.string()?;
        scanner.expect(b':')?;
        let value = scanner.value()?;
        let place = match name {
            b"\"id\"" => &mut id,
            b"\"user\"" => &mut user,
            b"\"kind\"" => &mut kind,
            b"\"amount\"" => &mut amount,
            _ => &mut None,
        };
        if place.replace(value).is_some() {
            return None;
        }
        match scanner.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    if scanner.at != json.len() {
        return None;
    }
    let (id, amount) = (id?, amount?);
    let canonical_id = id.len() <= 18 && id.iter().all(u8::is_ascii_digit) && (id.len() == 1 || id[0] != b'0');
    let text = |slice: &[u8]| slice[0] == b'"';
    let (user, kind) = (user.filter(|user| text(user))?, kind.filter(|kind| text(kind))?);
    canonical_id.then_some(Event { id, user, kind, amount: Decimal::read(amount)? })
}

/// Walks compact JSON. Anything that needs more than a look (escapes, spaces, control or non-ASCII characters) ends it.
struct Scanner<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.json.get(self.at).copied();
        self.at += 1;
        byte
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A string with its quotes.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            match self.next()? {
                b'"' => return Some(&self.json[start..self.at]),
                b'\\' | 0..=0x1f | 0x7f..=0xff => return None,
                _ => {}
            }
        }
    }

    /// A string, number or word. Objects and arrays are left to the parser.
    #[inline]
    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        match self.json.get(start)? {
            b'"' => self.string(),
            b'0'..=b'9' | b'-' => {
                while matches!(self.json.get(self.at)?, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E') {
                    self.at += 1;
                }
                let text = &self.json[start..self.at];
                well_formed_number(text).then_some(text)
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => None,
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Option<&'a [u8]> {
        let found = self.json.get(self.at..self.at + word.len())?;
        self.at += word.len();
        (found == word).then_some(found)
    }
}

/// Whether the text is digits with at most one point inside; JSON's other numbers are for the parser.
#[inline]
fn well_formed_number(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let points = text.iter().filter(|byte| **byte == b'.').count();
    let edges = text.first().is_some_and(u8::is_ascii_digit) && text.last().is_some_and(u8::is_ascii_digit);
    let leading_zero = text.len() > 1 && text[0] == b'0' && text[1] != b'.';
    edges && points <= 1 && digits + points == text.len() && !leading_zero
}

/// An event parsed by `serde_json`.
pub struct Parsed {
    id: i64,
    user: Value,
    kind: Value,
    /// The amount.
    pub amount: f64,
}

impl Parsed {
    /// Reads an event, or says what is wrong with it. Absent fields are what Java's binding makes them: 0 and null.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let Value::Object(mut fields) =
            serde_json::from_slice(json).map_err(|error| format!("the value is not JSON: {error}"))?
        else {
            return Err("the value is not a JSON object".into());
        };
        let mut text = |name: &str| match fields.remove(name) {
            None | Some(Value::Null) => Ok(Value::Null),
            Some(Value::String(text)) => Ok(Value::String(text)),
            Some(other) => Err(format!("field \"{name}\" is {other}; expected text")),
        };
        let (user, kind) = (text("user")?, text("kind")?);
        let id = match fields.get("id") {
            None | Some(Value::Null) => 0,
            Some(id) => id.as_i64().ok_or_else(|| format!("field \"id\" is {id}; expected a whole number"))?,
        };
        let amount = match fields.get("amount") {
            None | Some(Value::Null) => 0.0,
            Some(amount) => {
                amount.as_f64().ok_or_else(|| format!("field \"amount\" is {amount}; expected a number"))?
            }
        };
        Ok(Self { id, user, kind, amount })
    }

    /// The answer.
    pub fn json(&self) -> Vec<u8> {
        let mut to =
            format!("{{\"id\":{},\"user\":{},\"kind\":{},\"amount\":", self.id, self.user, self.kind).into_bytes();
        number::write(self.amount, &mut to);
        to.extend_from_slice(b",\"fee\":");
        number::write(crate::fee(self.amount), &mut to);
        to.push(b'}');
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(json: &str) -> (Option<String>, Option<String>) {
        let scanned = scan(json.as_bytes()).map(|event| {
            let mut to = Vec::new();
            event.write(&mut to);
            String::from_utf8(to).unwrap()
        });
        (scanned, Parsed::parse(json.as_bytes()).ok().map(|event| String::from_utf8(event.json()).unwrap()))
    }

    #[test]
    fn the_scan_and_the_parse_agree() {
        let json =
            r#"{"id":7,"user":"u104331","kind":"view","region":"eu-w","amount":512.30,"ts":1760000000007,"ok":true}"#;
        let (scanned, parsed) = both(json);
        assert_eq!(scanned.as_deref(), Some(r#"{"id":7,"user":"u104331","kind":"view","amount":512.3,"fee":15.1567}"#));
        assert_eq!(scanned, parsed);
    }

    #[test]
    fn what_the_scan_leaves_the_parse_answers() {
        for json in [
            r#"{"id":7,"user":"a\"b","kind":"view","amount":512.30}"#,
            r#"{ "id":7,"user":"é","kind":"view","amount":512.30}"#,
            r#"{"amount":5.123e2,"geo":{"amount":1},"id":7,"user":null,"kind":"x"}"#,
            r#"{"id":-7,"user":"a","kind":"view","amount":-1}"#,
        ] {
            let (scanned, parsed) = both(json);
            assert_eq!(scanned, None, "{json}");
            assert!(parsed.is_some(), "{json}");
        }
    }

    #[test]
    fn what_is_not_json_is_left_by_the_scan_and_refused_by_the_parse() {
        for json in [
            "",
            "{",
            "null",
            r#"{"id":1,"amount":600"#,
            r#"{"id":1,"user":"a","kind":"b","amount":600}x"#,
            r#"{"id":1,"user":"a","kind":"b","amount":6-0}"#,
        ] {
            assert_eq!(both(json), (None, None), "{json}");
        }
    }
}
