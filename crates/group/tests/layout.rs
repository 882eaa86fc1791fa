//! The record layout against bytes that Kafka's own classes wrote, and against itself.

#![cfg(test)]

use bytes::Bytes;
use millstream_group::layout::{Change, Committed, StoredGroup, StoredMember};
use millstream_group::{
    ClassicMember, ConsumerChange, Current, GroupEpoch, MemberMetadata, MemberState, Owned, Partitions, Protocol,
    Resolved, ShareTopics, SharedTopic, TargetEpoch,
};
use millstream_types::{LeaderEpoch, Offset, TimestampMs, TopicId};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

type Stored = (Vec<u8>, Option<Vec<u8>>);

/// See golden/README.md.
fn golden() -> Vec<Stored> {
    let mut rest: &[u8] = include_bytes!("../golden/records.bin");
    let mut field = || -> Option<Option<Vec<u8>>> {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Some(None) };
        let (bytes, after) = rest.split_at(length);
        rest = after;
        Some(Some(bytes.to_vec()))
    };
    let mut records = Vec::new();
    while let Some(key) = field() {
        records.push((key.unwrap(), field().unwrap()));
    }
    records
}

fn committed(epoch: i32, expires_at: Option<i64>) -> Committed {
    Committed {
        offset: Offset(1_234_567_890_123),
        leader_epoch: LeaderEpoch(epoch),
        metadata: "mëta".into(),
        committed_at: TimestampMs(1_767_225_600_000),
        expires_at: expires_at.map(TimestampMs),
        topic_id: TopicId::ZERO,
    }
}

fn offset(committed: Option<Committed>) -> Change {
    Change::Offset { group: "grüppe".into(), topic: "a.topic".into(), partition: 7, committed }
}

fn group(version: i16) -> Change {
    let member = |id: &str, instance: Option<&str>, client: &str, host: &str, timeouts: (i32, i32)| StoredMember {
        member: id.into(),
        instance: instance.filter(|_| version >= 3).map(str::to_owned),
        client_id: client.into(),
        client_host: host.into(),
        rebalance_timeout_ms: if version >= 1 { timeouts.0 } else { timeouts.1 },
        session_timeout_ms: timeouts.1,
        subscription: Bytes::new(),
        assignment: Bytes::new(),
    };
    let first = StoredMember {
        subscription: Bytes::from_static(&[1, 2, 3]),
        assignment: Bytes::from_static(&[4, 5]),
        ..member("m-1", Some("i-1"), "c", "/127.0.0.1", (300_000, 45_000))
    };
    let stored = StoredGroup {
        protocol_type: "consumer".into(),
        generation: 42,
        protocol: Some("range".into()),
        leader: Some("m-1".into()),
        state_since: (version >= 2).then_some(TimestampMs(1_767_225_600_001)),
        members: vec![first, member("m-2", None, "", "/::1", (1, 6_000))],
    };
    Change::Group { group: "grüppe".into(), stored: Some(stored) }
}

fn expected() -> Vec<Change> {
    let named = Committed {
        offset: Offset(1),
        leader_epoch: LeaderEpoch::NONE,
        metadata: String::new(),
        committed_at: TimestampMs(2),
        expires_at: None,
        topic_id: TopicId(Uuid::from_u64_pair(0x0123_4567_89ab_cdef, 0x1122_3344_5566_7788)),
    };
    let legacy = Committed {
        offset: Offset(9),
        leader_epoch: LeaderEpoch::NONE,
        metadata: "m".into(),
        committed_at: TimestampMs(8),
        expires_at: None,
        topic_id: TopicId::ZERO,
    };
    let empty = StoredGroup {
        protocol_type: "consumer".into(),
        generation: 43,
        protocol: None,
        leader: None,
        state_since: Some(TimestampMs(1)),
        members: Vec::new(),
    };
    let mut expected = vec![
        offset(Some(committed(-1, None))),
        offset(Some(committed(-1, Some(1_767_225_700_000)))),
        offset(Some(committed(-1, None))),
        offset(Some(committed(5, None))),
        offset(Some(committed(5, None))),
        offset(Some(named)),
        offset(None),
        Change::Offset { group: "g".into(), topic: "t".into(), partition: 0, committed: Some(legacy) },
    ];
    expected.extend((0..=4).map(group));
    expected.push(Change::Group { group: "grüppe".into(), stored: Some(empty) });
    expected.push(Change::Group { group: "grüppe".into(), stored: None });
    expected.push(consumer("x", ConsumerChange::Group(Some(GroupEpoch { epoch: 1, metadata_hash: 0 }))));
    expected.extend(of_the_new_protocol());
    expected.extend(of_a_share_group());
    expected.push(Change::Other(17));
    expected
}

