//! One CloudEvent 1.0: its attributes checked, its data as it came.

use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The version of the specification.
const VERSION: &str = "1.0";
/// Characters of an attribute's name. The specification says that they should be 20 at most; more are taken.
const NAME_BYTES_MAX: usize = 64;

/// An event. In JSON it is the specification's structured form.
#[derive(Debug, Clone)]
pub struct CloudEvent {
    attributes: BTreeMap<String, Value>,
    data: Data,
}

/// What an event is about, kept byte for byte where it is JSON.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    None,
    Json(Box<RawValue>),
    Base64(String),
}

impl CloudEvent {
    /// Checks attributes (scalars by name; null is absence) and data.
    pub(crate) fn new(mut attributes: BTreeMap<String, Value>, data: Data) -> Result<Self, Error> {
        attributes.retain(|_, value| !value.is_null());
        for (name, value) in &attributes {
            check_name(name)?;
            check_value(name, value)?;
        }
        for name in ["id", "source", "specversion", "type"] {
            if !attributes.contains_key(name) {
                return Err(refused(name, "a string, since it is required", "nothing".into()));
            }
        }
        if attributes["specversion"] != VERSION {
            return Err(refused("specversion", "\"1.0\"", attributes["specversion"].to_string()));
        }
        Ok(Self { attributes, data })
    }

    /// The structured form's fields, of which `data` is kept as it is.
    pub(crate) fn from_fields(fields: BTreeMap<String, Box<RawValue>>) -> Result<Self, Error> {
        let mut attributes = BTreeMap::new();
        let (mut json, mut base64) = (None, None);
        for (name, value) in fields {
            match name.as_str() {
                "data" => json = Some(value),
                "data_base64" => base64 = parsed(&name, &value)?,
                _ => {
                    attributes.extend(parsed(&name, &value)?.map(|value| (name, value)));
                }
            }
        }
        let data = match (json, base64) {
            (Some(_), Some(_)) => return Err(refused("data_base64", "nothing, since there is data", "both".into())),
            (Some(json), None) => Data::Json(json),
            (None, None) => Data::None,
            (None, Some(Value::String(text))) if STANDARD.decode(&text).is_ok() => Data::Base64(text),
            (None, Some(other)) => return Err(refused("data_base64", "a string in base64", shown(&other))),
        };
        Self::new(attributes, data)
    }

    fn text(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// Its id, unique within its source.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// Where it happened.
    #[must_use]
    pub fn source(&self) -> &str {
        self.text("source")
    }

    /// What kind of thing happened.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("type")
    }

    /// What in the source it is about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.attributes.get("subject").and_then(Value::as_str)
    }

    /// The record's key, so that events about one thing stay in order: the subject, or the source where there is none.
    #[must_use]
    pub fn key(&self) -> &str {
        self.subject().unwrap_or_else(|| self.source())
    }

    /// The structured form.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("an event is text keys over values that were JSON").into()
    }
}

impl Serialize for CloudEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.attributes {
            map.serialize_entry(name, value)?;
        }
        match &self.data {
            Data::None => {}
            Data::Json(json) => map.serialize_entry("data", json)?,
            Data::Base64(text) => map.serialize_entry("data_base64", text)?,
        }
        map.end()
    }
}

/// A field's value; none where it is null, which is absence.
fn parsed(name: &str, value: &RawValue) -> Result<Option<Value>, Error> {
    let value: Value = serde_json::from_str(value.get())
        .map_err(|error| refused(name, "a string, a number, true or false", error.to_string()))?;
    Ok((!value.is_null()).then_some(value))
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_legal = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if is_legal && (1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(refused(name, "an attribute's name of lower-case letters and digits", format!("{name:?}")))
}

fn check_value(name: &str, value: &Value) -> Result<(), Error> {
    match (name, value) {
        (
            "id" | "source" | "type" | "specversion" | "subject" | "dataschema" | "datacontenttype" | "time",
            Value::String(text),
        ) => check_text(name, text),
        ("id" | "source" | "type" | "specversion" | "subject" | "dataschema" | "datacontenttype" | "time", other) => {
            Err(refused(name, "a string that is not empty", shown(other)))
        }
        (_, Value::String(_) | Value::Bool(_)) => Ok(()),
        (_, Value::Number(number)) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => Ok(()),
        (_, other) => Err(refused(name, "a string, a 32-bit integer, true or false", shown(other))),
    }
}

fn check_text(name: &str, text: &str) -> Result<(), Error> {
    let found = || format!("{text:?}");
    if text.is_empty() {
        return Err(refused(name, "a string that is not empty", found()));
    }
    match name {
        "source" | "dataschema"
            if text.chars().any(|character| character.is_whitespace() || character.is_control()) =>
        {
            Err(refused(name, "a URI reference", found()))
        }
        "time" if chrono::DateTime::parse_from_rfc3339(text).is_err() => {
            Err(refused(name, "a time as in RFC 3339, such as 2013-01-01T05:15:00Z", found()))
        }
        "datacontenttype" if !text.contains('/') => {
            Err(refused(name, "a media type such as application/json", found()))
        }
        _ => Ok(()),
    }
}

pub(crate) fn refused(attribute: &str, expected: &'static str, found: String) -> Error {
    Error::NotAnEvent { event: "the event ".to_owned(), attribute: attribute.to_owned(), expected, found }
}

const SHOWN_CHARACTERS_MAX: usize = 120;

/// A value for a message, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
