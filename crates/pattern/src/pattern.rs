//! One pattern: read by the grammar, and what it means for an event, said plainly.

use crate::error::Error;
use crate::test::{Scalar, Test, refused, shown};
use serde_json::{Map, Value};

/// Bytes of the largest pattern.
pub const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Bytes of the largest event.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Objects within objects in a pattern.
pub const DEPTH_MAX: usize = 32;
/// Ways in which one pattern can match: the product of its alternatives by `$or` and `exists: false`.
pub const WAYS_MAX: usize = 1_000;

/// The alternatives' name in the grammar.
const OR: &str = "$or";

/// One event pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub(crate) Fields);

/// Tests of an object: all fields, and one of each group of alternatives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub fields: Vec<(String, Node)>,
    pub alternatives: Vec<Vec<Fields>>,
}

/// What a field is tested for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Object(Fields),
    /// Any of these.
    Tests(Vec<Test>),
}

impl Pattern {
    /// Reads a pattern from JSON.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::TooLarge`], and [`Error::Pattern`] that names the field and what was expected there.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        check_size("pattern", text.len(), PATTERN_BYTES_MAX)?;
        let value = serde_json::from_slice(text)
            .map_err(|error| Error::Json { what: "pattern", problem: error.to_string() })?;
        Self::from_value(&value)
    }

    /// Reads a pattern from JSON that was parsed.
    ///
    /// # Errors
    /// As [`Pattern::parse`].
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let Value::Object(object) = value else {
            return Err(refused("$", "an object whose fields are lists of tests, or objects", shown(value)));
        };
        let pattern = Self(Fields::parse("$", object, 1)?);
        let ways = pattern.0.ways();
        if ways > WAYS_MAX {
            return Err(Error::TooLarge {
                what: "pattern",
                found: ways,
                limit: WAYS_MAX,
                unit: "ways to match by its alternatives",
            });
        }
        Ok(pattern)
    }

    /// Whether an event matches. For many patterns use a [`crate::Matcher`].
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        self.0.accept(Some(event))
    }
}

pub(crate) fn check_size(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::TooLarge { what, found, limit, unit: "bytes" }) } else { Ok(()) }
}

impl Fields {
    fn parse(path: &str, object: &Map<String, Value>, depth: usize) -> Result<Self, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::TooLarge {
                what: "pattern",
                found: depth,
                limit: DEPTH_MAX,
                unit: "objects within objects",
            });
        }
        if object.is_empty() {
            return Err(refused(
                path,
                "at least one field; {\"name\": [{\"exists\": true}]} accepts any event with that field",
                "{}".into(),
            ));
        }
        let mut fields = Self::default();
        for (name, value) in object {
            let within = if path == "$" { name.clone() } else { format!("{path}.{name}") };
            match value {
                // A list of objects that are patterns; in an event, `$or` is a field like any other, so tests of it stay possible.
                Value::Array(ways) if name == OR && ways.len() > 1 && ways.iter().all(is_pattern) => {
                    let parse = |way: &Value| Self::parse(&within, way.as_object().unwrap_or(&Map::new()), depth + 1);
                    fields.alternatives.push(ways.iter().map(parse).collect::<Result<_, _>>()?);
                }
                Value::Object(inner) => {
                    fields.fields.push((name.clone(), Node::Object(Self::parse(&within, inner, depth + 1)?)))
                }
                Value::Array(tests) if !tests.is_empty() => {
                    let tests = tests.iter().map(|test| Test::parse(&within, test)).collect::<Result<_, _>>()?;
                    fields.fields.push((name.clone(), Node::Tests(tests)));
                }
                other => return Err(refused(&within, "a list of tests, or an object", shown(other))),
            }
        }
        Ok(fields)
    }

    /// Whether the object, or any object of the array, has all that is asked for. Something else has no fields.
    fn accept(&self, value: Option<&Value>) -> bool {
        match value {
            Some(Value::Array(elements)) if !elements.is_empty() => {
                elements.iter().any(|element| self.accept(Some(element)))
            }
            Some(Value::Object(object)) => self.accept_fields(|name| object.get(name)),
            _ => self.accept_fields(|_| None),
        }
    }

    fn accept_fields<'a>(&self, field: impl Fn(&str) -> Option<&'a Value> + Copy) -> bool {
        let all = self.fields.iter().all(|(name, node)| match node {
            Node::Object(inner) => inner.accept(field(name)),
            Node::Tests(tests) => accept_leaves(tests, field(name)),
        });
        all && self.alternatives.iter().all(|ways| ways.iter().any(|way| way.accept_fields(field)))
    }

    /// How many conjunctions it is.
    fn ways(&self) -> usize {
        let of_field = |node: &Node| match node {
            Node::Object(inner) => inner.ways(),
            Node::Tests(tests) => {
                let absent = tests.iter().filter(|test| **test == Test::Absent).count();
                usize::from(absent > 0) + usize::from(absent < tests.len())
            }
        };
        let fields = self.fields.iter().map(|(_, node)| of_field(node));
        let groups = self.alternatives.iter().map(|ways| ways.iter().map(Self::ways).fold(0, usize::saturating_add));
        fields.chain(groups).fold(1, usize::saturating_mul)
    }
}

/// Whether a value may be one way of an `$or`: an object that is not a test.
fn is_pattern(value: &Value) -> bool {
    let Value::Object(object) = value else { return false };
    object.values().all(|value| value.is_array() || value.is_object()) && Test::parse("", value).is_err()
}

fn accept_leaves(tests: &[Test], value: Option<&Value>) -> bool {
    let mut leaves = Vec::new();
    if let Some(value) = value {
        gather(value, &mut leaves);
    }
    if leaves.is_empty() {
        return tests.contains(&Test::Absent);
    }
    tests.iter().any(|test| leaves.iter().any(|leaf| test.accepts(leaf)))
}

/// The values without parts, of arrays within arrays too. An object has none of its own.
fn gather(value: &Value, leaves: &mut Vec<Scalar>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| gather(element, leaves)),
        value => leaves.extend(Scalar::of(value)),
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
