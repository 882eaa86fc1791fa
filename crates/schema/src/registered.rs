//! A registered schema, and the port through which others look schemas up.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The language a schema is written in. The words are the registry's; stored: never rename.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SchemaType {
    /// Apache Avro: what the registry assumes where no type is given.
    #[default]
    #[serde(rename = "AVRO")]
    Avro,
    /// JSON Schema.
    #[serde(rename = "JSON")]
    Json,
    /// Protocol Buffers. It has its place; no text of it is accepted yet.
    #[serde(rename = "PROTOBUF")]
    Protobuf,
}

impl SchemaType {
    /// The registry's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }
}

impl fmt::Display for SchemaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for SchemaType {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word.to_ascii_uppercase().as_str() {
            "AVRO" => Ok(Self::Avro),
            "JSON" => Ok(Self::Json),
            "PROTOBUF" => Ok(Self::Protobuf),
            _ => Err(Error::UnknownType { word: word.to_owned() }),
        }
    }
}

/// A schema's use of another: the name in its text, and which registered version that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// The name used in the text: a full name in Avro, a `$ref` in JSON Schema.
    pub name: String,
    /// The subject it is registered under.
    pub subject: String,
    /// The version under that subject.
    pub version: i32,
}

/// A schema as the registry holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Its id, the same wherever the same schema is registered.
    pub id: i32,
    /// Its number under the subject, from 1.
    pub version: i32,
    /// What it was registered under: `<topic>-value` for the values of a topic.
    pub subject: String,
    /// Its language.
    pub schema_type: SchemaType,
    /// Its text as it was registered.
    pub text: String,
    /// What it uses of others.
    pub references: Vec<Reference>,
}

/// The port to the registry (the metadata log). Answers come from memory; what was deleted softly is still found by id.
pub trait SchemaLookup: Send + Sync + 'static {
    /// The newest version under a subject that is not deleted.
    fn latest(&self, subject: &str) -> Option<Registered>;

    /// Any schema by its id.
    fn by_id(&self, id: i32) -> Option<Registered>;

    /// One version under a subject, to resolve a reference.
    fn by_version(&self, subject: &str, version: i32) -> Option<Registered>;
}

/// The subject that describes a topic's values.
#[must_use]
pub fn value_subject(topic: &str) -> String {
    format!("{topic}-value")
}
