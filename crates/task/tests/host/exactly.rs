//! Exactly once: outputs and progress in one transaction of all tasks, undone and done again after whatever goes wrong.

use crate::kit::{Node, key, spec, state, until};
use millstream_runtime::{Random, SeededRandom};
use millstream_task::memory::Operation;
use millstream_task::{Host, ResetTo, State, Topics};
use millstream_types::{ErrorKind, LeaderEpoch, Offset};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// So long between two commits that only a stop commits.
const NEVER_MS: u64 = 60_000;

fn exactly(interval_ms: u64, more: Value) -> Value {
    let mut spec = spec(more);
    spec["exactly"] = json!(interval_ms);
    spec
}

/// The offsets of a partition that are taken, ends of transactions included.
async fn end(node: &Node, topic: &str) -> i64 {
    let partition = node.topics.topic(topic).unwrap().topic_partitions().next().unwrap();
    node.topics.bounds(partition).await.unwrap().high_watermark.0
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn outputs_are_seen_only_with_the_progress_that_led_to_them() {
    let node = Node::new();
    node.topic("in", 2).await;
    let host = node.start();
    host.deploy(key(), exactly(5_000, json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    node.produce("in", 1, &["b"]).await;
    until("both are written", || node.topics.open_transactions() == 2).await;
    pass(Duration::from_secs(2)).await;
    assert_eq!((node.values("out", 0).len(), node.values("out", 1).len()), (0, 0));
    assert_eq!((node.committed(0), node.committed(1)), (Some(Offset(0)), Some(Offset(0))));
    until("the first is there", || node.values("out", 0) == ["a"]).await;
    assert_eq!((node.values("out", 1), node.topics.open_transactions()), (vec!["b".to_owned()], 0), "all at once");
    assert_eq!((node.committed(0), node.committed(1)), (Some(Offset(1)), Some(Offset(1))));
    let epoch = node.topics.committed_epoch("millstream-function-f", "in", 0);
    assert_eq!(epoch, Some(LeaderEpoch::FIRST), "that of the batch that was read");
    let shown = host.status_one(&key()).unwrap();
    assert_eq!(shown.tasks.iter().map(|task| task.committed).collect::<Vec<_>>(), [Some(Offset(1)), Some(Offset(1))]);
}

#[tokio::test(start_paused = true)]
async fn many_batches_share_a_commit_and_none_is_made_where_nothing_is_done() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), exactly(1_000, json!({}))).await.unwrap();
    for _ in 0..20 {
        node.produce("in", 0, &["x"]).await;
        pass(Duration::from_millis(10)).await;
    }
    until("all are there", || node.committed(0) == Some(Offset(20))).await;
    let calls = node.kind.calls.load(Ordering::SeqCst);
    assert!(calls >= 10, "{calls} batches");
    assert_eq!((node.values("out", 0).len(), end(&node, "out").await), (20, 21), "twenty records and one end");
    pass(Duration::from_secs(600)).await;
    assert_eq!(end(&node, "out").await, 21);
}

