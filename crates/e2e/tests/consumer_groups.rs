//! Groups of the consumer protocol (KIP-848) by real clients: Kafka's own and librdkafka share partitions, one dies, the node is killed, and
//! what was read is not read again; a live classic group goes over to the protocol by a rolling restart.

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Interactive, Node, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const TOPIC: &str = "orders-1";
const GROUP: &str = "workers";
const PATIENCE: Duration = Duration::from_secs(60);

/// A node on which dead members are found soon.
fn node() -> Node {
    let node = Node::start(&[
        "group.consumer.min.session.timeout.ms=1000",
        "group.consumer.session.timeout.ms=3000",
        "group.consumer.min.heartbeat.interval.ms=100",
        "group.consumer.heartbeat.interval.ms=300",
    ]);
    node.ok(&["topic", "create", TOPIC, "--partitions", "3"]);
    node
}

/// Three records for each partition, numbered from `first` on.
fn produce(node: &Node, first: usize) -> BTreeSet<String> {
    let values: Vec<String> = (first..first + 9).map(|number| STANDARD.encode(number.to_string())).collect();
    let record = |(number, value): (usize, &String)| json!({"partition": number % 3, "key": null, "value": value, "headers": [], "timestamp": 1_700_000_000_000_i64});
    let records: Vec<Value> = values.iter().enumerate().map(record).collect();
    Family::Librdkafka.produce(&node.kafka, TOPIC, "none", &records);
    values.into_iter().collect()
}

fn read(members: &[&Interactive]) -> Vec<String> {
    let records = members.iter().flat_map(|member| member.records());
    records.map(|record| record["value"].as_str().unwrap().to_owned()).collect()
}

/// The members have read all of it.
fn have_read(members: &[&Interactive], expected: &BTreeSet<String>) {
    eventually("everything is read", PATIENCE, || {
        let seen: BTreeSet<String> = read(members).into_iter().collect();
        expected.is_subset(&seen).then_some(())
    });
}

fn holds_all(member: &Interactive) {
    eventually("the member holds all partitions", PATIENCE, || (member.assigned() == [0, 1, 2]).then_some(()));
}

fn share(one: &Interactive, other: &Interactive) {
    eventually("both hold some partitions", PATIENCE, || {
        let (a, b) = (one.assigned(), other.assigned());
        let together: BTreeSet<i64> = a.iter().chain(&b).copied().collect();
        (!a.is_empty() && !b.is_empty() && together.len() == 3 && a.len() + b.len() == 3).then_some(())
    });
}

fn is_listed_as(node: &Node, group_type: &str) {
    let listed = node.ok(&["group", "list", "-o", "json"]);
    let rows: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0]["group_type"], group_type, "{listed}");
}

/// A member by pattern and one by name; the node is killed, then a member, and a later one goes on where they were.
fn members_share_and_resume(family: Family) {
    let mut node = node();
    let first = family.group_with(&node.kafka, "^orders-.*", GROUP, "consumer");
    holds_all(&first);
    let second = family.group_with(&node.kafka, TOPIC, GROUP, "consumer");
    share(&first, &second);
    let mut expected = produce(&node, 0);
    have_read(&[&first, &second], &expected);
    is_listed_as(&node, "consumer");

    node.kill_and_restart();
    expected.extend(produce(&node, 9));
    have_read(&[&first, &second], &expected);
    second.kill();
    holds_all(&first);
    first.leave();

    let more = produce(&node, 18);
    let third = family.group_with(&node.kafka, TOPIC, GROUP, "consumer");
    have_read(&[&third], &more);
    assert_eq!(read(&[&third]).len(), more.len(), "{family:?} read again what was committed");
    third.leave();
}

#[test]
fn kafkas_own_consumers_share_and_resume() {
    members_share_and_resume(Family::Java);
}

#[test]
fn consumers_of_librdkafka_share_and_resume() {
    members_share_and_resume(Family::Librdkafka);
}

/// A group of both protocols, then of the new one alone, then of the classic one again: no record is lost or read twice on the way.
#[test]
fn a_live_group_goes_over_and_back_by_rolling_restarts() {
    let node = node();
    // Librdkafka's sticky assignor puts data of its own into assignments: as in Kafka, such a group does not go over while it has members.
    let member = |protocol: &str| Family::Java.group_with(&node.kafka, TOPIC, GROUP, protocol);
    let (first, second) = (member("classic"), member("classic"));
    share(&first, &second);
    let mut expected = produce(&node, 0);
    have_read(&[&first, &second], &expected);
    is_listed_as(&node, "classic");
    let mut all = read(&[&first, &second]);

    second.leave();
    let new = member("consumer");
    share(&first, &new);
    is_listed_as(&node, "consumer");
    let before = read(&[&first]).len();
    let more = produce(&node, 9);
    have_read(&[&first, &new], &more);
    all.extend(read(&[&first]).split_off(before));
    first.leave();

    let newer = member("consumer");
    share(&new, &newer);
    expected.extend(more);
    let last = produce(&node, 18);
    have_read(&[&new, &newer], &last);
    expected.extend(last);
    all.extend(read(&[&new, &newer]));

    new.leave();
    let older = member("classic");
    share(&newer, &older);
    is_listed_as(&node, "consumer");
    newer.leave();
    holds_all(&older);
    is_listed_as(&node, "classic");
    let after = produce(&node, 27);
    have_read(&[&older], &after);
    expected.extend(after);
    all.extend(read(&[&older]));
    all.sort_unstable();
    assert_eq!(all, expected.into_iter().collect::<Vec<_>>(), "every record is read once");
}