fn consumer(group: &str, change: ConsumerChange) -> Change {
    Change::Consumer { group: group.into(), change }
}

fn topic(last: u64) -> TopicId {
    TopicId(Uuid::from_u64_pair(0x0123_4567_89ab_cdef, last))
}

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

/// A member of the new protocol, and one of the classic.
fn two_members() -> (MemberMetadata, MemberMetadata) {
    let new = MemberMetadata {
        instance: Some("i-1".into()),
        rack: Some("r".into()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        topics: names(&["a", "b"]),
        regex: Some("x.*".into()),
        rebalance_timeout_ms: 300_000,
        assignor: Some("uniform".into()),
        classic: None,
    };
    let range = Protocol { name: "range".into(), metadata: Bytes::from_static(&[1, 2, 3]) };
    // What is not set in Kafka's classes is empty.
    let empty = || Some(String::new());
    let classic = MemberMetadata {
        instance: empty(),
        rack: empty(),
        regex: empty(),
        assignor: empty(),
        client_host: "/::1".into(),
        topics: names(&["a"]),
        rebalance_timeout_ms: -1,
        classic: Some(ClassicMember { session_timeout_ms: 45_000, protocols: vec![range] }),
        ..MemberMetadata::default()
    };
    (new, classic)
}

fn of_the_new_protocol() -> Vec<Change> {
    let (first, second) = (topic(0x1122_3344_5566_7788), topic(0x1122_3344_5566_7789));
    let (one, two): (Arc<str>, Arc<str>) = ("m-1".into(), "m-2".into());
    let (new, classic) = two_members();
    let owned = |topic, partitions: &[(i32, i32)]| Owned::from([(topic, partitions.iter().copied().collect())]);
    let unrevoked = Current {
        epoch: 7,
        previous_epoch: 6,
        state: MemberState::Unrevoked,
        assigned: owned(first, &[(0, 7), (2, 5)]),
        revoking: owned(second, &[(1, 6)]),
    };
    // Written without epochs of assignment: they are the member's.
    let unreleased = Current {
        epoch: 7,
        previous_epoch: 6,
        state: MemberState::Unreleased,
        assigned: owned(first, &[(1, 7)]),
        revoking: Owned::new(),
    };
    let target = Partitions::from([(first, [0, 2].into()), (second, [1].into())]);
    let at = TimestampMs(1_767_225_600_000);
    let resolved = Resolved { topics: names(&["xa", "xb"]), version: 12, at };
    let regex: Arc<str> = "x.*".into();
    let mut changes = vec![consumer("grüppe", ConsumerChange::Group(Some(GroupEpoch { epoch: 7, metadata_hash: -5 })))];
    let rest = [
        ConsumerChange::Group(None),
        ConsumerChange::Topics(true),
        ConsumerChange::Topics(false),
        ConsumerChange::Member(one.clone(), Some(Arc::new(new))),
        ConsumerChange::Member(two.clone(), Some(Arc::new(classic))),
        ConsumerChange::Member(two.clone(), None),
        ConsumerChange::TargetEpoch(Some(TargetEpoch { epoch: 7, at })),
        ConsumerChange::TargetEpoch(None),
        ConsumerChange::Target(one.clone(), Some(Arc::new(target))),
        ConsumerChange::Target(one.clone(), None),
        ConsumerChange::Current(one.clone(), Some(Arc::new(unrevoked))),
        ConsumerChange::Current(two, Some(Arc::new(unreleased))),
        ConsumerChange::Current(one, None),
        ConsumerChange::Regex(regex.clone(), Some(Arc::new(resolved))),
        ConsumerChange::Regex(regex, None),
    ];
    changes.extend(rest.into_iter().map(|change| consumer("g", change)));
    changes
}

fn of_a_share_group() -> Vec<Change> {
    let (first, second) = (topic(0x1122_3344_5566_7788), topic(0x1122_3344_5566_7789));
    let one: Arc<str> = "m-1".into();
    let member = MemberMetadata {
        rack: Some("r".into()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        topics: names(&["a", "b"]),
        ..MemberMetadata::default()
    };
    let current = Current {
        epoch: 7,
        previous_epoch: 6,
        state: MemberState::Stable,
        assigned: Owned::from([(first, [(0, 7), (2, 7)].into())]),
        revoking: Owned::new(),
    };
    let shared = |partitions: &[i32]| {
        let topic = SharedTopic { name: "a".into(), partitions: partitions.iter().copied().collect() };
        [(first, topic)].into()
    };
    let shares = ShareTopics {
        initializing: shared(&[2]),
        initialized: shared(&[0, 1]),
        deleting: [(second, "b".to_owned())].into(),
    };
    let target = Partitions::from([(first, [0, 2].into()), (second, [1].into())]);
    let of = |group: &str, change| Change::Share { group: group.into(), change };
    vec![
        of("s", ConsumerChange::Group(Some(GroupEpoch { epoch: 1, metadata_hash: 0 }))),
        of("s", ConsumerChange::Member(one.clone(), Some(Arc::new(member)))),
        of("s", ConsumerChange::Member(one.clone(), None)),
        of("grüppe", ConsumerChange::Group(Some(GroupEpoch { epoch: 7, metadata_hash: -5 }))),
        of("s", ConsumerChange::Group(None)),
        of("s", ConsumerChange::TargetEpoch(Some(TargetEpoch { epoch: 7, at: TimestampMs(1_767_225_600_000) }))),
        of("s", ConsumerChange::TargetEpoch(None)),
        of("s", ConsumerChange::Target(one.clone(), Some(Arc::new(target)))),
        of("s", ConsumerChange::Target(one.clone(), None)),
        of("s", ConsumerChange::Current(one.clone(), Some(Arc::new(current)))),
        of("s", ConsumerChange::Current(one, None)),
        of("s", ConsumerChange::Shares(Some(Arc::new(shares)))),
        of("s", ConsumerChange::Shares(None)),
    ]
}

fn decode((key, value): &Stored) -> Result<Change, millstream_group::Error> {
    Change::decode(key, value.as_deref(), TimestampMs(0))
}

#[test]
fn every_version_kafka_wrote_is_read() {
    let read: Vec<Change> = golden().iter().map(|record| decode(record).unwrap()).collect();
    assert_eq!(read, expected());
}

#[test]
fn what_is_written_is_what_kafka_writes() {
    // Those that Kafka 4.3 would write: an offset with expiry (1), without (4), with a topic id (5), its tombstone (6); a generation (11),
    // an empty group (13), its tombstone (14).
    let (golden, changes) = (golden(), expected());
    // Of the new protocol all but the record that only Kafka 4.0 wrote (18) and the one without epochs of assignment (28).
    let new = (15..=31).filter(|index| ![18, 28].contains(index));
    for index in [1, 4, 5, 6, 11, 13, 14].into_iter().chain(new) {
        let written = changes[index].encode().unwrap();
        let written = (written.key.to_vec(), written.value.map(|value| value.to_vec()));
        assert_eq!(written, golden[index], "record {index}");
    }
}

#[test]
fn a_record_cut_anywhere_is_refused_with_the_field() {
    for (key, value) in golden().iter().take(45).enumerate().filter(|(index, _)| *index != 18).map(|(_, record)| record)
    {
        let Some(value) = value else { continue };
        for cut in 0..value.len() {
            let error = Change::decode(key, Some(&value[..cut]), TimestampMs(5)).unwrap_err();
            assert!(
                matches!(error, millstream_group::Error::CorruptRecord { timestamp: TimestampMs(5), .. }),
                "{error}"
            );
        }
        for cut in 0..key.len() {
            assert!(Change::decode(&key[..cut], Some(value), TimestampMs(5)).is_err());
        }
    }
}

#[test]
fn a_value_of_a_newer_version_is_refused() {
    let (key, value) = golden()[4].clone();
    let mut value = value.unwrap();
    value[1] = 9;
    let error = Change::decode(&key, Some(&value), TimestampMs(0)).unwrap_err();
    assert!(error.to_string().contains("newer"), "{error}");
}

#[test]
fn a_string_too_long_for_the_layout_is_not_written() {
    let change = Change::Group { group: "g".repeat(40_000), stored: None };
    assert_eq!(change.encode(), None);
}

fn text() -> impl Strategy<Value = String> {
    "[a-zü0-9._-]{0,40}"
}

fn any_committed() -> impl Strategy<Value = Committed> {
    (any::<i64>(), -1..i32::MAX, text(), any::<i64>(), prop::option::of(0..i64::MAX), any::<u128>()).prop_map(
        |(offset, epoch, metadata, at, expires, id)| Committed {
            offset: Offset(offset),
            // The only version with an expiry has neither epoch nor topic id.
            leader_epoch: LeaderEpoch(if expires.is_some() { -1 } else { epoch }),
            metadata,
            committed_at: TimestampMs(at),
            expires_at: expires.map(TimestampMs),
            topic_id: TopicId(Uuid::from_u128(if expires.is_some() { 0 } else { id })),
        },
    )
}

fn any_member() -> impl Strategy<Value = StoredMember> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..50).prop_map(Bytes::from);
    (text(), prop::option::of(text()), text(), text(), 0..i32::MAX, 0..i32::MAX, bytes(), bytes()).prop_map(
        |(member, instance, client_id, client_host, rebalance, session, subscription, assignment)| StoredMember {
            member,
            instance,
            client_id,
            client_host,
            rebalance_timeout_ms: rebalance,
            session_timeout_ms: session,
            subscription,
            assignment,
        },
    )
}

fn any_change() -> impl Strategy<Value = Change> {
    let offset = (text(), text(), any::<i32>(), prop::option::of(any_committed()))
        .prop_map(|(group, topic, partition, committed)| Change::Offset { group, topic, partition, committed });
    let stored = (
        text(),
        any::<i32>(),
        prop::option::of(text()),
        prop::option::of(text()),
        0..i64::MAX,
        prop::collection::vec(any_member(), 0..5),
    )
        .prop_map(|(protocol_type, generation, protocol, leader, since, members)| StoredGroup {
            protocol_type,
            generation,
            protocol,
            leader,
            state_since: Some(TimestampMs(since)),
            members,
        });
    let group = (text(), prop::option::of(stored)).prop_map(|(group, stored)| Change::Group { group, stored });
    prop_oneof![offset, group]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(change in any_change()) {
        let written = change.encode().unwrap();
        prop_assert_eq!(Change::decode(&written.key, written.value.as_deref(), TimestampMs(0)), Ok(change));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(key: Vec<u8>, value: Option<Vec<u8>>, kind in 0..4u8) {
        let key = [&[0, kind], key.as_slice()].concat();
        let _ = Change::decode(&key, value.as_deref(), TimestampMs(0));
    }
}
