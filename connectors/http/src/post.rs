//! What the http sink sends, and what it makes of an answer: pure.

use crate::settings::{PostFormat, SinkSettings};
use millstream_connect::Failure;
use millstream_record::Columns;
use millstream_types::ErrorKind;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    /// Its first and last offset, by which a repeated request is known.
    pub first: i64,
    pub last: i64,
    pub body: Vec<u8>,
    /// The records in it, by their place in the batch.
    pub places: Vec<u32>,
}

/// Cuts a batch into requests. Which records are together depends on nothing but the batch, so that a repeated request is the same.
/// What can't be sent at all is a failure; so is what the receiver `refused` before.
pub(crate) fn posts(
    settings: &SinkSettings,
    topic: &str,
    partition: i32,
    input: &Columns,
    refused: &BTreeMap<i64, String>,
) -> (Vec<Post>, Vec<Failure>) {
    let (mut posts, mut failures) = (Vec::new(), Vec::new());
    let mut open: Vec<(usize, String)> = Vec::new();
    let batch_max = if settings.format == PostFormat::Single { 1 } else { settings.batch_max };
    for at in 0..input.len() {
        let place = u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(message) = refused.get(&input.offsets[at]) {
            failures.push(Failure { input: place, message: message.clone() });
            continue;
        }
        if settings.format == PostFormat::Single {
            let body = input.values.get(at).unwrap_or_default().to_vec();
            posts.push(Post { first: input.offsets[at], last: input.offsets[at], body, places: vec![place] });
            continue;
        }
        match text(settings, topic, partition, input, at) {
            Ok(text) => open.push((at, text)),
            Err(message) => failures.push(Failure { input: place, message }),
        }
        if open.len() == batch_max {
            posts.push(post(settings, input, std::mem::take(&mut open)));
        }
    }
    if !open.is_empty() {
        posts.push(post(settings, input, open));
    }
    (posts, failures)
}

fn post(settings: &SinkSettings, input: &Columns, records: Vec<(usize, String)>) -> Post {
    let offset = |record: Option<&(usize, String)>| record.map_or(0, |(at, _)| input.offsets[*at]);
    let (first, last) = (offset(records.first()), offset(records.last()));
    let places = records.iter().map(|(at, _)| u32::try_from(*at).unwrap_or(u32::MAX)).collect();
    let texts: Vec<String> = records.into_iter().map(|(_, text)| text).collect();
    let body = match settings.format {
        PostFormat::JsonArray => format!("[{}]", texts.join(",")),
        PostFormat::JsonLines | PostFormat::Single => texts.join("\n") + "\n",
    };
    Post { first, last, body: body.into_bytes(), places }
}

fn text(settings: &SinkSettings, topic: &str, partition: i32, input: &Columns, at: usize) -> Result<String, String> {
    let value = input.values.get(at).unwrap_or(b"null");
    let raw: &RawValue = serde_json::from_slice(value)
        .map_err(|error| format!("its value is not JSON, which the sink's format needs: {error}"))?;
    let headers = || -> Map<String, Value> {
        input.headers.get(at).map(|(name, value)| (name.to_owned(), bytes(value))).collect()
    };
    if !settings.envelope {
        // A line break in a value would end its line.
        return Ok(if settings.format == PostFormat::JsonLines {
            raw.get().replace(['\n', '\r'], " ")
        } else {
            raw.get().to_owned()
        });
    }
    let mut envelope = json!({
        "topic": topic,
        "partition": partition,
        "offset": input.offsets[at],
        "timestamp": input.timestamps[at],
        "key": bytes(input.keys.get(at)),
        "headers": headers(),
    });
    envelope["value"] = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    Ok(envelope.to_string())
}

/// Bytes as JSON text; what is not UTF-8 gets replacement characters.
fn bytes(value: Option<&[u8]>) -> Value {
    value.map_or(Value::Null, |value| Value::from(String::from_utf8_lossy(value).into_owned()))
}

