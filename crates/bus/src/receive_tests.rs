//! The three modes as tables, and what is refused with which words.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn stored(pairs: &[(&str, &str)], body: &[u8]) -> Vec<Value> {
    let events = receive(&headers(pairs), body).unwrap();
    events.iter().map(|event| serde_json::from_slice(&event.to_json()).unwrap()).collect()
}

fn refusal(pairs: &[(&str, &str)], body: &str) -> String {
    receive(&headers(pairs), body.as_bytes()).unwrap_err().to_string()
}

const JSON: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
const LIST: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

#[test]
fn a_structured_event_is_kept_with_its_data_byte_for_byte() {
    let body = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"order.made","subject":"o-7","time":"2026-01-02T03:04:05.678+01:00","sequence":7,"flag":true,"traceparent":null,"data":{"total":1.10,"big":123456789012345678901234567890,  "a":[ ]}}"#;
    let event = &receive(&headers(&[JSON]), body.as_bytes()).unwrap()[0];
    assert_eq!((event.id(), event.source(), event.kind(), event.key()), ("1", "/shop", "order.made", "o-7"));
    let text = String::from_utf8(event.to_json().to_vec()).unwrap();
    assert!(text.contains(r#""data":{"total":1.10,"big":123456789012345678901234567890,  "a":[ ]}"#), "{text}");
    assert!(
        text.contains(r#""sequence":7"#) && text.contains(r#""flag":true"#) && !text.contains("traceparent"),
        "{text}"
    );
}

#[test]
fn a_batch_is_its_events_in_order() {
    let one = |id: &str| json!({"specversion": "1.0", "id": id, "source": "s", "type": "t", "data_base64": "AAE="});
    let body = json!([one("1"), one("2")]).to_string();
    assert_eq!(stored(&[LIST], body.as_bytes()), [one("1"), one("2")]);
    assert_eq!(stored(&[LIST], b"[]"), [] as [Value; 0]);
}

#[test]
fn binary_mode_takes_attributes_from_headers_and_data_from_the_body() {
    // A blank in a source is refused, encoded or not.
    let blank = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/a%20b"), ("ce-type", "t")];
    assert!(refusal(&blank, "").contains("source: expected a URI reference"));
    let with = |content_type: &'static str, body: &[u8]| {
        let mut all = vec![("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/a")];
        all.extend([("ce-type", "\"t\""), ("ce-euro", "%E2%82%AC")]);
        if !content_type.is_empty() {
            all.push(("content-type", content_type));
        }
        stored(&all, body).remove(0)
    };
    let event = with("application/json", br#"{"a":1}"#);
    assert_eq!((&event["data"], &event["type"], &event["euro"]), (&json!({"a": 1}), &json!("t"), &json!("€")));
    assert_eq!(event["datacontenttype"], "application/json");
    assert_eq!(with("application/vnd.x+json", b"[1]")["data"], json!([1]));
    assert_eq!(with("text/plain; charset=utf-8", "grüße".as_bytes())["data"], "grüße");
    assert_eq!(with("image/png", &[0, 1, 255])["data_base64"], "AAH/");
    assert_eq!(with("application/xml", b"<a/>")["data_base64"], "PGEvPg==");
    assert_eq!(with("", b"17")["data"], 17);
    assert_eq!(with("", &[0xff])["data_base64"], "/w==");
    assert_eq!(with("application/json", b"").get("data"), None);
}

#[test]
fn what_is_not_an_event_is_named_by_its_attribute() {
    let of = |body: Value| refusal(&[JSON], &body.to_string());
    let with = |name: &str, value: Value| {
        let mut event = json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t"});
        event[name] = value;
        of(event)
    };
    assert_eq!(
        of(json!({"specversion": "1.0", "source": "s", "type": "t"})),
        "the event is not a CloudEvent 1.0: id: expected a string, since it is required, found nothing"
    );
    assert!(with("specversion", json!("0.3")).ends_with("specversion: expected \"1.0\", found \"0.3\""));
    assert!(with("id", json!("")).ends_with("id: expected a string that is not empty, found \"\""));
    assert!(with("id", json!(7)).ends_with("id: expected a string that is not empty, found 7"));
    assert!(with("time", json!("yesterday")).contains("time: expected a time as in RFC 3339"));
    assert!(
        with("Level", json!("x"))
            .contains("expected an attribute's name of lower-case letters and digits, found \"Level\"")
    );
    assert!(
        with("level", json!({"a": 1}))
            .ends_with("level: expected a string, a 32-bit integer, true or false, found {\"a\":1}")
    );
    assert!(with("level", json!(1.5)).contains("a 32-bit integer"));
    assert!(with("data_base64", json!("***")).contains("data_base64: expected a string in base64"));
    assert!(
        of(json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": 1, "data_base64": ""}))
            .contains("found both")
    );
    assert!(of(json!([1])).contains("event: expected a JSON object"));
    assert!(refusal(&[JSON], "{").starts_with("the body is not JSON: "));
    let body = json!([{"specversion": "1.0", "id": "1", "source": "s", "type": "t"}, {"id": "2"}]).to_string();
    assert!(refusal(&[LIST], &body).starts_with("event 2 of the batch is not a CloudEvent 1.0: source"));
    assert!(
        refusal(&[("content-type", "application/json")], "{}")
            .starts_with("content type \"application/json\" carries no CloudEvent")
    );
    assert!(
        refusal(&[("content-type", "application/cloudevents+avro"), ("ce-id", "1")], "")
            .contains("carries no CloudEvent")
    );
    assert!(refusal(&[("ce-id", "1")], "").contains("source: expected a string, since it is required"));
}

#[test]
fn limits_hold() {
    let many = format!("[{}]", vec!["{}"; EVENTS_PER_REQUEST_MAX + 1].join(","));
    assert_eq!(refusal(&[LIST], &many), "the batch has 10001 events; at most 10000 are accepted");
    let large =
        json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": "x".repeat(EVENT_BYTES_MAX)})
            .to_string();
    assert!(refusal(&[JSON], &large).starts_with("event 1 (id \"1\") has "));
    let deep = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","deep":{}}}"#, "[".repeat(100_000));
    assert!(receive(&headers(&[JSON]), deep.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_request_panics(content_type in "(application/cloudevents(-batch)?\\+json|application/json|)", id in ".{0,5}", body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = receive(&headers(&[("content-type", &content_type), ("ce-id", &id)]), &body);
    }

    #[test]
    fn structured_events_round_trip(id in "[ -~]{1,10}", subject in "\\PC{1,10}", data in "\\PC{0,20}") {
        let event = json!({"specversion": "1.0", "id": id, "source": "s", "type": "t", "subject": subject, "data": {"text": data}});
        prop_assert_eq!(stored(&[JSON], event.to_string().as_bytes()), [event]);
    }
}
