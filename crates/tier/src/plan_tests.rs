//! The plans as tables.

use super::*;
use crate::layout::Kind;
use crate::manifest::{Object, Segment};
use millstream_types::{LeaderEpoch, PartitionIndex, TopicId, TopicPartition};
use std::path::PathBuf;
use uuid::Uuid;

/// A local segment of 100 bytes whose largest timestamp is its end.
fn local(base: i64, next: i64) -> ClosedSegment {
    ClosedSegment {
        base: Offset(base),
        next: Offset(next),
        size: 100,
        max_timestamp: TimestampMs(next),
        log: PathBuf::new(),
        index: PathBuf::new(),
        time_index: PathBuf::new(),
        producer_snapshot: PathBuf::new(),
        txn_index: PathBuf::new(),
    }
}

fn manifest(segments: &[(i64, i64)]) -> Manifest {
    let segment = |&(base, end): &(i64, i64)| Segment {
        id: Uuid::nil(),
        base: Offset(base),
        end: Offset(end),
        max_timestamp: TimestampMs(end),
        records: 1,
        leader_epoch: LeaderEpoch(0),
        uploaded: TimestampMs(0),
        objects: [(Kind::Log.text().to_owned(), Object { name: String::new(), bytes: 100, crc32c: 0 })].into(),
    };
    let id = TopicPartition::new(TopicId::ZERO, PartitionIndex(0));
    Manifest { segments: segments.iter().map(segment).collect(), ..Manifest::empty("t", id) }
}

fn config(options: &[(&str, &str)]) -> TopicConfig {
    TopicConfig::parse(&options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        .unwrap()
}

#[test]
fn uploads_are_the_stable_segments_after_what_is_cold() {
    let closed = [local(0, 10), local(10, 20), local(20, 30)];
    let planned = |cold: &[(i64, i64)], log_start: i64, stable_end: i64| -> Vec<i64> {
        uploads(&closed, &manifest(cold), (Offset(log_start), Offset(stable_end)))
            .iter()
            .map(|segment| segment.base.0)
            .collect()
    };
    assert_eq!(planned(&[], 0, 30), [0, 10, 20]);
    assert_eq!(planned(&[], 0, 29), [0, 10]);
    assert_eq!(planned(&[(0, 10)], 0, 30), [10, 20]);
    assert_eq!(planned(&[(0, 30)], 0, 30), [] as [i64; 0]);
    // Another leader closed its segments elsewhere: the one that overlaps is copied.
    assert_eq!(planned(&[(0, 15)], 0, 30), [10, 20]);
    // Records below the log's start were deleted: their segment stays here.
    assert_eq!(planned(&[(0, 10)], 20, 30), [20]);
    assert_eq!(planned(&[], 5, 30), [0, 10, 20]);
}

#[test]
fn local_copies_go_by_local_retention_and_only_what_is_cold() {
    let closed = [local(0, 10), local(10, 20), local(20, 30)];
    let end = |options: &[(&str, &str)], cold_end: i64, now: i64| {
        local_end(&closed, Offset(cold_end), 350, (&config(options), TimestampMs(now))).map(|end| end.0)
    };
    let forever = ("retention.ms", "-1");
    assert_eq!(end(&[forever], 30, 1_000), None);
    assert_eq!(end(&[forever, ("local.retention.ms", "5")], 30, 26), Some(20));
    assert_eq!(end(&[forever, ("local.retention.ms", "5")], 10, 26), Some(10));
    assert_eq!(end(&[forever, ("local.retention.ms", "0")], 30, 1_000), Some(30));
    assert_eq!(end(&[forever, ("local.retention.bytes", "250")], 30, 0), Some(10));
    assert_eq!(end(&[forever, ("local.retention.bytes", "0")], 30, 0), Some(30));
    assert_eq!(end(&[forever, ("local.retention.bytes", "-1")], 30, 0), None);
    // -2 stands for retention.*.
    assert_eq!(end(&[("retention.ms", "5")], 30, 26), Some(20));
    assert_eq!(end(&[forever, ("retention.bytes", "150")], 30, 0), Some(20));
    assert_eq!(end(&[("retention.ms", "5"), ("local.retention.ms", "-1")], 30, 26), None);
}

#[test]
fn remote_segments_go_by_retention_over_the_whole() {
    let cold = manifest(&[(0, 10), (10, 20), (20, 30)]);
    let start = |options: &[(&str, &str)], local_only: u64, now: i64| {
        remote_start(&cold, local_only, (&config(options), TimestampMs(now))).map(|start| start.0)
    };
    let forever = ("retention.ms", "-1");
    assert_eq!(start(&[forever], 100, 1_000), None);
    assert_eq!(start(&[("retention.ms", "5")], 100, 26), Some(20));
    assert_eq!(start(&[forever, ("retention.bytes", "300")], 100, 0), Some(10));
    assert_eq!(start(&[forever, ("retention.bytes", "300")], 99, 0), None);
    assert_eq!(start(&[("cleanup.policy", "compact"), ("retention.ms", "5")], 100, 26), None);
}

#[test]
fn a_start_within_a_segment_keeps_it() {
    let cold = manifest(&[(0, 10), (10, 20)]);
    assert_eq!(started_at(&cold, Offset(0)), None);
    let within = started_at(&cold, Offset(15)).unwrap();
    assert_eq!((within.start(), within.segments.len()), (Some(Offset(15)), 1));
    let past = started_at(&cold, Offset(20)).unwrap();
    assert_eq!((past.start(), past.log_start), (None, Offset(20)));
}

#[test]
fn what_is_only_local_is_the_rest() {
    let closed = [local(0, 10), local(10, 20)];
    assert_eq!(local_only(&closed, Offset(10), 250), 150);
    assert_eq!(local_only(&closed, Offset(0), 250), 250);
}
