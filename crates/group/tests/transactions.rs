//! Offsets committed in transactions: held, seen as unstable, and known or forgotten when the marker is in the log.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;

use desk::{GROUP, commit_of, join_of};
use millstream_group::{
    ByTopic, CommitRequest, Config, Effects, Error, FetchRequest, FetchedOffset, NoTopics, Now, Producer, Reply, Shard,
    Ticket, Waiter, WriteError,
};
use millstream_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::sync::Arc;

const WAITER: Waiter = Waiter(1);
const NOW: Now = Now { wall: TimestampMs(1_000), elapsed_ms: 1_000 };

fn producer(id: i64) -> Producer {
    Producer { id: ProducerId(id), epoch: ProducerEpoch(0) }
}

fn shard() -> Shard {
    let mut shard = Shard::new(Config::default(), Arc::new(NoTopics));
    shard.loaded(NOW);
    shard
}

/// Settles the only write of `effects`, and gives the answer that follows.
fn settle(shard: &mut Shard, effects: Effects, outcome: Result<(), WriteError>) -> Reply {
    assert!(effects.replies.is_empty(), "answered before it is written");
    let ticket = effects.writes[0].ticket;
    let mut told = shard.written(ticket, outcome, NOW).replies;
    assert_eq!(told.len(), 1);
    told.remove(0).1
}

fn commit(shard: &mut Shard, by: i64, offset: i64) {
    let effects = shard.commit_in_transaction(commit_of("t", offset), producer(by), WAITER, NOW);
    assert_eq!(effects.writes[0].transaction, Some(producer(by)));
    assert!(matches!(settle(shard, effects, Ok(())), Reply::Offsets(Ok(_))));
}

fn end(shard: &mut Shard, by: i64, commits: bool) {
    let effects = shard.end_transaction(producer(by), WAITER);
    let told = shard.ended(effects.writes[0].ticket, (ProducerId(by), commits), Ok(()), NOW);
    assert_eq!(told.replies, [(WAITER, Reply::Ended(Ok(())))]);
}

fn fetch(shard: &Shard, require_stable: bool) -> FetchedOffset {
    let topics = Some(vec![ByTopic { topic: "t".into(), partitions: vec![0] }]);
    let request = FetchRequest { group: GROUP.into(), member: None, topics, require_stable };
    shard.fetch(&request).unwrap()[0].partitions[0].clone()
}

fn seen(shard: &Shard) -> (i64, bool) {
    let (plain, stable) = (fetch(shard, false), fetch(shard, true));
    assert!(!plain.is_unstable);
    assert!(!stable.is_unstable || stable.offset == Offset::NONE);
    (plain.offset.0, stable.is_unstable)
}

#[test]
fn offsets_count_when_their_transaction_commits() {
    let mut shard = shard();
    commit(&mut shard, 7, 5);
    assert_eq!(seen(&shard), (-1, true));
    end(&mut shard, 7, true);
    assert_eq!(seen(&shard), (5, false));
    commit(&mut shard, 7, 9);
    assert_eq!(seen(&shard), (5, true));
    end(&mut shard, 7, false);
    assert_eq!(seen(&shard), (5, false));
}

#[test]
fn transactions_of_several_producers_end_on_their_own() {
    let mut shard = shard();
    commit(&mut shard, 1, 10);
    commit(&mut shard, 2, 20);
    end(&mut shard, 1, true);
    assert_eq!(seen(&shard), (10, true));
    end(&mut shard, 3, true);
    assert_eq!(seen(&shard), (10, true), "of nobody who holds anything");
    end(&mut shard, 2, true);
    assert_eq!(seen(&shard), (20, false));
}

#[test]
fn a_group_that_only_an_aborted_transaction_made_is_gone() {
    let mut shard = shard();
    commit(&mut shard, 7, 5);
    assert_eq!(shard.group_count(), 1);
    end(&mut shard, 7, false);
    assert_eq!(shard.group_count(), 0);
}

