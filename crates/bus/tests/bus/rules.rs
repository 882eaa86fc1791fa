//! Rules: what matches goes where it should, once the endpoint takes it, and nothing else goes anywhere.

use crate::endpoint::Endpoint;
use crate::kit::{Kit, event, put, until};
use millstream_bus::test;
use millstream_task::{DeploymentKey, DeploymentKind, Error, Topics};
use millstream_types::ErrorKind;
use serde_json::{Value, json};

#[tokio::test]
async fn matches_of_a_topic_go_to_a_topic_as_they_are() {
    let kit = Kit::new().await;
    kit.produce("flights", &[r#"{"dep_delay":  121}"#, r#"{"dep_delay": 120}"#, r#"{"dep_delay": null}"#, "{}"]).await;
    kit.rule(json!({"input": {"topic": "flights"}, "pattern": {"dep_delay": [{"numeric": [">", 120]}]}, "target": {"topic": "alerts"}})).await.unwrap();
    until("the alert", || !kit.values("alerts").is_empty()).await;
    kit.produce("flights", &[r#"{"dep_delay": 1e3}"#]).await;
    until("the second alert", || kit.values("alerts").len() == 2).await;
    let alerts = kit.topics.records("alerts", 0);
    assert_eq!((alerts.values.get(0), alerts.keys.get(0)), (Some(&br#"{"dep_delay":  121}"#[..]), Some(&b"k"[..])));
    assert_eq!(alerts.headers.get(0).collect::<Vec<_>>(), [("h", Some(&b"v"[..]))]);
}

#[tokio::test]
async fn matches_of_a_bus_are_by_the_envelope_and_may_be_transformed() {
    let kit = Kit::new().await;
    kit.rule(json!({
        "input": {"bus": "shop"},
        "pattern": {"type": [{"prefix": "order."}], "data": {"total": [{"numeric": [">=", 100]}]}},
        "target": {"topic": "large"},
        "transform": {"paths": {"order": "$.subject", "total": "$.data.total"}, "template": {"text": "<order>: <total>", "total": "<total>"}},
    }))
    .await
    .unwrap();
    put(&kit.buses, &[event("1", json!({"total": 99})), event("2", json!({"total": 100.5}))]).await.unwrap();
    until("the large order", || !kit.values("large").is_empty()).await;
    assert_eq!(kit.values("large"), [json!({"text": "order-2: 100.5", "total": 100.5})]);
}

#[tokio::test]
async fn an_endpoint_that_fails_is_tried_again_until_it_takes_the_event() {
    let kit = Kit::new().await;
    let endpoint = Endpoint::start(&kit.runtime.tasks, &[503, 0, 429]).await;
    let target = json!({"http": {"url": endpoint.url, "headers": {"authorization": "Bearer hush"}}});
    kit.rule(json!({"input": {"bus": "shop"}, "pattern": {"id": ["1"]}, "target": target})).await.unwrap();
    put(&kit.buses, &[event("1", json!({"a": 1})), event("2", json!({"a": 2}))]).await.unwrap();
    until("four requests", || endpoint.requests().len() == 4).await;
    assert_eq!(endpoint.script_left(), 0);
    let last = endpoint.requests().pop().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&last.body).unwrap(), event("1", json!({"a": 1})));
    assert!(
        last.head.contains("content-type: application/cloudevents+json")
            && last.head.contains("authorization: bearer hush"),
        "{}",
        last.head
    );
    // Its progress is committed, and nothing failed.
    let committed = || {
        (0..2)
            .filter_map(|partition| kit.topics.committed_offset("millstream-rule-r", "bus.shop", partition))
            .map(|offset| offset.0)
            .sum::<i64>()
    };
    until("the progress", || committed() == 2).await;
    assert_eq!(endpoint.requests().len(), 4);
}

#[tokio::test]
async fn what_can_not_be_delivered_or_read_goes_to_the_dead_letters() {
    let kit = Kit::new().await;
    // The first is refused for good; the second is tried twice.
    let endpoint = Endpoint::start(&kit.runtime.tasks, &[400, 500, 500]).await;
    kit.produce("orders", &[r#"{"n": 1}"#, r#"{"n": 2}"#, "not json", r#"{"n": 3}"#]).await;
    kit.rule(json!({
        "input": {"topic": "orders"},
        "pattern": {"n": [{"exists": true}]},
        "target": {"http": {"url": endpoint.url, "parallel": 1}},
        "retry": {"attempts": 2},
        "dead_letter_topic": "dead",
    }))
    .await
    .unwrap();
    until("the dead letters", || kit.topics.records("dead", 0).len() == 3).await;
    let dead = kit.topics.records("dead", 0);
    let cause = |at: usize| {
        let headers: std::collections::BTreeMap<_, _> = dead.headers.get(at).collect();
        (
            String::from_utf8(dead.values.get(at).unwrap().to_vec()).unwrap(),
            String::from_utf8(headers["millstream.error"].unwrap().to_vec()).unwrap(),
        )
    };
    assert_eq!(cause(0).0, r#"{"n": 1}"#);
    assert!(cause(0).1.ends_with("refused it: it answered 400 Bad Request"), "{}", cause(0).1);
    assert!(
        cause(1).1.ends_with("did not take it in 2 attempts: it answered 500 Internal Server Error"),
        "{}",
        cause(1).1
    );
    assert_eq!(cause(2).0, "not json");
    assert!(cause(2).1.starts_with("the value is not JSON"), "{}", cause(2).1);
    assert_eq!(endpoint.requests().len(), 4);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_costs_other_rules_nothing() {
    let kit = Kit::new().await;
    let nowhere = json!({"http": {"url": "http://127.0.0.1:1/"}});
    kit.rule(json!({"input": {"bus": "shop"}, "pattern": {"type": ["order.made"]}, "target": nowhere})).await.unwrap();
    let other = DeploymentKey { kind: DeploymentKind::Rule, name: "other".into() };
    kit.host
        .deploy(
            other,
            json!({"input": {"bus": "shop"}, "pattern": {"type": ["order.made"]}, "target": {"topic": "all"}}),
        )
        .await
        .unwrap();
    put(&kit.buses, &[event("1", json!(1))]).await.unwrap();
    until("the other rule's event", || kit.values("all").len() == 1).await;
}

#[tokio::test]
async fn a_rule_that_begins_at_the_end_sees_only_what_comes() {
    let kit = Kit::new().await;
    kit.produce("t", &[r#"{"n": 1}"#]).await;
    let spec = json!({"input": {"topic": "t"}, "pattern": {"n": [{"exists": true}]}, "target": {"topic": "out"}, "from": "latest"});
    let key = kit.rule(spec).await.unwrap();
    until("it runs", || {
        kit.host
            .status_one(&key)
            .is_some_and(|status| status.state == millstream_task::State::Running && !status.tasks.is_empty())
    })
    .await;
    until("its start is committed", || kit.topics.committed_offset("millstream-rule-r", "t", 0).is_some()).await;
    kit.produce("t", &[r#"{"n": 2}"#]).await;
    until("the new one", || kit.values("out") == [json!({"n": 2})]).await;
}

#[tokio::test]
async fn a_rule_on_a_bus_that_is_not_there_is_refused() {
    let kit = Kit::new().await;
    let error: Error =
        kit.rule(json!({"input": {"bus": "none"}, "pattern": {"a": [1]}, "target": {"topic": "x"}})).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    let error =
        kit.rule(json!({"input": {"topic": "a"}, "pattern": {"a": 1}, "target": {"topic": "x"}})).await.unwrap_err();
    assert_eq!(error.message, "rule \"r\": pattern field a: expected a list of tests, or an object, found 1");
    assert!(kit.topics.topic("x").is_none());
}

#[test]
fn a_test_says_which_rules_an_event_would_match() {
    let rule = |name: &str, pattern: Value| {
        (name.to_owned(), json!({"input": {"bus": "b"}, "pattern": pattern, "target": {"topic": "t"}}))
    };
    let rules = [
        rule("a", json!({"type": ["order.made"]})),
        rule("b", json!({"type": ["other"]})),
        rule("c", json!({"data": {"n": [1]}})),
    ];
    assert_eq!(test(&event("1", json!({"n": 1.0})), &rules).unwrap(), [true, false, true]);
    assert!(
        test(&json!({}), &[("x".to_owned(), json!({}))])
            .unwrap_err()
            .to_string()
            .starts_with("rule \"x\": missing field")
    );
}
