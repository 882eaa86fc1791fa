//! Any bytes as what requests carry in formats of their own: what consumers of the classic protocol say to each other, and the metrics that
//! clients push. Read or refused, and what is read of an assignment is written as something that reads the same.

use millstream_group::subscription::{Subscription, add_topics, read_assignment, write_assignment};
use millstream_protocol::telemetry::{NAME_BYTES_MAX, POINTS_MAX, points};
use std::collections::BTreeSet;

/// Tries these bytes as each of them.
pub fn run(bytes: &[u8]) {
    let mut topics = BTreeSet::new();
    let begins = add_topics(bytes, &mut topics);
    if let Ok(subscription) = Subscription::read(bytes) {
        assert_eq!((begins, subscription.topics), (Some(()), topics), "both readers see the same topics");
    }
    if let Ok((partitions, _)) = read_assignment(bytes) {
        let written = write_assignment(0, &partitions).map(|written| read_assignment(&written));
        assert_eq!(written, Some(Ok((partitions, false))), "an assignment says the same when it is written again");
    }
    if let Ok(points) = points(bytes) {
        assert!(points.len() <= POINTS_MAX, "{} values", points.len());
        let is_kept = |point: &millstream_protocol::telemetry::Point| point.name.len() <= NAME_BYTES_MAX;
        assert!(points.iter().all(|point| is_kept(point) && point.value.is_finite()), "{points:?}");
    }
}

/// Subscriptions of each version, an assignment, and pushes of a gauge and of a sum with attributes of each kind.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let partitions = [("orders".to_owned(), [0, 5].into()), ("a".to_owned(), [].into())].into();
    let assignment = write_assignment(1, &partitions).map(|written| written.to_vec());
    (0..=3).map(subscription).chain(assignment).chain([push(5), push(7)]).collect()
}

/// Of two topics, of which one partition is owned.
fn subscription(version: u8) -> Vec<u8> {
    let mut bytes = vec![0, version, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 0, 0, 0, 1, 0xff];
    if version >= 1 {
        bytes.extend([0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 3]);
    }
    if version >= 2 {
        bytes.extend([0, 0, 0, 7]);
    }
    if version >= 3 {
        bytes.extend([0, 1, b'r']);
    }
    bytes
}

/// A push of one metric whose numbers are in the field `data`.
fn push(data: u8) -> Vec<u8> {
    let values = [&[0x0a, 1, b'v'][..], &[0x10, 1], &[0x18, 9], &[0x21, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]];
    let attributes = values.into_iter().flat_map(|value| field(7, &[field(1, b"key"), field(2, value)].concat()));
    let double = [&[0x21][..], &1.5_f64.to_le_bytes()].concat();
    let whole = [&[0x31][..], &7_i64.to_le_bytes()].concat();
    let points = [double.into_iter().chain(attributes).collect(), whole].map(|point: Vec<u8>| field(1, &point));
    // The numbers are what was added since the last push.
    let numbers = [&points.concat()[..], &[0x10, 1]].concat();
    let metric = [field(1, b"name"), field(data, &numbers)].concat();
    field(1, &field(2, &field(2, &metric)))
}

/// A field of protobuf that holds bytes, fewer than 16,384.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let [low, high] = [content.len() & 0x7f | 0x80, content.len() >> 7].map(|part| part.to_le_bytes()[0]);
    [&[number << 3 | 2, low, high], content].concat()
}
