//! Events that are no CloudEvents, buses and rules that can't be.

use crate::kit::{deployment, file, post, refused, says};
use millstream_e2e::{Bystander, Node};

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn with(rest: &str) -> String {
    format!(r#"{{"specversion":"1.0","source":"/s","type":"t",{rest}}}"#)
}

/// Content type, body, and what is said of it.
fn no_events() -> Vec<(&'static str, String, &'static [&'static str])> {
    vec![
        (
            ONE,
            r#"{"specversion":"1.0","id":"1","source":"/s"}"#.into(),
            &["type: expected a string, since it is required", "found nothing"],
        ),
        (
            ONE,
            r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#.into(),
            &["specversion: expected \"1.0\", found \"0.3\""],
        ),
        (ONE, with(r#""id":"""#), &["id: expected a string that is not empty"]),
        (ONE, with(r#""id":7"#), &["id: expected a string that is not empty, found 7"]),
        (ONE, with(r#""id":"1","time":"yesterday""#), &["time: expected a time as in RFC 3339", "found \"yesterday\""]),
        (ONE, with(r#""id":"1","Bad-Name":"x""#), &["Bad-Name: expected an attribute's name of lower-case letters"]),
        (
            ONE,
            with(r#""id":"1","data":1,"data_base64":"AA==""#),
            &["data_base64: expected nothing, since there is data"],
        ),
        (ONE, with(r#""id":"1","data_base64":"***""#), &["data_base64: expected a string in base64, found \"***\""]),
        (ONE, r#"{"specversion":"#.into(), &["the body is not JSON", "line 1 column 15"]),
        (ONE, String::new(), &["the body is not JSON", "EOF"]),
        (ONE, "[1]".into(), &["expected a JSON object, found [1]"]),
        (ONE, "[".repeat(100_000), &["the body is not JSON"]),
        (
            BATCH,
            format!("[{},{{\"id\":\"6\"}}]", with(r#""id":"5""#)),
            &["event 2 of the batch is not a CloudEvent 1.0", "source"],
        ),
        (BATCH, "{}".into(), &["batch: expected a JSON array of events, found {}"]),
        (BATCH, "[[]]".into(), &["event 1 of the batch", "expected a JSON object"]),
        ("application/json", "{}".into(), &["content type \"application/json\" carries no CloudEvent", "ce-* headers"]),
        ("text/plain", "hello".into(), &["content type \"text/plain\" carries no CloudEvent"]),
        (
            ONE,
            with(&format!(r#""id":"1","data":"{}""#, "x".repeat(1_000_000))),
            &["(id \"1\") has 1000", "at most 1000000 are accepted"],
        ),
    ]
}

#[test]
fn what_is_no_cloud_event_is_refused_by_the_attribute_that_is_wrong() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    node.ok(&["bus", "create", "shop"]);
    for (content_type, body, words) in no_events() {
        let (status, answer) = post(&node, "/v1/buses/shop/events", &[("content-type", content_type)], body);
        assert_eq!(status, 400, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["kind"], "invalid");
        says(answer["error"]["message"].as_str().unwrap(), words);
        bystander.goes_on();
    }
    let binary = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s")];
    let (status, answer) = post(&node, "/v1/buses/shop/events", &binary, "x");
    assert_eq!(status, 400, "{answer}");
    says(&answer, &["type: expected a string, since it is required"]);
    let event = with(r#""id":"1""#);
    let (status, answer) = post(&node, "/v1/buses/none/events", &[("content-type", ONE)], event.clone());
    assert_eq!(status, 404, "{answer}");
    says(&answer, &["no bus \\\"none\\\"", "millstream bus create none"]);
    let broken = file(&node, "broken.json", "{\"specversion\":");
    refused(&node, &["bus", "put", "shop", &broken], 2, &["broken.json is not a CloudEvent in JSON", "column 15"]);
    // Nothing of all that is on the bus; what is an event still gets there.
    assert_eq!(node.ok(&["topic", "consume", "bus.shop"]), "");
    assert_eq!(post(&node, "/v1/buses/shop/events", &[("content-type", ONE)], event).0, 202);
    bystander.unharmed(&node);
}

#[test]
fn a_rule_that_can_not_be_is_refused_by_its_field() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    node.ok(&["bus", "create", "shop"]);
    let create = |args: &[&str], code: i32, words: &[&str]| {
        refused(&node, &[&["rule", "create", "r"], args].concat(), code, words);
    };
    let to = ["--to-topic", "out"];
    let on = |pattern: &'static str| ["--bus", "shop", "--to-topic", "out", "--pattern", pattern];
    create(&on("{\"type\":"), 2, &["--pattern is not JSON", "column 8"]);
    create(
        &on(r#"{"type":"x"}"#),
        1,
        &["rule \"r\": pattern field type: expected a list of tests, or an object, found \"x\""],
    );
    create(&on(r#"{"d":{"n":[{"numerc":[">",1]}]}}"#), 1, &["pattern field d.n", "numeric", "found {\"numerc\""]);
    create(
        &on(r#"{"n":[{"numeric":[">","x"]}]}"#),
        1,
        &["pattern field n.numeric: expected a list such as", "found [\">\",\"x\"]"],
    );
    create(
        &["--bus", "none", "--pattern", r#"{"a":[1]}"#, to[0], to[1]],
        1,
        &["no bus \"none\"", "millstream bus create none"],
    );
    create(
        &["--bus", "shop", "--pattern", r#"{"a":[1]}"#, "--to-url", "nowhere"],
        1,
        &["target.http.url: expected an address such as https://", "found \"nowhere\""],
    );
    create(
        &["--bus", "shop", "--pattern", r#"{"a":[1]}"#],
        1,
        &["missing field `target`", "millstream rule create --help"],
    );
    create(&["--bus", "shop", to[0], to[1]], 1, &["missing field `pattern`"]);
    create(
        &["--topic", "out", "--pattern", r#"{"a":[1]}"#, to[0], to[1]],
        1,
        &["would read what it writes", "\"out\"", "choose another topic"],
    );
    let deep = format!("{}[1]{}", "{\"a\":".repeat(2_000), "}".repeat(2_000));
    create(
        &["--bus", "shop", "--pattern", &deep, to[0], to[1]],
        2,
        &["--pattern is not JSON: recursion limit exceeded"],
    );
    refused(&node, &["bus", "create", "bad name"], 1, &["\"bus.bad name\"", "only ASCII letters, digits"]);
    refused(&node, &["bus", "create", "shop"], 1, &["exists already"]);
    refused(&node, &["bus", "describe", "none"], 1, &["no bus \"none\""]);
    assert!(node.ok(&["rule", "list", "-o", "json"]).is_empty(), "nothing of that is deployed");
    bystander.unharmed(&node);
}

#[test]
fn a_record_that_is_no_event_does_not_stop_a_rule_that_skips_it() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "mixed"]);
    let records = r#"{"records":[{"value":"{\"a\":1}"},{"value":"not JSON"},{"value":null},{"value":"{\"a\":1}"}]}"#;
    assert_eq!(post(&node, "/v1/topics/mixed/records", &[("content-type", "application/json")], records).0, 200);
    let rule = ["rule", "create", "ones", "--topic", "mixed", "--pattern", r#"{"a":[1]}"#];
    node.ok(&[&rule[..], &["--to-topic", "matched", "--dead-letter-topic", "letters"]].concat());
    deployment(&node, "rule", "ones", |row| row["lag"] == 0);
    assert_eq!(node.ok(&["topic", "consume", "matched"]).lines().count(), 2);
    bystander.unharmed(&node);
}