#[test]
fn what_could_not_be_written_is_told_and_not_held() {
    for (cause, error) in [
        (WriteError::ProducerFenced, Error::ProducerFenced { group: GROUP.into() }),
        (WriteError::NotInTransaction, Error::NotInTransaction { group: GROUP.into() }),
        (WriteError::NotAvailable, Error::CoordinatorNotAvailable { group: GROUP.into() }),
    ] {
        let mut shard = shard();
        let effects = shard.commit_in_transaction(commit_of("t", 5), producer(7), WAITER, NOW);
        assert_eq!(settle(&mut shard, effects, Err(cause)), Reply::Offsets(Err(error)));
        assert_eq!(seen(&shard), (-1, false));
    }
}

#[test]
fn a_marker_that_could_not_be_written_ends_nothing() {
    let mut shard = shard();
    commit(&mut shard, 7, 5);
    let effects = shard.end_transaction(producer(7), WAITER);
    let failed = Err(WriteError::NotAvailable);
    let told = shard.ended(effects.writes[0].ticket, (ProducerId(7), true), failed, NOW);
    assert_eq!(told.replies, [(WAITER, Reply::Ended(failed))]);
    assert_eq!(seen(&shard), (-1, true));
    end(&mut shard, 7, true);
    assert_eq!(seen(&shard), (5, false));
}

#[test]
fn what_is_read_from_the_log_is_what_was() {
    let mut before = shard();
    let mut log = Vec::new();
    for (by, offset) in [(1, 10), (2, 20)] {
        let effects = before.commit_in_transaction(commit_of("t", offset), producer(by), WAITER, NOW);
        log.extend(effects.writes[0].records.iter().map(|record| (by, record.clone())));
        settle(&mut before, effects, Ok(()));
    }
    let mut after = Shard::new(Config::default(), Arc::new(NoTopics));
    for (by, record) in log {
        let change = millstream_group::Change::decode(&record.key, record.value.as_deref(), NOW.wall).unwrap();
        after.replay_in_transaction(ProducerId(by), change);
    }
    after.replay_end(ProducerId(1), true);
    after.loaded(NOW);
    assert_eq!(seen(&after), (10, true));
    end(&mut after, 2, true);
    assert_eq!(seen(&after), (20, false));
}

#[test]
fn a_transaction_may_commit_for_a_group_with_members_only_as_one_of_them() {
    let mut shard = shard();
    let joining = shard.join(&join_of(""), WAITER, NOW);
    assert!(joining.writes.is_empty());
    let stranger = CommitRequest { generation: 3, member: "nobody".into(), ..commit_of("t", 1) };
    let effects = shard.commit_in_transaction(stranger, producer(7), WAITER, NOW);
    let [(_, Reply::Offsets(Err(Error::UnknownMemberId { .. })))] = effects.replies.as_slice() else {
        panic!("refused: {effects:?}")
    };
    // Older clients do not say who they are, and are taken at their transaction's word.
    let effects = shard.commit_in_transaction(commit_of("t", 1), producer(7), WAITER, NOW);
    assert!(matches!(settle(&mut shard, effects, Ok(())), Reply::Offsets(Ok(_))));
    let unknown = CommitRequest { group: "other".into(), generation: 3, ..commit_of("t", 1) };
    let effects = shard.commit_in_transaction(unknown, producer(7), WAITER, NOW);
    assert!(matches!(effects.replies[0].1, Reply::Offsets(Err(Error::GroupIdNotFound { .. }))));
}

#[test]
fn who_waits_for_a_marker_when_the_coordinator_goes_is_told() {
    let mut shard = shard();
    commit(&mut shard, 7, 5);
    let waiting = shard.end_transaction(producer(7), WAITER);
    assert_ne!(waiting.writes[0].ticket, Ticket(0));
    assert_eq!(shard.unload(NOW).replies, [(WAITER, Reply::Ended(Err(WriteError::NotLeader)))]);
}
