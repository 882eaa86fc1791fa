//! Offsets that are not there: fetched, listed, deleted up to, reset to; partitions and topics that are not there.

use crate::kit::{Answer, Body, Connection, PATIENCE, api, fails_with, records, refused};
use millstream_e2e::{Bystander, Family, Node, eventually};

// Kafka's codes.
const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const OFFSET_METADATA_TOO_LARGE: i16 = 12;
const UNSUPPORTED_VERSION: i16 = 35;
const UNKNOWN_LEADER_EPOCH: i16 = 75;

fn fetch(topic: &str, partition: i32, offset: i64, epoch: i32) -> Body {
    let head = Body::default().i32(-1).i32(0).i32(1).i32(1 << 20).i8(0).i32(0).i32(-1);
    let wanted = head.i32(1).text(topic).i32(1).i32(partition).i32(epoch).i64(offset).i64(-1).i32(1 << 20);
    // Nothing forgotten, no rack.
    wanted.i32(0).text("")
}

/// The code of the one partition that was fetched.
fn fetched(mut answer: Answer) -> i16 {
    let _ = (answer.i32(), answer.i16(), answer.i32());
    assert_eq!(answer.i32(), 1, "one topic");
    answer.text();
    let _ = (answer.i32(), answer.i32());
    answer.i16()
}

fn list(topic: &str, partition: i32, timestamp: i64) -> Body {
    Body::default().i32(-1).i8(0).i32(1).text(topic).i32(1).i32(partition).i32(-1).i64(timestamp)
}

/// The code of the one partition of an answer whose throttling comes first.
fn first_code(mut answer: Answer) -> i16 {
    answer.i32();
    assert_eq!(answer.i32(), 1, "one topic");
    answer.text();
    let _ = (answer.i32(), answer.i32());
    answer.i16()
}

fn commit(topic: &str, partition: i32, offset: i64, metadata: &str) -> Body {
    let group = Body::default().text("lost").i32(-1).text("").i16(-1);
    group.i32(1).text(topic).i32(1).i32(partition).i64(offset).i32(-1).text(metadata)
}

fn delete(topic: &str, partition: i32, offset: i64) -> Body {
    Body::default().i32(1).text(topic).i32(1).i32(partition).i64(offset).i32(10_000)
}

/// DeleteRecords says the new start of the log before the code.
fn deleted(mut answer: Answer) -> i16 {
    let _ = (answer.i32(), answer.i32());
    answer.text();
    let _ = (answer.i32(), answer.i32(), answer.i64());
    answer.i16()
}

#[test]
fn an_offset_or_partition_that_is_not_there_has_kafkas_code() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "short"]);
    Family::FranzGo.produce(&node.kafka, "short", "none", &records(3, "x"));
    let mut connection = Connection::open(&node);
    for (partition, offset, epoch, code) in [
        (0, 3, -1, 0),
        (0, 4, -1, OFFSET_OUT_OF_RANGE),
        (0, 1_000_000, -1, OFFSET_OUT_OF_RANGE),
        (0, i64::MAX, -1, OFFSET_OUT_OF_RANGE),
        (0, -5, -1, OFFSET_OUT_OF_RANGE),
        (0, i64::MIN, -1, OFFSET_OUT_OF_RANGE),
        (7, 0, -1, UNKNOWN_TOPIC_OR_PARTITION),
        (-1, 0, -1, UNKNOWN_TOPIC_OR_PARTITION),
        (0, 0, 1_000, UNKNOWN_LEADER_EPOCH),
    ] {
        let found = fetched(connection.ask(api::FETCH, 11, &fetch("short", partition, offset, epoch)));
        assert_eq!(found, code, "fetch of partition {partition}, offset {offset}, epoch {epoch}");
    }
    assert_eq!(fetched(connection.ask(api::FETCH, 11, &fetch("absent", 0, 0, -1))), UNKNOWN_TOPIC_OR_PARTITION);
    for (topic, partition, timestamp, code) in [
        ("short", 0, -1, 0),
        ("short", 9, -1, UNKNOWN_TOPIC_OR_PARTITION),
        ("absent", 0, -1, UNKNOWN_TOPIC_OR_PARTITION),
        ("short", 0, -99, UNSUPPORTED_VERSION),
        ("short", 0, i64::MIN, UNSUPPORTED_VERSION),
        // No record is that late: no offset, and no error either.
        ("short", 0, i64::MAX, 0),
    ] {
        let found = first_code(connection.ask(api::LIST_OFFSETS, 5, &list(topic, partition, timestamp)));
        assert_eq!(found, code, "the offset of {topic}-{partition} at {timestamp}");
    }
    for (offset, code) in [(4, OFFSET_OUT_OF_RANGE), (i64::MAX, OFFSET_OUT_OF_RANGE), (-2, OFFSET_OUT_OF_RANGE), (2, 0)]
    {
        assert_eq!(deleted(connection.ask(api::DELETE_RECORDS, 1, &delete("short", 0, offset))), code, "{offset}");
    }
    assert_eq!(fetched(connection.ask(api::FETCH, 11, &fetch("short", 0, 1, -1))), OFFSET_OUT_OF_RANGE, "deleted");
    bystander.goes_on();
    // Who finds the coordinator makes it; before that, no commit is judged.
    eventually("the group has a coordinator", PATIENCE, || {
        let mut found = connection.ask(api::FIND_COORDINATOR, 1, &Body::default().text("lost").i8(0));
        (found.i32() >= 0 && found.i16() == 0).then_some(())
    });
    eventually("the coordinator has read its log", PATIENCE, || {
        let tried = connection.ask(api::OFFSET_COMMIT, 7, &commit("short", 0, 1, ""));
        (first_code(tried) == 0).then_some(())
    });
    for (topic, metadata, code) in
        [("absent", "", UNKNOWN_TOPIC_OR_PARTITION), ("short", &*"m".repeat(5_000), OFFSET_METADATA_TOO_LARGE)]
    {
        let found = first_code(connection.ask(api::OFFSET_COMMIT, 7, &commit(topic, 0, 1, metadata)));
        assert_eq!(found, code, "a commit for {topic}");
    }
    bystander.unharmed(&node);
}

