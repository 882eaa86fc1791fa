//! Deploy, pause, resume, restart, reset, roll back, delete; progress over restarts.

use crate::kit::{Node, key, spec, state, until};
use millstream_task::memory::Operation;
use millstream_task::{Error, ResetTo, State, Topics};
use millstream_types::{ErrorKind, Offset, TimestampMs};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn records_go_through_and_progress_is_committed() {
    let node = Node::new();
    node.topic("in", 2).await;
    node.produce("in", 0, &["a", "drop", "b"]).await;
    node.produce("in", 1, &["c"]).await;
    let host = node.start();
    host.deploy(key(), spec(json!({"suffix": "!"}))).await.unwrap();
    until("both partitions are committed", || {
        [node.committed(0), node.committed(1)] == [Some(Offset(3)), Some(Offset(1))]
    })
    .await;
    assert_eq!(node.topics.topic("out").unwrap().partitions, 2);
    assert_eq!((node.values("out", 0), node.values("out", 1)), (vec!["a!".into(), "b!".into()], vec!["c!".into()]));
    assert_eq!(node.topics.records("out", 0).timestamps, [1, 1]);
    let status = host.status_one(&key()).unwrap();
    assert_eq!((status.state, status.generation, status.tasks.len()), (State::Running, 1, 2));
    assert_eq!((status.counts.records_in, status.counts.records_out, status.counts.records_dropped), (4, 3, 1));
    node.produce("in", 0, &["d"]).await;
    until("a later record is through", || node.values("out", 0).len() == 3).await;
    until("nothing is left", || host.status_one(&key()).unwrap().lag.unwrap().amount == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_crashed_before_its_commit_repeats_and_skips_nothing() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("the first is committed", || node.committed(0) == Some(Offset(1))).await;
    node.topics.fail_next(Operation::Commit, 1_000, ErrorKind::Unavailable);
    node.produce("in", 0, &["b", "c"]).await;
    until("the others are written", || node.values("out", 0).len() == 3).await;
    state(&host, &key(), State::Retrying).await;
    assert!(host.stop().await);
    assert_eq!(node.committed(0), Some(Offset(1)), "the commits failed");
    node.topics.clear_faults();
    let host = node.start();
    until("all is committed", || node.committed(0) == Some(Offset(3))).await;
    assert_eq!(node.values("out", 0), ["a", "b", "c", "b", "c"]);
    assert!(host.stop().await);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_commits_and_nothing_is_repeated() {
    let node = Node::new();
    node.topic("in", 1).await;
    let mut host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    for round in 1..=5 {
        node.produce("in", 0, &["x"]).await;
        until("it is written", || node.values("out", 0).len() >= round).await;
        assert!(host.stop().await);
        assert_eq!(node.committed(0), Some(Offset(round as i64)));
        host = node.start();
        until("it is idle", || host.status_one(&key()).unwrap().lag.is_some_and(|lag| lag.amount == 0)).await;
        assert_eq!(node.values("out", 0).len(), round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_from_the_end_misses_nothing_that_comes_after_its_deploy() {
    let node = Node::new();
    node.topic("in", 1).await;
    node.produce("in", 0, &["old"]).await;
    let host = node.start();
    host.deploy(key(), spec(json!({"latest": true}))).await.unwrap();
    until("its start is committed", || node.committed(0) == Some(Offset(1))).await;
    host.pause(&key()).await.unwrap();
    state(&host, &key(), State::Paused).await;
    node.produce("in", 0, &["new"]).await;
    host.resume(&key()).await.unwrap();
    until("the new one is through", || node.values("out", 0) == ["new"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_does_nothing_and_goes_on_where_it_was() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("the first is through", || node.values("out", 0) == ["a"]).await;
    host.pause(&key()).await.unwrap();
    let paused = state(&host, &key(), State::Paused).await;
    assert_eq!(paused.counts.records_in, 1);
    node.produce("in", 0, &["b"]).await;
    assert!(host.stop().await);
    let host = node.start();
    state(&host, &key(), State::Paused).await;
    assert_eq!(node.values("out", 0), ["a"]);
    host.resume(&key()).await.unwrap();
    until("the second is through", || node.values("out", 0) == ["a", "b"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_generation_goes_on_from_the_last_committed_offset_and_can_be_rolled_back() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), spec(json!({"suffix": "1"}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("the first is through", || node.values("out", 0) == ["a1"]).await;
    host.deploy(key(), spec(json!({"suffix": "2"}))).await.unwrap();
    until("the second runs", || {
        host.status_one(&key()).is_some_and(|now| now.generation == 2 && now.state == State::Running)
    })
    .await;
    node.produce("in", 0, &["b"]).await;
    until("the next is through", || node.values("out", 0) == ["a1", "b2"]).await;
    assert_eq!(host.rollback(&key(), Some(1)).await.unwrap().generation, 3);
    until("the third runs", || {
        host.status_one(&key()).is_some_and(|now| now.generation == 3 && now.state == State::Running)
    })
    .await;
    node.produce("in", 0, &["c"]).await;
    until("it has the first one's suffix", || node.values("out", 0) == ["a1", "b2", "c1"]).await;
    assert_eq!(host.rollback(&key(), Some(7)).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_reset_reads_again_from_where_it_says() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    node.produce("in", 0, &["a", "b"]).await;
    until("both are committed", || node.committed(0) == Some(Offset(2))).await;
    host.reset(&key(), ResetTo::Offset(Offset(1))).await.unwrap();
    until("the second came again", || node.values("out", 0) == ["a", "b", "b"]).await;
    host.reset(&key(), ResetTo::Time(TimestampMs(0))).await.unwrap();
    until("both came again", || node.values("out", 0).len() == 5).await;
    host.pause(&key()).await.unwrap();
    state(&host, &key(), State::Paused).await;
    host.reset(&key(), ResetTo::Earliest).await.unwrap();
    assert_eq!(node.committed(0), Some(Offset(0)));
    host.reset(&key(), ResetTo::Latest).await.unwrap();
    assert_eq!((node.committed(0), node.values("out", 0).len()), (Some(Offset(2)), 5));
    let error = host.reset(&key(), ResetTo::Offset(Offset(9))).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, "offset 9 is not in in-0: it has 0 to 2"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_deployment_leaves_no_progress_behind() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), spec(json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("it is committed", || node.committed(0) == Some(Offset(1))).await;
    host.delete(&key()).await.unwrap();
    assert_eq!((node.committed(0), host.status_one(&key())), (None, None));
    assert_eq!(host.delete(&key()).await.unwrap_err().kind, ErrorKind::NotFound);
    host.deploy(key(), spec(json!({}))).await.unwrap();
    until("it begins anew", || node.values("out", 0) == ["a", "a"]).await;
}

#[tokio::test(start_paused = true)]
async fn new_partitions_of_the_input_are_read_from_their_start() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), spec(json!({"latest": true}))).await.unwrap();
    state(&host, &key(), State::Running).await;
    node.topics.grow("in", 2);
    node.produce("in", 1, &["a"]).await;
    until("it is through", || node.values("out", 0) == ["a"]).await;
    assert_eq!(host.status_one(&key()).unwrap().tasks.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_validation_is_not_stored() {
    let node = Node::new();
    let host = node.start();
    assert_eq!(host.deploy(key(), json!(1)).await, Err(Error::new(ErrorKind::Invalid, "expected an object")));
    let mut unnamable = key();
    unnamable.name = "a b".into();
    assert_eq!(host.deploy(unnamable, spec(json!({}))).await.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(host.deployments(), []);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_gathers_is_given_again_what_it_held() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), json!({"gather": true})).await.unwrap();
    node.produce("in", 0, &["a", "b", "c", "d"]).await;
    until("three are settled", || node.committed(0) == Some(Offset(3))).await;
    assert!(host.stop().await);
    assert_eq!(node.committed(0), Some(Offset(3)));
    node.produce("in", 0, &["e", "f"]).await;
    let _host = node.start();
    until("the held one came again", || node.committed(0) == Some(Offset(6))).await;
}
