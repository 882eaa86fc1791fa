//! One test of a field's value, as the grammar has it.

use crate::error::Error;
use crate::number::Number;
use crate::wildcard::Wildcard;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// A value without parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
}

impl Scalar {
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(boolean) => Some(Self::Boolean(*boolean)),
            Value::Number(number) => Some(Self::Number(Number::of(number))),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// A test of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    Prefix(String),
    Suffix(String),
    /// These three hold lower case, and look at the text in lower case.
    PrefixIgnoringCase(String),
    SuffixIgnoringCase(String),
    EqualsIgnoringCase(String),
    Wildcard(Wildcard),
}

impl Text {
    pub fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::PrefixIgnoringCase(prefix) => text.to_lowercase().starts_with(prefix.as_str()),
            Self::SuffixIgnoringCase(suffix) => text.to_lowercase().ends_with(suffix.as_str()),
            Self::EqualsIgnoringCase(other) => text.to_lowercase() == *other,
            Self::Wildcard(wildcard) => wildcard.accepts(text),
        }
    }
}

/// A range of numbers; an end is a bound and whether it is in the range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    pub low: Option<(Number, bool)>,
    pub high: Option<(Number, bool)>,
}

impl Range {
    pub fn contains(&self, number: Number) -> bool {
        let above = self.low.is_none_or(|(low, included)| number > low || included && number == low);
        above && self.high.is_none_or(|(high, included)| number < high || included && number == high)
    }
}

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    network: IpAddr,
    bits: u32,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let (network, bits) = text.split_once('/')?;
        let (network, bits): (IpAddr, u32) = (network.parse().ok()?, bits.parse().ok()?);
        (bits <= if network.is_ipv4() { 32 } else { 128 }).then_some(Self { network, bits })
    }

    fn contains(&self, text: &str) -> bool {
        match (self.network, text.parse()) {
            (IpAddr::V4(network), Ok(IpAddr::V4(address))) => {
                let differs = u128::from(network.to_bits() ^ address.to_bits());
                differs.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), Ok(IpAddr::V6(address))) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Equals(Scalar),
    Text(Text),
    InRange(Range),
    InBlock(Block),
    /// Any value but these.
    NotAny(Vec<Scalar>),
    /// Any text but those that one of these accepts. What is no text is no match.
    NotText(Vec<Text>),
    Exists,
    Absent,
}

impl Test {
    /// Whether it accepts a value that is there.
    pub fn accepts(&self, value: &Scalar) -> bool {
        match (self, value) {
            (Self::Equals(expected), value) => expected == value,
            (Self::Text(test), Scalar::Text(text)) => test.accepts(text),
            (Self::InRange(range), Scalar::Number(number)) => range.contains(*number),
            (Self::InBlock(block), Scalar::Text(text)) => block.contains(text),
            (Self::NotAny(refused), value) => !refused.contains(value),
            (Self::NotText(refused), Scalar::Text(text)) => !refused.iter().any(|test| test.accepts(text)),
            (Self::Exists, _) => true,
            (Self::Text(_) | Self::InRange(_) | Self::InBlock(_) | Self::NotText(_) | Self::Absent, _) => false,
        }
    }

    /// Reads a test at `path`.
    pub fn parse(path: &str, value: &Value) -> Result<Self, Error> {
        if let Some(scalar) = Scalar::of(value) {
            return Ok(Self::Equals(scalar));
        }
        let expected = "a string, a number, true, false, null, or an object with one of prefix, suffix, anything-but, numeric, exists, equals-ignore-case, wildcard, cidr";
        let refuse = |found: String| Err(refused(path, expected, found));
        let Value::Object(object) = value else { return refuse(shown(value)) };
        let Some((name, argument)) = only(object) else { return refuse(shown(value)) };
        let within = format!("{path}.{name}");
        match name {
            "prefix" | "suffix" | "equals-ignore-case" | "wildcard" => {
                Text::parse(&within, name, argument).map(Self::Text)
            }
            "anything-but" => anything_but(&within, argument),
            "numeric" => numeric(&within, argument).map(Self::InRange),
            "exists" => match argument {
                Value::Bool(true) => Ok(Self::Exists),
                Value::Bool(false) => Ok(Self::Absent),
                other => Err(refused(&within, "true or false", shown(other))),
            },
            "cidr" => {
                let block = argument.as_str().and_then(Block::parse);
                block
                    .map(Self::InBlock)
                    .ok_or_else(|| refused(&within, "a block of addresses such as 10.0.0.0/24", shown(argument)))
            }
            _ => refuse(shown(value)),
        }
    }
}

