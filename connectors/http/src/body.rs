//! From a request's body to records: pure.

use millstream_record::Columns;
use serde_json::Value;
use serde_json::value::RawValue;

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event, or an array of them.
    Json,
    /// An event a line.
    JsonLines,
    /// One record of any bytes.
    Raw,
}

impl Kind {
    /// By the content type; what is not named JSON is taken as it is.
    pub fn of(content_type: Option<&str>) -> Self {
        let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Self::Json,
            "application/x-ndjson" | "application/jsonl" | "application/json-lines" | "application/x-jsonlines" => {
                Self::JsonLines
            }
            kind if kind.ends_with("+json") => Self::Json,
            _ => Self::Raw,
        }
    }
}

/// Where records' keys come from.
pub(crate) struct Keys<'a> {
    /// One for all.
    pub given: Option<&'a [u8]>,
    /// The field of each event that holds it.
    pub field: Option<&'a str>,
}

/// The records of a body. The error says what is wrong with it.
pub(crate) fn records(kind: Kind, body: &[u8], keys: &Keys<'_>) -> Result<Columns, String> {
    let mut records = Columns::default();
    match kind {
        Kind::Raw => records.push(-1, keys.given, Some(body), []),
        Kind::Json if body.trim_ascii_start().starts_with(b"[") => {
            let events: Vec<&RawValue> =
                serde_json::from_slice(body).map_err(|error| format!("the body is not a JSON array: {error}"))?;
            events.iter().try_for_each(|event| push(&mut records, event.get().as_bytes(), keys))?;
        }
        Kind::Json => push(&mut records, body, keys).map_err(|error| format!("the body is {error}"))?,
        Kind::JsonLines => {
            for (at, line) in body.split(|byte| *byte == b'\n').enumerate() {
                if !line.trim_ascii().is_empty() {
                    push(&mut records, line.trim_ascii(), keys)
                        .map_err(|error| format!("line {} is {error}", at + 1))?;
                }
            }
        }
    }
    Ok(records)
}

fn push(records: &mut Columns, event: &[u8], keys: &Keys<'_>) -> Result<(), String> {
    let not_json = |error: serde_json::Error| format!("not JSON: {error}");
    let Some(field) = keys.field.filter(|_| keys.given.is_none()) else {
        serde_json::from_slice::<serde::de::IgnoredAny>(event).map_err(not_json)?;
        records.push(-1, keys.given, Some(event), []);
        return Ok(());
    };
    let value: Value = serde_json::from_slice(event).map_err(not_json)?;
    let key = match value.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    records.push(-1, key.as_deref().map(str::as_bytes), Some(event), []);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_KEYS: Keys<'_> = Keys { given: None, field: None };

    fn values(kind: Kind, body: &str) -> Result<Vec<String>, String> {
        let records = records(kind, body.as_bytes(), &NO_KEYS)?;
        Ok(records.values.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap()).collect())
    }

    #[test]
    fn bodies_become_records_by_their_content_type() {
        assert_eq!(
            values(Kind::of(Some("application/json; charset=utf-8")), " {\"a\": 1}"),
            Ok(vec![" {\"a\": 1}".into()])
        );
        assert_eq!(
            values(Kind::of(Some("application/json")), "[{\"a\": 1}, 2,\n\"x\"]"),
            Ok(vec!["{\"a\": 1}".into(), "2".into(), "\"x\"".into()])
        );
        assert_eq!(values(Kind::of(Some("application/x-ndjson")), "1\r\n\n{}\n"), Ok(vec!["1".into(), "{}".into()]));
        assert_eq!(values(Kind::of(Some("application/vnd.x+json")), "[]"), Ok(vec![]));
        assert_eq!(values(Kind::of(None), "[1"), Ok(vec!["[1".into()]));
        assert_eq!(Kind::of(Some("text/plain")), Kind::Raw);
    }

    #[test]
    fn what_is_not_json_is_told_where() {
        assert!(values(Kind::Json, "{").unwrap_err().starts_with("the body is not JSON"));
        assert!(values(Kind::Json, "[1,").unwrap_err().starts_with("the body is not a JSON array"));
        assert!(values(Kind::JsonLines, "1\n{\n").unwrap_err().starts_with("line 2 is not JSON"));
        assert!(values(Kind::Json, &"[".repeat(100_000)).is_err());
    }

    #[test]
    fn keys_come_from_the_request_or_from_each_event() {
        let body = br#"[{"id": "a"}, {"id": 7}, {}]"#;
        let by_field = records(Kind::Json, body, &Keys { given: None, field: Some("id") }).unwrap();
        assert_eq!(by_field.keys.iter().collect::<Vec<_>>(), [Some(&b"a"[..]), Some(b"7"), None]);
        let given = records(Kind::Json, body, &Keys { given: Some(b"k"), field: Some("id") }).unwrap();
        assert_eq!(given.keys.get(2), Some(&b"k"[..]));
    }
}
