//! Whether a new version of a schema may follow the ones before it.

mod avro;
mod json;

use crate::schema::{Body, Schema};
use crate::{Error, SchemaType};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a subject demands of a new version. The words are the registry's; stored: never rename.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// Anything.
    None,
    /// Readers with the new schema can read what was written with the last one.
    #[default]
    Backward,
    /// The same with every earlier one.
    BackwardTransitive,
    /// Readers with the last schema can read what is written with the new one.
    Forward,
    /// The same with every earlier one.
    ForwardTransitive,
    /// Backward and forward.
    Full,
    /// Both, with every earlier one.
    FullTransitive,
}

/// Each level and its word.
const LEVELS: [(Level, &str); 7] = [
    (Level::None, "NONE"),
    (Level::Backward, "BACKWARD"),
    (Level::BackwardTransitive, "BACKWARD_TRANSITIVE"),
    (Level::Forward, "FORWARD"),
    (Level::ForwardTransitive, "FORWARD_TRANSITIVE"),
    (Level::Full, "FULL"),
    (Level::FullTransitive, "FULL_TRANSITIVE"),
];

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LEVELS.iter().find(|(level, _)| level == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        let upper = word.to_ascii_uppercase();
        let found = LEVELS.iter().find(|(_, name)| *name == upper);
        found.map(|(level, _)| *level).ok_or_else(|| Error::UnknownLevel { word: word.to_owned() })
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compatibility {
    /// What speaks against the new version; nothing when it may follow.
    pub conflicts: Vec<String>,
}

impl Compatibility {
    /// Whether the new version may follow.
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        self.conflicts.is_empty()
    }

    /// Checks `new` against the versions before it, oldest first.
    #[must_use]
    pub fn check(level: Level, new: &Schema, before: &[Schema]) -> Self {
        let (backward, forward, all) = match level {
            Level::None => return Self::default(),
            Level::Backward => (true, false, false),
            Level::BackwardTransitive => (true, false, true),
            Level::Forward => (false, true, false),
            Level::ForwardTransitive => (false, true, true),
            Level::Full => (true, true, false),
            Level::FullTransitive => (true, true, true),
        };
        let before = if all { before } else { before.last().map(std::slice::from_ref).unwrap_or_default() };
        let mut conflicts = Vec::new();
        for old in before {
            if backward {
                let found = read(old, new);
                conflicts.extend(
                    found
                        .into_iter()
                        .map(|conflict| format!("the new schema can't read what the old one wrote: {conflict}")),
                );
            }
            if forward {
                let found = read(new, old);
                conflicts.extend(
                    found
                        .into_iter()
                        .map(|conflict| format!("the old schema can't read what the new one writes: {conflict}")),
                );
            }
        }
        Self { conflicts }
    }
}

/// Conflicts listed of one pair.
const CONFLICTS_MAX: usize = 100;

fn read(writer: &Schema, reader: &Schema) -> Vec<String> {
    match (&writer.body, &reader.body) {
        (Body::Avro(writer), Body::Avro(reader)) => avro::conflicts(&writer.nodes, &reader.nodes),
        (Body::Json(writer), Body::Json(reader)) => json::conflicts(writer, reader),
        _ => vec![other_type(writer.schema_type(), reader.schema_type())],
    }
}

fn other_type(writer: SchemaType, reader: SchemaType) -> String {
    format!("one is {writer} and the other is {reader}")
}
