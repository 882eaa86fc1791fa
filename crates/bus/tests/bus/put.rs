//! Events onto a bus: once each, whole, by key.

use crate::kit::{Kit, event, put};
use millstream_bus::{Accepted, Buses};
use millstream_task::memory::Operation;
use millstream_task::{Topics, partition_of};
use millstream_types::ErrorKind;
use serde_json::json;

#[tokio::test]
async fn events_arrive_whole_in_the_partition_of_their_key() {
    let kit = Kit::new().await;
    let events: Vec<_> = (0..20).map(|id| event(&id.to_string(), json!({"total": id}))).collect();
    assert_eq!(put(&kit.buses, &events).await.unwrap(), Accepted { accepted: 20, duplicates: 0 });
    let mut stored = kit.values("bus.shop");
    stored.sort_by_key(|event| event["data"]["total"].as_i64());
    assert_eq!(stored, events);
    for partition in 0..2 {
        let records = kit.topics.records("bus.shop", partition);
        assert!(!records.is_empty());
        for at in 0..records.len() {
            assert_eq!(partition_of(records.keys.get(at).unwrap(), 2), partition);
            let headers: Vec<_> = records.headers.get(at).collect();
            assert_eq!(headers, [("content-type", Some(&b"application/cloudevents+json"[..]))]);
        }
    }
}

#[tokio::test]
async fn an_event_that_comes_again_is_known() {
    let kit = Kit::new().await;
    let one = event("1", json!(null));
    assert_eq!(put(&kit.buses, &[one.clone(), one.clone()]).await.unwrap(), Accepted { accepted: 1, duplicates: 1 });
    let mut elsewhere = one.clone();
    elsewhere["source"] = json!("/other");
    assert_eq!(put(&kit.buses, &[one, elsewhere]).await.unwrap(), Accepted { accepted: 1, duplicates: 1 });
    assert_eq!(kit.values("bus.shop").len(), 2);
}

#[tokio::test]
async fn after_a_restart_events_are_still_known() {
    let kit = Kit::new().await;
    let events: Vec<_> = (0..50).map(|id| event(&id.to_string(), json!("x".repeat(100)))).collect();
    put(&kit.buses, &events).await.unwrap();
    kit.produce("bus.shop", &["not an event"]).await;
    let restarted = Kit::buses(&kit.runtime, &kit.topics);
    assert_eq!(put(&restarted, &events).await.unwrap(), Accepted { accepted: 0, duplicates: 50 });
}

#[tokio::test]
async fn two_requests_with_the_same_event_write_it_once() {
    let kit = Kit::new().await;
    let events: Vec<_> = (0..30).map(|id| event(&id.to_string(), json!(id))).collect();
    let reversed: Vec<_> = events.iter().rev().cloned().collect();
    let requests = (0..8).map(|request| put(&kit.buses, if request % 2 == 0 { &events } else { &reversed }));
    let outcomes = futures::future::join_all(requests).await;
    let accepted: usize = outcomes.into_iter().map(|outcome| outcome.unwrap().accepted).sum();
    assert_eq!((accepted, kit.values("bus.shop").len()), (30, 30));
}

#[tokio::test]
async fn what_was_not_written_is_not_known() {
    let kit = Kit::new().await;
    kit.topics.fail_next(Operation::Append, 1, ErrorKind::Unavailable);
    let one = [event("1", json!(1))];
    assert_eq!(put(&kit.buses, &one).await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(put(&kit.buses, &one).await.unwrap(), Accepted { accepted: 1, duplicates: 0 });
}

#[tokio::test]
async fn nothing_of_a_batch_with_a_wrong_event_is_written() {
    let kit = Kit::new().await;
    let error = put(&kit.buses, &[event("1", json!(1)), json!({"id": "2"})]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.starts_with("event 2 of the batch"), "{error}");
    assert!(kit.values("bus.shop").is_empty());
}

#[tokio::test]
async fn a_bus_that_is_not_there_is_named() {
    let kit = Kit::new().await;
    let headers = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let error = kit.buses.put("none", &headers, "".into()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::NotFound, "there is no bus \"none\"; `millstream bus create none` makes it")
    );
    assert_eq!((Buses::bus_of("bus.a.b"), Buses::bus_of("bus."), Buses::bus_of("orders")), (Some("a.b"), None, None));
}

#[tokio::test]
async fn a_bus_made_again_knows_nothing() {
    let kit = Kit::new().await;
    let one = [event("1", json!(1))];
    put(&kit.buses, &one).await.unwrap();
    kit.topics.delete_topic("bus.shop");
    kit.topics.create("bus.shop", 1, &std::collections::BTreeMap::new()).await.unwrap();
    assert_eq!(put(&kit.buses, &one).await.unwrap().accepted, 1);
}
