//! The CloudEvents SDKs for Python and JavaScript: what they post to a bus arrives whole, in each mode that they have; rules route it; and
//! they read it from the bus's topic as the events they posted.

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Node, Record, eventually, run_script};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Structured,
    Binary,
    Batch,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Structured, Self::Binary, Self::Batch];

    fn word(self) -> &'static str {
        match self {
            Self::Structured => "structured",
            Self::Binary => "binary",
            Self::Batch => "batch",
        }
    }
}

/// Every attribute, extensions, and every kind of data that a mode of an SDK can carry, in the structured form.
fn events(program: &str, mode: Mode) -> Vec<Value> {
    // The JavaScript SDK puts attributes into HTTP headers as they are, where only ASCII can stand.
    let ascii_only = program == "events.js" && mode == Mode::Binary;
    let subject = if ascii_only { "orders/1" } else { "Z\u{fc}rich \u{2192} 100% \"now\" \u{1f600}" };
    let mut made = vec![
        json!({"type": "order", "subject": subject, "time": "2026-01-31T12:00:00.250Z", "datacontenttype": "application/json",
            "dataschema": "https://example.org/order.json", "traceparent": "00-aa-bb-01", "count": 7,
            "data": {"amount": 500, "big": 9_007_199_254_740_993_i64, "name": "caf\u{e9} \u{2603}", "nested": [{"a": null}, true, 1.5]}}),
        json!({"type": "order", "time": "2026-01-31T12:00:01Z", "datacontenttype": "application/json", "data": {"amount": 5}}),
        json!({"type": "note", "time": "2026-01-31T12:00:02Z", "datacontenttype": "text/plain", "data": "plain, \u{fc}ber \"all\"\nlines"}),
        json!({"type": "picture", "time": "2026-01-31T12:00:03Z", "datacontenttype": "application/octet-stream",
            "data_base64": STANDARD.encode((0..=255).collect::<Vec<u8>>())}),
        json!({"type": "ping", "time": "2026-01-31T12:00:04Z", "datacontenttype": "application/json"}),
    ];
    if program == "events.js" {
        // A double holds no more than this.
        made[0]["data"]["big"] = json!(9_007_199_254_740_991_i64);
    }
    for (n, event) in made.iter_mut().enumerate() {
        event["specversion"] = json!("1.0");
        event["source"] = json!(format!("/{program}/{}", mode.word()));
        event["id"] = json!(n.to_string());
    }
    made
}

/// The same moment is written in more than one way: `.250000+00:00` is `.250Z`.
fn instant(text: &str) -> String {
    let text = text.replace("+00:00", "Z");
    let Some((whole, fraction)) = text.trim_end_matches('Z').split_once('.') else { return text };
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{whole}Z") } else { format!("{whole}.{fraction}Z") }
}

/// An event as it is compared.
fn plain(mut event: Value) -> Value {
    if let Some(time) = event.get("time").and_then(Value::as_str).map(instant) {
        event["time"] = json!(time);
    }
    event
}

/// What an event is after its journey: in HTTP headers attributes have no type but text.
fn arrived(mode: Mode, event: &Value) -> Value {
    let mut event = event.clone();
    if mode == Mode::Binary
        && let Some(count) = event.get("count").map(Value::to_string)
    {
        event["count"] = json!(count);
    }
    plain(event)
}

fn value_of(record: &Record) -> Value {
    serde_json::from_slice(&STANDARD.decode(record["value"].as_str().unwrap()).unwrap()).unwrap()
}

/// The events of one source, by id.
fn of_source(events: &[Value], source: &Value) -> Vec<Value> {
    let mut found: Vec<Value> = events.iter().filter(|event| event["source"] == *source).cloned().collect();
    found.sort_by_key(|event| event["id"].as_str().map(str::to_owned));
    found
}

/// Whether JavaScript can hold it: numbers are doubles there, and its SDK turns bytes into 32-bit numbers on reading.
fn is_for_javascript(event: &Value) -> bool {
    event["data"]["big"] != 9_007_199_254_740_993_i64 && event.get("data_base64").is_none()
}

#[test]
fn what_the_sdks_post_arrives_whole_is_routed_and_is_read_by_them() {
    let node = Node::start(&[]);
    node.ok(&["bus", "create", "shop", "--partitions", "3"]);
    let pattern = json!({"type": ["order"], "data": {"amount": [{"numeric": [">", 100]}]}}).to_string();
    node.ok(&["rule", "create", "large", "--bus", "shop", "--pattern", &pattern, "--to-topic", "large-orders"]);
    let url = format!("http://{}/v1/buses/shop/events", node.http);
    let mut posted = 0;
    for program in ["events.py", "events.js"] {
        for mode in Mode::ALL {
            let events = events(program, mode);
            // What comes again, with the same source and id, is known.
            let with_first_again = [&events[..], &events[..1]].concat();
            let answers = run_script(program, &["post", &url, mode.word()], &with_first_again);
            let sum = |field: &str| answers.iter().map(|answer| answer[field].as_u64().unwrap()).sum::<u64>();
            assert_eq!(
                (sum("accepted"), sum("duplicates")),
                (events.len() as u64, 1),
                "{program} {mode:?}: {answers:?}"
            );
            posted += events.len();
        }
    }
    let records = Family::Librdkafka.consume(&node.kafka, "bus.shop", posted);
    let rows = node.ok(&["topic", "list", "-o", "json"]);
    assert!(
        rows.lines().any(|row| row.contains("\"bus.shop\"") && row.contains(&format!("\"records\":{posted}"))),
        "{rows}"
    );
    let routed = eventually("the rule has routed all that match", PATIENCE, || {
        let lines = node.ok(&["topic", "consume", "large-orders"]);
        (lines.lines().count() == 6).then_some(lines)
    });
    let routed: Vec<Value> = routed.lines().map(|line| plain(serde_json::from_str(line).unwrap())).collect();
    let lying: Vec<Value> = records.iter().map(value_of).map(plain).collect();
    let by_python: Vec<Value> = run_script("events.py", &["read"], &records).into_iter().map(plain).collect();
    let scripted: Vec<Record> = records.iter().filter(|record| is_for_javascript(&value_of(record))).cloned().collect();
    let by_javascript: Vec<Value> = run_script("events.js", &["read"], &scripted).into_iter().map(plain).collect();
    for program in ["events.py", "events.js"] {
        for mode in Mode::ALL {
            let expected: Vec<Value> = events(program, mode).iter().map(|event| arrived(mode, event)).collect();
            let source = &expected[0]["source"];
            assert_eq!(of_source(&lying, source), expected, "{program} {mode:?}: as it lies in the topic");
            assert_eq!(of_source(&by_python, source), expected, "{program} {mode:?}: as the Python SDK reads it");
            let readable: Vec<Value> = expected.iter().filter(|event| is_for_javascript(event)).cloned().collect();
            assert_eq!(
                of_source(&by_javascript, source),
                readable,
                "{program} {mode:?}: as the JavaScript SDK reads it"
            );
            assert_eq!(of_source(&routed, source), expected[..1], "{program} {mode:?}: as the rule routed it");
        }
    }
}
