//! Error policies, retries, blame, lost input, and what an operator must not do.

use crate::kit::{Node, key, spec, state, until};
use millstream_record::Columns;
use millstream_task::memory::Operation;
use millstream_task::{DeploymentStore, ResetTo, State};
use millstream_types::{ErrorKind, Offset};
use serde_json::json;
use std::sync::atomic::Ordering;

fn header(records: &Columns, at: usize, name: &str) -> String {
    let found = records.headers.get(at).find(|(header, _)| *header == name).unwrap();
    String::from_utf8(found.1.unwrap().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn fail_stops_before_the_record_and_a_better_generation_goes_on_there() {
    let node = Node::new();
    node.topic("in", 1).await;
    node.produce("in", 0, &["a", "bad", "b"]).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    let failed = state(&host, &key(), State::Failed).await;
    let error = failed.error.unwrap();
    assert!(
        error.message.starts_with("the record at offset 1 of in-0 can't be processed: bad is bad;"),
        "{}",
        error.message
    );
    assert_eq!((node.values("out", 0), node.committed(0)), (vec!["a".to_owned()], Some(Offset(1))));
    host.deploy(key(), spec(json!({"policy": "skip"}))).await.unwrap();
    until("the rest is through", || node.values("out", 0) == ["a", "b"]).await;
    until("it runs", || host.status_one(&key()).unwrap().state == State::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_deployment_stays_so_over_a_restart_of_its_node_and_resume_tries_again() {
    let node = Node::new();
    node.topic("in", 1).await;
    node.produce("in", 0, &["bad"]).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    state(&host, &key(), State::Failed).await;
    assert!(host.stop().await);
    let host = node.start();
    state(&host, &key(), State::Failed).await;
    let calls = node.kind.calls.load(Ordering::SeqCst);
    host.resume(&key()).await.unwrap();
    until("it tried again", || node.kind.calls.load(Ordering::SeqCst) > calls).await;
    state(&host, &key(), State::Failed).await;
    assert_eq!(node.committed(0), Some(Offset(0)));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_carry_their_cause() {
    let node = Node::new();
    node.topic("in", 1).await;
    node.produce("in", 0, &["a", "bad1", "b", "bad2"]).await;
    let host = node.start();
    host.deploy(key(), spec(json!({"policy": "dead-letter"}))).await.unwrap();
    until("all is committed", || node.committed(0) == Some(Offset(4))).await;
    assert_eq!(
        (node.values("out", 0), node.values("dead", 0)),
        (vec!["a".into(), "b".into()], vec!["bad1".into(), "bad2".into()])
    );
    let letters = node.topics.records("dead", 0);
    assert_eq!(header(&letters, 1, "millstream.error"), "bad2 is bad");
    assert_eq!(header(&letters, 1, "millstream.source.offset"), "3");
    assert_eq!(header(&letters, 1, "millstream.deployment"), "function/f");
    let counts = host.status_one(&key()).unwrap().counts;
    assert_eq!((counts.records_failed, counts.dead_letters, counts.records_out), (2, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_one_record_that_a_batch_choked_on_is_found_and_the_others_go_through() {
    let node = Node::new();
    node.topic("in", 1).await;
    node.produce("in", 0, &["a", "b", "poison1", "c", "d", "poison2", "e"]).await;
    let host = node.start();
    host.deploy(key(), spec(json!({"policy": "dead-letter"}))).await.unwrap();
    until("all is committed", || node.committed(0) == Some(Offset(7))).await;
    assert_eq!(node.values("out", 0), ["a", "b", "c", "d", "e"]);
    assert_eq!(node.values("dead", 0), ["poison1", "poison2"]);
    assert_eq!(header(&node.topics.records("dead", 0), 0, "millstream.error"), "trapped");
}

#[tokio::test(start_paused = true)]
async fn under_fail_the_search_ends_at_the_first_record_to_blame() {
    let node = Node::new();
    node.topic("in", 1).await;
    node.produce("in", 0, &["a", "poison1", "b", "poison2"]).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    let failed = state(&host, &key(), State::Failed).await;
    assert!(failed.error.unwrap().message.contains("offset 1 of in-0 can't be processed: trapped"));
    assert_eq!((node.values("out", 0), node.committed(0)), (vec!["a".to_owned()], Some(Offset(1))));
    // All four, the first two, the first, the second.
    assert_eq!(node.kind.calls.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn what_may_work_later_is_tried_again_until_it_does() {
    let node = Node::new();
    node.topic("in", 1).await;
    node.produce("in", 0, &["a"]).await;
    node.kind.plans_to_fail.store(3, Ordering::SeqCst);
    node.kind.batches_to_fail.store(3, Ordering::SeqCst);
    node.topics.fail_next(Operation::Create, 2, ErrorKind::Unavailable);
    node.topics.fail_next(Operation::Read, 2, ErrorKind::NotLeader);
    node.topics.fail_next(Operation::Append, 2, ErrorKind::Timeout);
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    assert_eq!(state(&host, &key(), State::Retrying).await.error.unwrap().message, "not yet");
    until("it is committed", || node.committed(0) == Some(Offset(1))).await;
    assert_eq!(node.values("out", 0), ["a"]);
    let status = state(&host, &key(), State::Running).await;
    assert!(status.counts.retries >= 7, "{:?}", status.counts);
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_not_there_yet_is_waited_for() {
    let node = Node::new();
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    let waiting = state(&host, &key(), State::Retrying).await;
    assert!(waiting.error.unwrap().message.contains("\"in\" does not exist"));
    node.topic("in", 1).await;
    node.produce("in", 0, &["a"]).await;
    until("it is through", || node.values("out", 0) == ["a"]).await;
}

#[tokio::test(start_paused = true)]
async fn input_deleted_before_it_was_read_stops_the_deployment_until_a_reset() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("the first is committed", || node.committed(0) == Some(Offset(1))).await;
    host.pause(&key()).await.unwrap();
    state(&host, &key(), State::Paused).await;
    node.produce("in", 0, &["b", "c"]).await;
    node.produce("in", 0, &["d"]).await;
    node.topics.delete_before("in", 0, Offset(3));
    host.resume(&key()).await.unwrap();
    let message = state(&host, &key(), State::Failed).await.error.unwrap().message;
    assert!(
        message.starts_with(
            "2 records of in-0 were deleted before they were read (next to read: 1, the log now starts at 3)"
        ),
        "{message}"
    );
    assert!(message.contains("reset to earliest"), "{message}");
    host.reset(&key(), ResetTo::Earliest).await.unwrap();
    until("what is left is through", || node.values("out", 0) == ["a", "d"]).await;
    state(&host, &key(), State::Running).await;
}

#[tokio::test(start_paused = true)]
async fn an_input_topic_that_is_deleted_stops_the_deployment_with_that_cause() {
    let node = Node::new();
    node.topic("in", 2).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    state(&host, &key(), State::Running).await;
    node.topics.delete_topic("in");
    let error = state(&host, &key(), State::Failed).await.error.unwrap();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("the input topic \"in\" was deleted"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_its_own_input_is_refused() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), json!({"to": "in"})).await.unwrap();
    let error = state(&host, &key(), State::Failed).await.error.unwrap();
    assert!(error.message.contains("\"in\" is both its input and its output"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_its_output_does_not_take_goes_by_the_policy() {
    let node = Node::new();
    node.topic("in", 1).await;
    let long = "x".repeat(60);
    node.produce("in", 0, &["a", &long, "b"]).await;
    // Dead letters are larger than what they report, so that only skip can pass here.
    node.topics.set_append_bytes_max(50);
    let host = node.start();
    host.deploy(key(), spec(json!({"policy": "skip"}))).await.unwrap();
    until("all is committed", || node.committed(0) == Some(Offset(3))).await;
    assert_eq!(node.values("out", 0), ["a", "b"]);
    assert_eq!(host.status_one(&key()).unwrap().counts.records_failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_operator_fails_its_deployment_and_nothing_else() {
    let node = Node::new();
    node.topic("in", 1).await;
    node.produce("in", 0, &["panic"]).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    let error = state(&host, &key(), State::Failed).await.error.unwrap();
    assert_eq!(error.kind, ErrorKind::Internal);
    let mut other = key();
    other.name = "g".into();
    node.topics.delete_before("in", 0, Offset(1));
    host.deploy(other.clone(), spec(json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("the other works", || node.values("out", 0) == ["a"]).await;
    state(&host, &other, State::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_came_between_is_a_conflict() {
    let node = Node::new();
    let host = node.start();
    let first = host.deploy(key(), spec(json!({}))).await.unwrap();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    let late = millstream_task::Deployment { generation: 1, ..first };
    assert_eq!(node.store.put(late).await.unwrap_err().kind, ErrorKind::Conflict);
}