/// What an answer's status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The records are there.
    Done,
    /// Send it again later.
    Retry,
    /// Something in it is not wanted.
    Refused,
    /// No request will be taken until someone acts.
    Stop(ErrorKind),
}

/// Judges a status. 2xx is done; 408, 425, 429 and 5xx pass; 401, 403, 404, 405 and redirects are about the address, not the records; any
/// other 4xx is about the records.
pub(crate) fn judge(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Done,
        408 | 425 | 429 | 500..=599 => Verdict::Retry,
        401 | 403 => Verdict::Stop(ErrorKind::Unauthorized),
        404 | 405 | 410 => Verdict::Stop(ErrorKind::NotFound),
        400..=499 => Verdict::Refused,
        _ => Verdict::Stop(ErrorKind::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: Value) -> SinkSettings {
        let mut all = json!({"url": "http://127.0.0.1/"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn input(values: &[Option<&str>]) -> Columns {
        let mut columns = Columns::default();
        values.iter().for_each(|value| columns.push(5, Some(b"k"), value.map(str::as_bytes), [("h", Some(&b"1"[..]))]));
        columns.offsets.iter_mut().for_each(|offset| *offset += 10);
        columns
    }

    fn made(more: Value, values: &[Option<&str>]) -> (Vec<(String, i64, i64)>, Vec<u32>) {
        let (posts, failures) = posts(&settings(more), "t", 3, &input(values), &BTreeMap::new());
        let posts =
            posts.into_iter().map(|post| (String::from_utf8(post.body).unwrap(), post.first, post.last)).collect();
        (posts, failures.into_iter().map(|failure| failure.input).collect())
    }

    #[test]
    fn a_batch_is_cut_into_requests_and_what_is_not_json_is_left_out() {
        let values = [Some("{\"a\": 1}"), Some("oops"), None, Some("2")];
        let array = made(json!({"batch_max": 2}), &values);
        assert_eq!(array, (vec![("[{\"a\": 1},null]".into(), 10, 12), ("[2]".into(), 13, 13)], vec![1]));
        let lines = made(json!({"format": "json-lines"}), &[Some("{\"a\":\n1}"), Some("2")]);
        assert_eq!(lines.0, [("{\"a\": 1}\n2\n".into(), 10, 11)]);
        let single = made(json!({"format": "single"}), &[Some("oops"), None]);
        assert_eq!(single, (vec![("oops".into(), 10, 10), (String::new(), 11, 11)], vec![]));
    }

    #[test]
    fn an_envelope_says_where_a_record_came_from() {
        let (posts, _) = made(json!({"envelope": true}), &[Some("{}")]);
        let sent: Value = serde_json::from_str(&posts[0].0).unwrap();
        let expected = json!({"topic": "t", "partition": 3, "offset": 10, "timestamp": 5, "key": "k", "headers": {"h": "1"}, "value": {}});
        assert_eq!(sent[0], expected);
    }

    #[test]
    fn what_was_refused_is_not_sent_again() {
        let refused = BTreeMap::from([(11, "no".to_owned())]);
        let (posts, failures) =
            posts(&settings(json!({})), "t", 0, &input(&[Some("1"), Some("2"), Some("3")]), &refused);
        assert_eq!((posts[0].places.clone(), failures[0].input), (vec![0, 2], 1));
    }

    #[test]
    fn statuses_are_judged_by_what_they_blame() {
        let cases = [
            (200, Verdict::Done),
            (204, Verdict::Done),
            (400, Verdict::Refused),
            (422, Verdict::Refused),
            (413, Verdict::Refused),
            (429, Verdict::Retry),
            (503, Verdict::Retry),
            (401, Verdict::Stop(ErrorKind::Unauthorized)),
            (404, Verdict::Stop(ErrorKind::NotFound)),
            (302, Verdict::Stop(ErrorKind::Invalid)),
        ];
        for (status, expected) in cases {
            assert_eq!(judge(status), expected, "{status}");
        }
    }
}
