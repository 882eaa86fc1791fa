//! The table of shapes, read from its text once.
//!
//! ```text
//! request <api key> <name> <flexible versions>          a message; `blob <name> <flexible versions>` for one without a key
//!  <field> <type> <versions> [null=<versions>] [tag=<number>@<versions>]
//!   <field> ...                                         one space deeper: the fields of a struct
//! ```
//! A type is `int8` .. `uuid`, `string`, `bytes`, `records` or `struct`, with `[]` before it for an array of it. Versions are `4`, `4-7`,
//! `4+` or `none`.

use std::collections::HashMap;
use std::sync::LazyLock;

static TEXT: &str = include_str!("kafka.shapes");

/// The table of the schemas this crate was built with.
pub static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::parse(TEXT).expect("the checked-in table parses: a test reads it"));

/// All messages.
#[derive(Debug, Default)]
pub struct Table {
    requests: HashMap<i16, Message>,
    blobs: HashMap<&'static str, Message>,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Versions whose lengths are compact and whose structs end with tagged fields.
    pub flexible: Versions,
    /// Its fields, in the order of the wire.
    pub fields: Vec<Field>,
}

/// One field of a message or struct.
#[derive(Debug)]
pub struct Field {
    /// Kafka's name of it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Versions that have it.
    pub versions: Versions,
    /// Versions in which it may be null.
    pub nullable: Versions,
    /// Versions in which it is a tagged field.
    pub tagged: Versions,
    /// Its tag in those.
    pub tag: u32,
}

/// What a field holds.
#[derive(Debug)]
pub enum Kind {
    /// So many bytes, always.
    Fixed(usize),
    /// A text.
    Text,
    /// Bytes or records: a length and so many bytes.
    Bytes,
    /// A struct.
    Struct(Vec<Field>),
    /// An array of one of the others.
    Array(Box<Kind>),
}

/// A range of versions, both ends included; empty when `min > max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    min: i16,
    max: i16,
}

impl Versions {
    const NONE: Self = Self { min: 1, max: 0 };

    /// Whether `version` is one of them.
    pub const fn has(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self::NONE);
        }
        if let Some(min) = text.strip_suffix('+') {
            return Some(Self { min: min.parse().ok()?, max: i16::MAX });
        }
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        Some(Self { min: min.parse().ok()?, max: max.parse().ok()? })
    }
}

impl Table {
    /// The request of an API key.
    pub fn request(&self, api_key: i16) -> Option<&Message> {
        self.requests.get(&api_key)
    }

    /// The blob of a name.
    pub fn blob(&self, name: &str) -> Option<&Message> {
        self.blobs.get(name)
    }

    /// Reads a table; on failure the line that is wrong.
    fn parse(text: &'static str) -> Result<Self, &'static str> {
        let mut table = Self::default();
        let mut lines = Lines(text.lines().filter(|line| !line.starts_with('#')).peekable());
        while let Some(line) = lines.0.next() {
            table.message(line, &mut lines).ok_or(line)??;
        }
        Ok(table)
    }

    fn message(
        &mut self,
        line: &'static str,
        lines: &mut Lines<impl Iterator<Item = &'static str>>,
    ) -> Option<Result<(), &'static str>> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let key = if kind == "request" { Some(words.next()?.parse().ok()?) } else { None };
        let name = words.next()?;
        let flexible = Versions::parse(words.next()?)?;
        let fields = match lines.fields(1) {
            Ok(fields) => fields,
            Err(line) => return Some(Err(line)),
        };
        let message = Message { name, flexible, fields };
        let twice = match key {
            Some(key) => self.requests.insert(key, message).is_some(),
            None => self.blobs.insert(name, message).is_some(),
        };
        (!twice).then_some(Ok(()))
    }
}

struct Lines<I: Iterator<Item = &'static str>>(std::iter::Peekable<I>);

impl<I: Iterator<Item = &'static str>> Lines<I> {
    /// The fields that stand `depth` deep, from here.
    fn fields(&mut self, depth: usize) -> Result<Vec<Field>, &'static str> {
        let mut fields = Vec::new();
        while let Some(line) = self.0.next_if(|line| line.len() - line.trim_start().len() == depth) {
            let inner = self.fields(depth + 1)?;
            fields.push(field(line.trim_start(), inner).ok_or(line)?);
        }
        Ok(fields)
    }
}

fn field(line: &'static str, inner: Vec<Field>) -> Option<Field> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let kind = kind(words.next()?, inner)?;
    let versions = Versions::parse(words.next()?)?;
    let mut field = Field { name, kind, versions, nullable: Versions::NONE, tagged: Versions::NONE, tag: 0 };
    for word in words {
        match word.split_once('=')? {
            ("null", versions) => field.nullable = Versions::parse(versions)?,
            ("tag", tag) => {
                let (number, versions) = tag.split_once('@')?;
                field.tag = number.parse().ok()?;
                field.tagged = Versions::parse(versions)?;
            }
            _ => return None,
        }
    }
    Some(field)
}

fn kind(text: &str, inner: Vec<Field>) -> Option<Kind> {
    if let Some(element) = text.strip_prefix("[]") {
        return Some(Kind::Array(Box::new(kind(element, inner)?)));
    }
    if (text == "struct") == inner.is_empty() {
        return None;
    }
    Some(match text {
        "bool" | "int8" => Kind::Fixed(1),
        "int16" | "uint16" => Kind::Fixed(2),
        "int32" | "uint32" => Kind::Fixed(4),
        "int64" | "float64" => Kind::Fixed(8),
        "uuid" => Kind::Fixed(16),
        "string" => Kind::Text,
        "bytes" | "records" => Kind::Bytes,
        "struct" => Kind::Struct(inner),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SERVED;

    #[test]
    fn the_checked_in_table_parses_and_has_every_api_served() {
        let table = Table::parse(TEXT).expect("parses");
        for api in SERVED {
            assert!(table.request(*api as i16).is_some(), "{api:?}");
        }
    }

    #[test]
    fn the_table_and_the_decoders_agree_on_flexible_versions() {
        for api in SERVED {
            let message = TABLE.request(*api as i16).expect("in the table");
            for version in crate::supported(*api).expect("served") {
                assert_eq!(
                    message.flexible.has(version),
                    api.request_header_version(version) >= 2,
                    "{api:?} v{version}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(Table::parse("request 0 P none\n A int7 0+").err(), Some(" A int7 0+"));
        assert_eq!(Table::parse("request 0 P none\n A struct 0+").err(), Some(" A struct 0+"));
        assert_eq!(Table::parse("request x P none").err(), Some("request x P none"));
    }
}
