//! The state of share partitions: its records against bytes that Kafka's own classes wrote, who may write, and what comes of updates.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test")]

use millstream_group::share::{
    Delivery, ShareKey, ShareState, ShareStates, StateBatch, StateChange, StateConfig, StateEffects, StateReply,
    StateShard, StateUpdate, Summary, UNKNOWN, WriteState,
};
use millstream_group::{Error, Now, Waiter, WriteError};
use millstream_types::{TimestampMs, TopicId};
use std::sync::Arc;
use uuid::Uuid;

const UPDATES_PER_SNAPSHOT: u32 = 500;
const NOW: TimestampMs = TimestampMs(1_767_225_600_000);

type Stored = (Vec<u8>, Option<Vec<u8>>);

/// See golden/README.md.
fn golden() -> Vec<Stored> {
    let mut rest: &[u8] = include_bytes!("../golden/share_states.bin");
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

fn key() -> ShareKey {
    let topic = TopicId(Uuid::from_u64_pair(0x0123_4567_89ab_cdef, 0x1122_3344_5566_7788));
    ShareKey { group: Arc::from("grüppe"), topic, partition: 7 }
}

fn batch(first: i64, last: i64, delivery: Delivery, count: i16) -> StateBatch {
    StateBatch { first, last, delivery, count }
}

fn expected() -> Vec<StateChange> {
    let state = ShareState {
        snapshot_epoch: 3,
        state_epoch: 2,
        leader_epoch: 9,
        start: 10,
        complete: 1,
        created_at: NOW,
        written_at: TimestampMs(1_767_225_700_000),
        batches: vec![batch(10, 19, Delivery::Available, 2), batch(20, 20, Delivery::Archived, 5)],
    };
    let fresh = ShareState {
        snapshot_epoch: 0,
        state_epoch: 0,
        leader_epoch: 0,
        start: UNKNOWN,
        complete: -1,
        created_at: TimestampMs(0),
        written_at: TimestampMs(0),
        batches: Vec::new(),
    };
    let batches = vec![batch(10, 12, Delivery::Acknowledged, 1)];
    let update = StateUpdate { snapshot_epoch: 3, leader_epoch: 9, start: 10, complete: 3, batches };
    let small = StateUpdate { start: UNKNOWN, complete: -1, batches: Vec::new(), ..update.clone() };
    vec![
        StateChange::Snapshot(key(), Some(state)),
        StateChange::Snapshot(key(), Some(fresh)),
        StateChange::Snapshot(key(), None),
        StateChange::Update(key(), Some(update)),
        StateChange::Update(key(), Some(small)),
        StateChange::Update(key(), None),
    ]
}

fn decode((key, value): &Stored) -> Result<StateChange, Error> {
    StateChange::decode(key, value.as_deref(), NOW)
}

#[test]
fn what_kafka_wrote_is_read_and_written_the_same() {
    let (golden, expected) = (golden(), expected());
    let read: Vec<StateChange> = golden.iter().map(|record| decode(record).unwrap()).collect();
    assert_eq!(read, expected);
    for (index, change) in expected.iter().enumerate() {
        let written = change.encode().unwrap();
        assert_eq!((written.key.to_vec(), written.value.map(|value| value.to_vec())), golden[index], "record {index}");
    }
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    for (key, value) in golden() {
        for cut in 0..key.len() {
            assert!(StateChange::decode(&key[..cut], value.as_deref(), NOW).is_err());
        }
        let Some(value) = value else { continue };
        for cut in 0..value.len() {
            let error = StateChange::decode(&key, Some(&value[..cut]), NOW).unwrap_err();
            assert!(matches!(error, Error::CorruptRecord { timestamp: NOW, .. }), "{error}");
        }
    }
}

#[test]
fn a_key_of_another_kind_is_left_alone() {
    assert_eq!(StateChange::decode(&[0, 9], Some(&[1]), NOW).unwrap(), StateChange::Other(9));
}

fn write_of(leader_epoch: i32, start: i64, batches: Vec<StateBatch>) -> WriteState {
    WriteState { state_epoch: 2, leader_epoch, start, complete: 0, batches }
}

/// States with one that was initialized at 10, of state epoch 2.
fn states() -> ShareStates {
    let mut states = ShareStates::new(UPDATES_PER_SNAPSHOT);
    let change = states.initialize(&key(), 2, 10, NOW).unwrap();
    states.replay(change);
    states
}

#[test]
fn what_was_not_initialized_is_told_so_and_has_no_start() {
    let states = ShareStates::new(UPDATES_PER_SNAPSHOT);
    assert!(matches!(states.read(&key(), 1), Err(Error::NoShareState { partition: 7, .. })));
    assert!(matches!(states.write(&key(), &write_of(1, 0, Vec::new()), NOW), Err(Error::NoShareState { .. })));
    let nothing = Summary { state_epoch: 0, leader_epoch: 0, start: UNKNOWN, complete: -1 };
    assert_eq!(states.summary(&key()), nothing);
    assert_eq!(states.delete(&key()), None);
}

#[test]
fn a_newer_leader_that_reads_fences_the_one_before() {
    let mut states = states();
    let change = states.read(&key(), 5).unwrap().unwrap();
    states.replay(change);
    assert_eq!(states.read(&key(), 5), Ok(None), "that is known");
    let fenced = Error::FencedShareLeader { sent: 4, current: 5 };
    assert_eq!(states.read(&key(), 4), Err(fenced.clone()));
    assert_eq!(states.write(&key(), &write_of(4, 10, Vec::new()), NOW), Err(fenced));
    assert_eq!(states.summary(&key()).leader_epoch, 5);
}

#[test]
fn an_older_state_epoch_is_fenced_and_a_newer_one_begins_anew() {
    let mut states = states();
    let old = WriteState { state_epoch: 1, ..write_of(1, 10, Vec::new()) };
    assert_eq!(states.write(&key(), &old, NOW), Err(Error::FencedStateEpoch { sent: 1, current: 2 }));
    assert_eq!(states.initialize(&key(), 1, 0, NOW), Err(Error::FencedStateEpoch { sent: 1, current: 2 }));
    let written = states.write(&key(), &write_of(1, 10, vec![batch(10, 11, Delivery::Acknowledged, 1)]), NOW).unwrap();
    states.replay(written);
    let anew = states.initialize(&key(), 3, 100, NOW).unwrap();
    states.replay(anew);
    let state = states.get(&key()).unwrap();
    assert_eq!((state.snapshot_epoch, state.state_epoch, state.start, state.batches.len()), (1, 3, 100, 0));
}

#[test]
fn updates_are_laid_over_what_was_known() {
    let mut states = states();
    let writes = [
        write_of(1, 10, vec![batch(10, 19, Delivery::Available, 1)]),
        write_of(1, 10, vec![batch(12, 13, Delivery::Acknowledged, 1), batch(15, 15, Delivery::Archived, 1)]),
        write_of(1, 10, vec![batch(14, 14, Delivery::Acknowledged, 1)]),
    ];
    for write in &writes {
        let change = states.write(&key(), write, NOW).unwrap();
        assert!(matches!(change, StateChange::Update(..)));
        states.replay(change);
    }
    let expected = [
        batch(10, 11, Delivery::Available, 1),
        batch(12, 14, Delivery::Acknowledged, 1),
        batch(15, 15, Delivery::Archived, 1),
        batch(16, 19, Delivery::Available, 1),
    ];
    assert_eq!(states.get(&key()).unwrap().batches, expected);
    let moved = states.write(&key(), &write_of(1, 13, Vec::new()), NOW).unwrap();
    states.replay(moved);
    let (state, first) = (states.get(&key()).unwrap(), batch(13, 14, Delivery::Acknowledged, 1));
    assert_eq!((state.start, state.batches[0]), (13, first), "what is below the start is forgotten");
}

#[test]
fn many_updates_become_a_snapshot_that_says_all() {
    let mut states = states();
    for offset in 10..10 + i64::from(UPDATES_PER_SNAPSHOT) {
        let one = write_of(1, UNKNOWN, vec![batch(offset, offset, Delivery::Acknowledged, 1)]);
        let change = states.write(&key(), &one, NOW).unwrap();
        assert!(matches!(change, StateChange::Update(..)), "offset {offset}");
        states.replay(change);
    }
    let last = write_of(1, UNKNOWN, vec![batch(600, 600, Delivery::Archived, 5)]);
    let change = states.write(&key(), &last, NOW).unwrap();
    let StateChange::Snapshot(_, Some(snapshot)) = &change else { panic!("{change:?}") };
    let all = vec![batch(10, 509, Delivery::Acknowledged, 1), batch(600, 600, Delivery::Archived, 5)];
    assert_eq!((snapshot.snapshot_epoch, snapshot.start, &snapshot.batches), (1, 10, &all));
    let mut other = ShareStates::new(UPDATES_PER_SNAPSHOT);
    other.replay(change);
    assert_eq!(other.get(&key()).unwrap().batches, all, "it stands for itself");
}

#[test]
fn what_is_deleted_is_gone() {
    let mut states = states();
    let change = states.delete(&key()).unwrap();
    states.replay(change);
    assert!(states.is_empty());
}

const AT: Now = Now { wall: NOW, elapsed_ms: 0 };

/// A shard whose state was initialized at 10.
fn shard() -> StateShard {
    let mut shard = StateShard::new(StateConfig { updates_per_snapshot: 1, ..StateConfig::default() });
    let effects = shard.initialize(&key(), (2, 10), Waiter(1), AT);
    let written = shard.written(effects.writes[0].ticket, Ok(()));
    assert_eq!(written.replies, [(Waiter(1), StateReply::Stored(Ok(())))]);
    shard
}

fn read_state(effects: &StateEffects, waiter: u64) -> ShareState {
    match effects.replies.iter().find(|(answered, _)| *answered == Waiter(waiter)) {
        Some((_, StateReply::Read(Ok(state)))) => (**state).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_leader_that_reads_is_told_what_is_stored_and_not_what_is_being_written() {
    let mut shard = shard();
    let done = write_of(1, 13, vec![batch(10, 12, Delivery::Acknowledged, 1)]);
    let write = shard.write(&key(), done, Waiter(2), AT);
    let read = shard.read(&key(), 5, Waiter(3), AT);
    assert!(read.writes.is_empty() && read.replies.is_empty(), "it waits");
    assert_eq!(shard.summary(&key()).start, 10);

    let failed = shard.written(write.writes[0].ticket, Err(WriteError::NotAvailable));
    assert!(matches!(
        failed.replies[..],
        [(Waiter(2), StateReply::Stored(Err(Error::CoordinatorNotAvailable { .. })))]
    ));
    let told = shard.written(failed.writes[0].ticket, Ok(()));
    let state = read_state(&told, 3);
    assert_eq!((state.start, state.leader_epoch, state.batches), (10, 5, Vec::new()));
    let late = shard.write(&key(), write_of(1, 13, Vec::new()), Waiter(4), AT);
    let fenced = StateReply::Stored(Err(Error::FencedShareLeader { sent: 1, current: 5 }));
    assert_eq!(late.replies, [(Waiter(4), fenced)]);
}

#[test]
fn a_snapshot_tells_nothing_that_is_not_stored() {
    let mut shard = shard();
    let one = |offset| write_of(1, UNKNOWN, vec![batch(offset, offset, Delivery::Acknowledged, 1)]);
    let first = shard.write(&key(), one(20), Waiter(2), AT);
    shard.written(first.writes[0].ticket, Ok(()));
    let lost = shard.write(&key(), one(30), Waiter(3), AT);
    assert!(shard.snapshot_all(Waiter(4), AT).writes.is_empty(), "what is being written comes first");
    let refused = shard.snapshot_all(Waiter(5), AT).replies;
    assert!(matches!(refused[..], [(Waiter(5), StateReply::Stored(Err(_)))]), "one round at a time");
    let round = shard.written(lost.writes[0].ticket, Err(WriteError::TooLarge));
    let record = &round.writes[0].records[0];
    let stored = StateChange::decode(&record.key, record.value.as_deref(), NOW).unwrap();
    let StateChange::Snapshot(_, Some(state)) = stored else { panic!("{stored:?}") };
    assert_eq!(state.batches, [batch(20, 20, Delivery::Acknowledged, 1)]);
    let done = shard.written(round.writes[0].ticket, Ok(()));
    assert_eq!(done.replies, [(Waiter(4), StateReply::Stored(Ok(())))]);
}

#[test]
fn whoever_waits_is_sent_away_where_the_partition_is_not_led_any_more() {
    let mut shard = shard();
    shard.write(&key(), write_of(1, 11, Vec::new()), Waiter(2), AT);
    shard.read(&key(), 5, Waiter(3), AT);
    shard.snapshot_all(Waiter(4), AT);
    let mut answered: Vec<(Waiter, StateReply)> = shard.unload().replies;
    answered.sort_by_key(|(waiter, _)| *waiter);
    let gone = || Error::NotCoordinator { group: "grüppe".into() };
    let stored = StateReply::Stored(Err(gone()));
    let expected = [(Waiter(2), stored.clone()), (Waiter(3), StateReply::Read(Err(gone()))), (Waiter(4), stored)];
    assert_eq!(answered, expected);
}