#[tokio::test(start_paused = true)]
async fn input_is_not_read_before_its_transaction_is_committed() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), exactly(100, json!({}))).await.unwrap();
    let client = node.topics.producer("client", Duration::from_secs(60)).await.unwrap();
    let partition = node.topics.topic("in").unwrap().topic_partitions().next().unwrap();
    let mut record = millstream_record::Columns::default();
    record.push(1, None, Some(b"kept"), []);
    client.append(partition, &record).await.unwrap();
    pass(Duration::from_secs(5)).await;
    assert_eq!(node.kind.calls.load(Ordering::SeqCst), 0);
    client.commit("g", &[]).await.unwrap();
    until("it is through", || node.values("out", 0) == ["kept"]).await;
    client.append(partition, &record).await.unwrap();
    node.topics.abort("client").await.unwrap();
    node.produce("in", 0, &["after"]).await;
    until("what comes after is through", || node.values("out", 0) == ["kept", "after"]).await;
    until("up to the end", || node.committed(0) == Some(Offset(5))).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_failed_is_undone_with_all_since_the_last_commit_and_done_again() {
    for kind in [ErrorKind::Timeout, ErrorKind::Unavailable, ErrorKind::Conflict, ErrorKind::Fenced] {
        let node = Node::new();
        node.topic("in", 1).await;
        let host = node.start();
        host.deploy(key(), exactly(1_000, json!({}))).await.unwrap();
        node.produce("in", 0, &["a"]).await;
        until("the first is written", || node.topics.open_transactions() == 1).await;
        node.produce("in", 0, &["b"]).await;
        node.topics.fail_next(Operation::Append, 1, kind);
        let retrying = state(&host, &key(), State::Retrying).await;
        assert!(retrying.error.unwrap().message.contains("could not write to out"), "{kind:?}");
        until("all is committed", || node.committed(0) == Some(Offset(2))).await;
        assert_eq!((node.values("out", 0), node.topics.open_transactions()), (vec!["a".into(), "b".into()], 0));
        state(&host, &key(), State::Running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_found_out() {
    for (operation, kind) in [
        (Operation::End, ErrorKind::Unavailable),
        (Operation::Ended, ErrorKind::Timeout),
        (Operation::Ended, ErrorKind::NotLeader),
    ] {
        let node = Node::new();
        node.topic("in", 1).await;
        let host = node.start();
        host.deploy(key(), exactly(100, json!({}))).await.unwrap();
        node.topics.fail_next(operation, 1, kind);
        node.produce("in", 0, &["a", "b"]).await;
        until("all is committed", || node.committed(0) == Some(Offset(2))).await;
        node.produce("in", 0, &["c"]).await;
        until("what comes after too", || node.committed(0) == Some(Offset(3))).await;
        assert_eq!(node.values("out", 0), ["a", "b", "c"], "{operation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_of_the_same_transaction() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), exactly(1_000, json!({"policy": "dead-letter"}))).await.unwrap();
    node.produce("in", 0, &["a", "poison", "b"]).await;
    until("both topics are written", || node.topics.open_transactions() == 2).await;
    assert_eq!((node.values("out", 0).len(), node.values("dead", 0).len()), (0, 0));
    node.topics.fail_next(Operation::End, 1, ErrorKind::Unavailable);
    until("all is committed", || node.committed(0) == Some(Offset(3))).await;
    assert_eq!(
        (node.values("out", 0), node.values("dead", 0)),
        (vec!["a".into(), "b".into()], vec!["poison".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_record_that_stops_a_function_is_committed() {
    for culprit in ["bad", "poison"] {
        let node = Node::new();
        node.topic("in", 1).await;
        node.produce("in", 0, &["a", culprit, "b"]).await;
        let host = node.start();
        host.deploy(key(), exactly(NEVER_MS, json!({}))).await.unwrap();
        state(&host, &key(), State::Failed).await;
        until("it is committed", || node.committed(0) == Some(Offset(1))).await;
        assert_eq!((node.values("out", 0), node.topics.open_transactions()), (vec!["a".to_owned()], 0));
        host.deploy(key(), exactly(100, json!({"policy": "skip"}))).await.unwrap();
        until("the rest is through", || node.values("out", 0) == ["a", "b"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_an_output_does_not_take_leave_the_transaction_whole() {
    let node = Node::new();
    node.topic("in", 1).await;
    let long = "x".repeat(60);
    node.produce("in", 0, &["a", &long, "b"]).await;
    node.topics.set_append_bytes_max(50);
    let host = node.start();
    host.deploy(key(), exactly(100, json!({"policy": "skip"}))).await.unwrap();
    until("all is committed", || node.committed(0) == Some(Offset(3))).await;
    assert_eq!(node.values("out", 0), ["a", "b"]);
    assert_eq!(host.status_one(&key()).unwrap().counts.retries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_output_stops_the_deployment_and_leaves_nothing_open() {
    let node = Node::new();
    node.topic("in", 2).await;
    let host = node.start();
    host.deploy(key(), exactly(NEVER_MS, json!({"policy": "dead-letter"}))).await.unwrap();
    node.produce("in", 1, &["bad"]).await;
    until("a dead letter is written", || node.topics.open_transactions() == 1).await;
    node.topics.delete_topic("out");
    node.produce("in", 0, &["a"]).await;
    let error = state(&host, &key(), State::Failed).await.error.unwrap();
    assert!(error.message.contains("the output topic \"out\" does not exist any more"), "{}", error.message);
    until("nothing is open", || node.topics.open_transactions() == 0).await;
    assert_eq!(node.values("dead", 0).len() + node.values("dead", 1).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_end_of_a_run_commits_what_is_open() {
    for verb in ["pause", "restart", "redeploy", "rollback", "reset", "stop", "delete"] {
        let node = Node::new();
        node.topic("in", 1).await;
        let host = node.start();
        host.deploy(key(), exactly(NEVER_MS, json!({}))).await.unwrap();
        host.deploy(key(), exactly(NEVER_MS, json!({"suffix": ""}))).await.unwrap();
        node.produce("in", 0, &["a"]).await;
        until("it is written", || node.topics.open_transactions() == 1).await;
        assert_eq!(node.values("out", 0).len(), 0, "{verb}");
        match verb {
            "pause" => drop(host.pause(&key()).await.unwrap()),
            "restart" => drop(host.restart(&key()).await.unwrap()),
            "redeploy" => drop(host.deploy(key(), exactly(NEVER_MS, json!({"suffix": "2"}))).await.unwrap()),
            "rollback" => drop(host.rollback(&key(), None).await.unwrap()),
            "reset" => drop(host.reset(&key(), ResetTo::Latest).await.unwrap()),
            "stop" => assert!(host.stop().await),
            _ => host.delete(&key()).await.unwrap(),
        }
        until("it is committed", || node.values("out", 0) == ["a"]).await;
        assert_eq!(node.topics.open_transactions(), 0, "{verb}");
        assert_eq!(node.committed(0), (verb != "delete").then_some(Offset(1)), "{verb}");
        pass(Duration::from_secs(120)).await;
        assert_eq!(node.values("out", 0), ["a"], "{verb}: and nothing again");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_committed_at_the_end_of_a_run_is_undone() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), exactly(NEVER_MS, json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("it is written", || node.topics.open_transactions() == 1).await;
    node.topics.fail_next(Operation::End, 1, ErrorKind::Unavailable);
    host.pause(&key()).await.unwrap();
    until("nothing is open", || node.topics.open_transactions() == 0).await;
    assert_eq!((node.values("out", 0).len(), node.committed(0)), (0, Some(Offset(0))));
    host.resume(&key()).await.unwrap();
    until("it is written again", || node.topics.open_transactions() == 1).await;
    host.pause(&key()).await.unwrap();
    until("it is there", || node.values("out", 0) == ["a"]).await;
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_deployment_over_fences_its_last_run_and_undoes_what_that_left_open() {
    let node = Node::new();
    node.topic("in", 1).await;
    let _stuck = node.start();
    _stuck.deploy(key(), exactly(NEVER_MS, json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("it is written", || node.topics.open_transactions() == 1).await;
    // Another process over the same log, while the first believes that it still runs.
    let other = node.start();
    until("the other has written it", || node.topics.open_transactions() == 1 && end_of_first(&other)).await;
    assert!(other.stop().await);
    until("it is there", || node.values("out", 0) == ["a"]).await;
    pass(Duration::from_secs(300)).await;
    assert_eq!(node.values("out", 0), ["a"], "the first had written it too");
}

fn end_of_first(other: &Host) -> bool {
    other.status_one(&key()).is_some_and(|status| status.counts.records_in == 1)
}

#[tokio::test(start_paused = true)]
async fn at_least_once_may_be_asked_for_after_exactly_once_was() {
    let node = Node::new();
    node.topic("in", 1).await;
    let host = node.start();
    host.deploy(key(), exactly(NEVER_MS, json!({}))).await.unwrap();
    node.produce("in", 0, &["a"]).await;
    until("it is written", || node.topics.open_transactions() == 1).await;
    host.deploy(key(), spec(json!({}))).await.unwrap();
    node.produce("in", 0, &["b"]).await;
    until("both are there", || node.values("out", 0) == ["a", "b"]).await;
    until("both are committed", || node.committed(0) == Some(Offset(2))).await;
}

/// Whatever fails, whenever: what is there in the end is what came in, once and in order.
async fn random_failures(seed: u64) {
    let draw = SeededRandom::new(seed);
    let node = Node::new();
    node.topic("in", 3).await;
    let mut host = node.start();
    host.deploy(key(), exactly(20 + draw.below(200), json!({"policy": "dead-letter"}))).await.unwrap();
    let mut sent: Vec<Vec<String>> = vec![Vec::new(); 3];
    let operations = [Operation::Read, Operation::End, Operation::Ended, Operation::Commit, Operation::Append];
    let kinds = [ErrorKind::Timeout, ErrorKind::Unavailable, ErrorKind::NotLeader, ErrorKind::Throttled];
    let pick = |len: usize| usize::try_from(draw.below(len as u64)).unwrap();
    for step in 0..40 {
        let partition = pick(3);
        let value = format!("{}{step}", if draw.below(6) == 0 { "poison" } else { "v" });
        node.topics.clear_faults();
        node.produce("in", i32::try_from(partition).unwrap(), &[&value]).await;
        sent[partition].push(value);
        if draw.below(3) == 0 {
            node.topics.fail_next(operations[pick(operations.len())], 1 + pick(2), kinds[pick(kinds.len())]);
        }
        pass(Duration::from_millis(draw.below(150))).await;
        match draw.below(20) {
            0 => assert!(host.stop().await),
            1 => drop(host.restart(&key()).await.unwrap()),
            _ => continue,
        }
        host = node.start();
    }
    node.topics.clear_faults();
    for (partition, sent) in (0..).zip(&sent) {
        let all = Some(Offset(i64::try_from(sent.len()).unwrap()));
        until("all is committed", || node.committed(partition) == all || (sent.is_empty())).await;
        let of =
            |poison: bool| sent.iter().filter(|one| one.starts_with("poison") == poison).cloned().collect::<Vec<_>>();
        assert_eq!(node.values("out", partition), of(false), "seed {seed}");
        assert_eq!(node.values("dead", partition), of(true), "seed {seed}");
    }
    assert!(host.stop().await);
    assert_eq!(node.topics.open_transactions(), 0, "seed {seed}");
}

/// `MILLSTREAM_SEEDS` runs more of them.
#[tokio::test(start_paused = true)]
async fn whatever_fails_the_outputs_are_what_came_in_once_and_in_order() {
    let seeds = std::env::var("MILLSTREAM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for seed in 0..seeds {
        random_failures(seed).await;
    }
}
