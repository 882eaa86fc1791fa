//! What tasks write in transactions with, over a whole node: the server's adapter, partitions and coordinators.

use crate::adapters::topics::LogTopics;
use crate::node::Node;
use futures::future::try_join_all;
use millstream_partition::PartitionHandle;
use millstream_record::{Columns, Limits};
use millstream_task::{CommittedOffset, Topics};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, PartitionIndex, TopicPartition};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

fn log(node: &Node) -> LogTopics {
    LogTopics {
        quorum: node.quorum.clone(),
        partitions: node.partitions.clone(),
        coordinator: node.coordinator.clone(),
        runtime: node.runtime.clone(),
    }
}

fn one(value: &str) -> Columns {
    let mut records = Columns::default();
    records.push(1_767_225_600_000, Some(b"k"), Some(value.as_bytes()), []);
    records
}

fn partition(node: &Node, topic: &str) -> TopicPartition {
    TopicPartition::new(node.quorum.image().topic_id(topic).unwrap(), PartitionIndex(0))
}

fn at(partition: TopicPartition, offset: i64) -> CommittedOffset {
    CommittedOffset { partition, offset: Offset(offset), leader_epoch: LeaderEpoch(0), metadata: String::new() }
}

/// Returns when a group is at `offset`: a commit is answered before the groups' partition has heard of it.
async fn is_at(log: &LogTopics, input: TopicPartition, offset: i64) {
    for _ in 0..2_000 {
        if log.committed("g", &[input]).await.unwrap() == [Some(Offset(offset))] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}, not {offset}", log.committed("g", &[input]).await);
}

/// Returns when no transaction is open in a partition.
async fn settled(handle: &PartitionHandle) {
    for _ in 0..2_000 {
        let bounds = handle.bounds();
        if bounds.last_stable == bounds.log_end {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("still open: {:?}", handle.bounds());
}

async fn committed_values(node: &Node, topic: &str) -> Vec<String> {
    let handle = node.partitions.ready(partition(node, topic), TIMEOUT).await.unwrap();
    settled(&handle).await;
    let (batches, _) = handle.read_committed(Offset::ZERO, 1 << 20).await.unwrap();
    let mut values = Vec::new();
    for batch in batches.iter().filter(|batch| !batch.is_control()) {
        let records = batch.records(&Limits::default()).unwrap();
        values.extend(records.values.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap()));
    }
    values
}

#[tokio::test(start_paused = true)]
async fn records_and_offsets_of_one_transaction_after_another_are_there_together() {
    let node = Node::start().await;
    for topic in ["in", "one", "two"] {
        node.topic(topic, 1, &[]).await;
    }
    let (log, input) = (log(&node), partition(&node, "in"));
    let producer = log.producer("p", TIMEOUT).await.unwrap();
    for round in 1..=5 {
        for topic in ["one", "two", "one"] {
            producer.append(partition(&node, topic), &one(&round.to_string())).await.unwrap();
        }
        let before = log.committed("g", &[input]).await.unwrap();
        assert_eq!(before, [(round > 1).then_some(Offset(round - 1))], "not before the commit");
        producer.commit("g", &[at(input, round)]).await.unwrap();
    }
    assert_eq!(committed_values(&node, "one").await, ["1", "1", "2", "2", "3", "3", "4", "4", "5", "5"]);
    assert_eq!(committed_values(&node, "two").await, ["1", "2", "3", "4", "5"]);
    is_at(&log, input, 5).await;
}

#[tokio::test(start_paused = true)]
async fn who_takes_an_id_over_undoes_what_was_open_and_fences_who_had_it() {
    let node = Node::start().await;
    node.topic("in", 1, &[]).await;
    node.topic("out", 1, &[]).await;
    let (log, input, output) = (log(&node), partition(&node, "in"), partition(&node, "out"));
    let first = log.producer("p", TIMEOUT).await.unwrap();
    first.append(output, &one("committed")).await.unwrap();
    first.commit("g", &[at(input, 1)]).await.unwrap();
    first.append(output, &one("undone")).await.unwrap();
    let second = log.producer("p", TIMEOUT).await.unwrap();
    let fenced = first.append(output, &one("late")).await.unwrap_err();
    assert_eq!(fenced.kind, ErrorKind::Fenced, "{fenced}");
    assert_eq!(first.commit("g", &[at(input, 9)]).await.unwrap_err().kind, ErrorKind::Fenced);
    second.append(output, &one("new")).await.unwrap();
    second.commit("g", &[at(input, 2)]).await.unwrap();
    assert_eq!(committed_values(&node, "out").await, ["committed", "new"]);
    is_at(&log, input, 2).await;
}

#[tokio::test(start_paused = true)]
async fn an_abort_undoes_what_is_open_and_an_id_that_nobody_has_is_left_alone() {
    let node = Node::start().await;
    node.topic("out", 1, &[]).await;
    let (log, output) = (log(&node), partition(&node, "out"));
    log.abort("p").await.unwrap();
    assert!(node.quorum.image().topic_named("__transaction_state").is_none(), "nothing was made for it");
    let producer = log.producer("p", TIMEOUT).await.unwrap();
    producer.append(output, &one("undone")).await.unwrap();
    log.abort("p").await.unwrap();
    log.abort("q").await.unwrap();
    assert_eq!(committed_values(&node, "out").await, [""; 0]);
    assert_eq!(producer.commit("g", &[]).await.unwrap_err().kind, ErrorKind::Fenced);
    assert_eq!(node.coordinator.list_transactions(&Default::default()).unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn records_that_a_topic_refuses_leave_the_transaction_whole() {
    let node = Node::start().await;
    node.topic("in", 1, &[]).await;
    node.topic("out", 1, &[("max.message.bytes", "200")]).await;
    let (log, input, output) = (log(&node), partition(&node, "in"), partition(&node, "out"));
    let producer = log.producer("p", TIMEOUT).await.unwrap();
    for value in [&"x".repeat(300), "a", &"x".repeat(300), "b"] {
        let appended = producer.append(output, &one(value)).await;
        assert_eq!(appended.is_err_and(|error| error.kind == ErrorKind::Invalid), value.len() > 200);
    }
    producer.commit("g", &[at(input, 4)]).await.unwrap();
    assert_eq!(committed_values(&node, "out").await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn many_may_append_to_one_partition_at_once() {
    let node = Node::start().await;
    node.topic("in", 1, &[]).await;
    node.topic("out", 1, &[]).await;
    let (log, input, output) = (log(&node), partition(&node, "in"), partition(&node, "out"));
    let producer = log.producer("p", TIMEOUT).await.unwrap();
    for round in 0..3 {
        let records: Vec<Columns> = (0..20).map(|number| one(&format!("{round}-{number}"))).collect();
        try_join_all(records.iter().map(|records| producer.append(output, records))).await.unwrap();
        producer.commit("g", &[at(input, round)]).await.unwrap();
    }
    let mut values = committed_values(&node, "out").await;
    values.dedup();
    assert_eq!(values.len(), 60);
}