#[test]
fn a_person_who_names_an_offset_that_is_not_there_is_told_which_are() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "short"]);
    Family::FranzGo.produce(&node.kafka, "short", "none", &records(2, "x"));
    let consume = |from: &'static str| ["topic", "consume", "short", "--from", from];
    assert_eq!(node.ok(&consume("1")).lines().count(), 1);
    assert_eq!(node.ok(&consume("2")).lines().count(), 0);
    refused(&node, &consume("500"), 1, &["offset 500", "\"short\"", "0 to 2"]);
    refused(&node, &consume("yesterday"), 1, &["\"yesterday\"", "expected earliest, latest, an offset, or a time"]);
    refused(&node, &["topic", "consume", "short", "--partition", "3"], 1, &["no partition 3", "0 to 0"]);
    refused(&node, &["topic", "consume", "absent"], 1, &["no topic \"absent\"", "millstream topic create absent"]);
    refused(
        &node,
        &["group", "reset", "g", "--topic", "short", "--to", "500"],
        1,
        &["offset 500", "\"short\"", "0 to 2"],
    );
    refused(&node, &["group", "reset", "g", "--topic", "absent", "--to", "0"], 1, &["no topic \"absent\""]);
    refused(&node, &["group", "describe", "absent"], 1, &["no group \"absent\"", "millstream group list"]);
    refused(&node, &["group", "delete", "absent"], 1, &["absent"]);
    node.ok(&["stream", "create", "CREATE STREAM kept AS SELECT _value FROM short"]);
    refused(&node, &["stream", "reset", "kept", "--to", "500"], 1, &["500", "short", "0", "2"]);
    node.ok(&["stream", "reset", "kept", "--to", "1"]);
    bystander.unharmed(&node);
}

#[test]
fn input_that_was_deleted_before_it_was_read_stops_its_reader_with_that_cause() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "input"]);
    Family::FranzGo.produce(&node.kafka, "input", "none", &records(1, "x"));
    node.ok(&["stream", "create", "CREATE STREAM reader AS SELECT _value FROM input"]);
    crate::kit::deployment(&node, "stream", "reader", |row| row["lag"] == 0);
    node.ok(&["stream", "pause", "reader"]);
    Family::FranzGo.produce(&node.kafka, "input", "none", &records(2, "x"));
    assert_eq!(deleted(Connection::open(&node).ask(api::DELETE_RECORDS, 1, &delete("input", 0, 3))), 0);
    node.ok(&["stream", "resume", "reader"]);
    fails_with(
        &node,
        "stream",
        "reader",
        &[
            "2 records of input-0 were deleted before they were read",
            "next to read: 1",
            "starts at 3",
            "reset to earliest",
        ],
    );
    bystander.unharmed(&node);
}
