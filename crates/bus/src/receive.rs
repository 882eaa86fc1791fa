//! CloudEvents out of an HTTP request: structured, batch and binary mode.

use crate::cloud_event::{CloudEvent, Data, refused};
use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Events in one request.
pub const EVENTS_PER_REQUEST_MAX: usize = 10_000;
/// Bytes of one event in its structured form: what a topic takes by default, with room for the record around it.
pub const EVENT_BYTES_MAX: usize = 1_000_000;

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const PREFIX: &str = "ce-";

type Fields = BTreeMap<String, Box<RawValue>>;

/// The events of a request: headers by lower-case name, and the body.
///
/// # Errors
/// [`Error::NotAnEvent`] names the attribute; [`Error::NoEvent`]; [`Error::Json`]; [`Error::TooLarge`].
pub fn receive(headers: &[(String, String)], body: &[u8]) -> Result<Vec<CloudEvent>, Error> {
    let content_type = header(headers, "content-type").unwrap_or("");
    let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let events = match media_type.as_str() {
        STRUCTURED => vec![structured(&json::<Box<RawValue>>(body)?)?],
        BATCH => batch(body)?,
        other
            if !other.starts_with("application/cloudevents")
                && headers.iter().any(|(name, _)| name.starts_with(PREFIX)) =>
        {
            vec![binary(headers, content_type, body)?]
        }
        _ => return Err(Error::NoEvent { content_type: content_type.to_owned() }),
    };
    for (place, event) in events.iter().enumerate() {
        let found = event.to_json().len();
        if found > EVENT_BYTES_MAX {
            let what = format!("event {} (id {:?})", place + 1, event.id());
            return Err(Error::TooLarge { what, found, limit: EVENT_BYTES_MAX, unit: "bytes" });
        }
    }
    Ok(events)
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Json { problem: error.to_string() })
}

fn structured(value: &RawValue) -> Result<CloudEvent, Error> {
    let fields: Fields =
        serde_json::from_str(value.get()).map_err(|_| refused("event", "a JSON object", cut(value.get())))?;
    CloudEvent::from_fields(fields)
}

fn batch(body: &[u8]) -> Result<Vec<CloudEvent>, Error> {
    let whole: Box<RawValue> = json(body)?;
    let values: Vec<Box<RawValue>> =
        serde_json::from_str(whole.get()).map_err(|_| refused("batch", "a JSON array of events", cut(whole.get())))?;
    if values.len() > EVENTS_PER_REQUEST_MAX {
        let what = "the batch".to_owned();
        return Err(Error::TooLarge { what, found: values.len(), limit: EVENTS_PER_REQUEST_MAX, unit: "events" });
    }
    let one = |(place, value): (usize, Box<RawValue>)| structured(&value).map_err(|error| within(error, place));
    values.into_iter().enumerate().map(one).collect()
}

/// Names the event of a batch that an error is about.
fn within(error: Error, place: usize) -> Error {
    match error {
        Error::NotAnEvent { attribute, expected, found, .. } => {
            Error::NotAnEvent { event: format!("event {} of the batch ", place + 1), attribute, expected, found }
        }
        other => other,
    }
}

fn binary(headers: &[(String, String)], content_type: &str, body: &[u8]) -> Result<CloudEvent, Error> {
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.strip_prefix(PREFIX) else { continue };
        if attributes.insert(name.to_owned(), Value::from(decoded(name, value)?)).is_some() {
            return Err(refused(name, "one header", "several".into()));
        }
    }
    if !content_type.is_empty() {
        attributes.insert("datacontenttype".to_owned(), Value::from(content_type));
    }
    CloudEvent::new(attributes, data(content_type, body)?)
}

/// A header's value: percent-encoded, or in quotes, or as it is.
fn decoded(name: &str, value: &str) -> Result<String, Error> {
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    match percent_decode_str(value).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(refused(name, "UTF-8, percent-encoded where it is not ASCII", format!("{value:?}"))),
    }
}

/// A body as data: JSON as it is, text as a string, and anything else in base64.
fn data(content_type: &str, body: &[u8]) -> Result<Data, Error> {
    if body.is_empty() {
        return Ok(Data::None);
    }
    let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
    let parsed = || serde_json::from_slice::<Box<RawValue>>(body);
    if is_json {
        return parsed()
            .map(Data::Json)
            .map_err(|error| refused("data", "JSON, as the content type says", error.to_string()));
    }
    // Without a content type it is JSON where it can be, as the specification has it for events without one.
    if let (true, Ok(json)) = (media_type.is_empty(), parsed()) {
        return Ok(Data::Json(json));
    }
    match std::str::from_utf8(body) {
        Ok(text) if media_type.starts_with("text/") => {
            let json =
                serde_json::value::to_raw_value(text).map_err(|error| Error::Json { problem: error.to_string() })?;
            Ok(Data::Json(json))
        }
        _ => Ok(Data::Base64(STANDARD.encode(body))),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
