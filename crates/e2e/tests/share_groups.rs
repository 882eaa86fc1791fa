//! Share groups (KIP-932) by Kafka's own share consumer and tools: two members share a partition, records are accepted, released, rejected
//! and given up, one member dies, the node is killed, and nothing that was acknowledged is given out again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Interactive, Node, eventually, kafka_tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const TOPIC: &str = "orders";
const LETTERS: &str = "dlq.orders";
const GROUP: &str = "workers";
const PATIENCE: Duration = Duration::from_secs(60);
const GROUPS_TOOL: &str = "org.apache.kafka.tools.consumer.group.ShareGroupCommand";

/// A node on which dead members are found, and locks end, soon.
fn node() -> Node {
    let node = Node::start(&[
        "group.share.min.session.timeout.ms=1000",
        "group.share.session.timeout.ms=2000",
        "group.share.min.heartbeat.interval.ms=100",
        "group.share.heartbeat.interval.ms=300",
        "group.share.min.record.lock.duration.ms=1000",
        "group.share.record.lock.duration.ms=3000",
        "errors.deadletterqueue.auto.create.topics.enable=true",
    ]);
    node.ok(&["topic", "create", TOPIC, "--partitions", "1"]);
    node
}

fn produce(node: &Node, values: &[&str]) {
    let record = |value: &&str| json!({"partition": 0, "key": null, "value": STANDARD.encode(value), "headers": [], "timestamp": 1_700_000_000_000_i64});
    let records: Vec<Value> = values.iter().map(record).collect();
    Family::Librdkafka.produce(&node.kafka, TOPIC, "none", &records);
}

/// How often each value was given to one of the members, by the delivery counts that they were told.
fn given(members: &[&Interactive]) -> BTreeMap<String, Vec<i64>> {
    let mut given: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for record in members.iter().flat_map(|member| member.records()) {
        let value = record["value"].as_str().unwrap().to_owned();
        given.entry(value).or_default().push(record["deliveries"].as_i64().unwrap());
    }
    given.values_mut().for_each(|counts| counts.sort_unstable());
    given
}

fn are_given(members: &[&Interactive], expected: &[(&str, &[i64])]) {
    let what = format!("{expected:?}");
    eventually(&what, PATIENCE, || {
        let given = given(members);
        expected.iter().all(|(value, counts)| given.get(*value).is_some_and(|given| given == counts)).then_some(())
    });
}

/// Records are made one by one until `holder` has one of them, and keeps it to itself: the other takes those before.
fn one_that_is_held(node: &Node, holder: &Interactive, other: &Interactive) -> String {
    for number in 0..50 {
        let value = format!("hold-{number}");
        produce(node, &[&value]);
        let has = |member: &Interactive| given(&[member]).contains_key(&value);
        let is_held = eventually("one of them has it", PATIENCE, || {
            let is_held = has(holder);
            (is_held || has(other)).then_some(is_held)
        });
        if is_held {
            return value;
        }
    }
    panic!("a member that shares the partition gets none of its records")
}

fn tool(node: &Node, words: &[&str]) -> String {
    let words: Vec<&str> = ["--bootstrap-server", &node.kafka].into_iter().chain(words.iter().copied()).collect();
    kafka_tool(GROUPS_TOOL, &words)
}

fn member(node: &Node, mode: &str, options: &[&str]) -> Interactive {
    Interactive::share_member(&node.kafka, TOPIC, GROUP, mode, options)
}

#[test]
fn members_share_a_partition_and_nothing_acknowledged_comes_again() {
    let mut node = node();
    produce(&node, &["reject", "release-once", "release-always", "plain"]);
    let letters = format!("errors.deadletterqueue.topic.name={LETTERS}");
    let options = [
        "share.auto.offset.reset=earliest",
        "share.delivery.count.limit=3",
        &letters,
        "errors.deadletterqueue.copy.record.enable=true",
    ];
    let first = member(&node, "holding", &options);
    are_given(
        &[&first],
        &[("plain", &[1]), ("reject", &[1]), ("release-once", &[1, 2]), ("release-always", &[1, 2, 3])],
    );
    let dead: Vec<String> = Family::Librdkafka
        .consume(&node.kafka, LETTERS, 2)
        .iter()
        .map(|record| String::from_utf8(STANDARD.decode(record["value"].as_str().unwrap()).unwrap()).unwrap())
        .collect();
    assert_eq!(dead, ["reject", "release-always"], "what was given up is kept for somebody to look at");

    let second = member(&node, "explicit", &[]);
    eventually("both are members", PATIENCE, || {
        let described = tool(&node, &["--describe", "--group", GROUP, "--members"]);
        (described.matches(GROUP).count() == 2).then_some(())
    });
    let held = one_that_is_held(&node, &first, &second);
    first.kill();
    eventually("the other has it, and has said so", PATIENCE, || {
        let is_settled = second.seen().last().is_some_and(|line| line.get("settled").is_some());
        (is_settled && given(&[&second]).contains_key(&held)).then_some(())
    });

    node.kill_and_restart();
    produce(&node, &["after"]);
    are_given(&[&second], &[("after", &[1])]);
    assert_eq!(given(&[&second])[&held].len(), 1, "what was acknowledged before the kill was not given out again");
    second.leave();

    let third = member(&node, "implicit", &[]);
    produce(&node, &["last"]);
    are_given(&[&third], &[("last", &[1])]);
    assert_eq!(given(&[&third]).len(), 1, "and is not now: {:?}", given(&[&third]));
    third.leave();
    administrators_see_and_set_offsets(&node);
}

/// The group has no members, and has read everything.
fn administrators_see_and_set_offsets(node: &Node) {
    assert!(tool(node, &["--list", "--state"]).contains(GROUP));
    let described = tool(node, &["--describe", "--group", GROUP]);
    let row: Vec<&str> = described.lines().find(|line| line.contains(TOPIC)).unwrap().split_whitespace().collect();
    assert_eq!((row[..3].to_vec(), row[4]), (vec![GROUP, TOPIC, "0"], "0"), "nothing is left: {described}");

    tool(node, &["--reset-offsets", "--group", GROUP, "--topic", TOPIC, "--to-earliest", "--execute"]);
    let described = tool(node, &["--describe", "--group", GROUP]);
    let row: Vec<&str> = described.lines().find(|line| line.contains(TOPIC)).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], [GROUP, TOPIC, "0", "0"], "{described}");
    assert!(row[4].parse::<usize>().unwrap() >= 7, "all is left: {described}");
    let again = member(node, "implicit", &[]);
    are_given(&[&again], &[("plain", &[1]), ("last", &[1])]);
    again.leave();

    tool(node, &["--delete-offsets", "--group", GROUP, "--topic", TOPIC]);
    let described = tool(node, &["--describe", "--group", GROUP]);
    assert!(!described.contains(TOPIC), "{described}");
    tool(node, &["--delete", "--group", GROUP]);
    assert!(!tool(node, &["--list"]).contains(GROUP));
}