impl Text {
    fn parse(path: &str, name: &str, argument: &Value) -> Result<Self, Error> {
        let text =
            |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| refused(path, "a string", shown(value)));
        if name == "wildcard" {
            let text = text(argument)?;
            return Wildcard::parse(&text)
                .map(Self::Wildcard)
                .map_err(|expected| refused(path, expected, shown(argument)));
        }
        let nested = argument.as_object().and_then(only);
        match (name, nested) {
            ("equals-ignore-case", _) => Ok(Self::EqualsIgnoringCase(text(argument)?.to_lowercase())),
            ("prefix", Some(("equals-ignore-case", inner))) => {
                Ok(Self::PrefixIgnoringCase(text(inner)?.to_lowercase()))
            }
            ("suffix", Some(("equals-ignore-case", inner))) => {
                Ok(Self::SuffixIgnoringCase(text(inner)?.to_lowercase()))
            }
            ("prefix", None) if argument.is_string() => Ok(Self::Prefix(text(argument)?)),
            ("suffix", None) if argument.is_string() => Ok(Self::Suffix(text(argument)?)),
            _ => Err(refused(path, "a string, or an object with equals-ignore-case", shown(argument))),
        }
    }
}

fn anything_but(path: &str, argument: &Value) -> Result<Test, Error> {
    let expected = "a value, a list of values, or an object with one of prefix, suffix, equals-ignore-case, wildcard";
    let refuse = |found: &Value| refused(path, expected, shown(found));
    if let Some((name, inner)) = argument.as_object().and_then(only) {
        if !matches!(name, "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
            return Err(refuse(argument));
        }
        let within = format!("{path}.{name}");
        let texts = listed(inner).iter().map(|one| Text::parse(&within, name, one)).collect::<Result<Vec<_>, _>>()?;
        return if texts.is_empty() { Err(refuse(argument)) } else { Ok(Test::NotText(texts)) };
    }
    let values =
        listed(argument).iter().map(|one| Scalar::of(one).ok_or_else(|| refuse(one))).collect::<Result<Vec<_>, _>>()?;
    if values.is_empty() { Err(refuse(argument)) } else { Ok(Test::NotAny(values)) }
}

/// The elements of a list, or the value alone.
fn listed(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_ref(value),
    }
}

fn numeric(path: &str, argument: &Value) -> Result<Range, Error> {
    let expected =
        "a list such as [\"=\", 1], [\">\", 0] or [\">=\", 0, \"<\", 10], its lower bound below its upper one";
    let refuse = || refused(path, expected, shown(argument));
    let parts = argument.as_array().filter(|parts| matches!(parts.len(), 2 | 4)).ok_or_else(refuse)?;
    let mut range = Range::default();
    for pair in parts.chunks(2) {
        let [Value::String(sign), Value::Number(number)] = pair else { return Err(refuse()) };
        let number = Number::of(number);
        let (end, is_included) = match sign.as_str() {
            "=" if parts.len() == 2 => return Ok(Range { low: Some((number, true)), high: Some((number, true)) }),
            ">" => (&mut range.low, false),
            ">=" => (&mut range.low, true),
            "<" => (&mut range.high, false),
            "<=" => (&mut range.high, true),
            _ => return Err(refuse()),
        };
        if end.replace((number, is_included)).is_some() {
            return Err(refuse());
        }
    }
    match (range.low, range.high) {
        (Some((low, _)), Some((high, _))) if low >= high => Err(refuse()),
        _ => Ok(range),
    }
}

fn only(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    match object.len() {
        1 => object.iter().next().map(|(name, value)| (name.as_str(), value)),
        _ => None,
    }
}

pub fn refused(path: &str, expected: &str, found: String) -> Error {
    Error::Pattern { path: path.to_owned(), expected: expected.to_owned(), found }
}

const SHOWN_CHARACTERS_MAX: usize = 120;

/// A value for a message, cut where it is long.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
