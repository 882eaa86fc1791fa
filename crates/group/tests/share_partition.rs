//! A share partition: who is given what, what becomes of it, and what of that outlives a crash.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::single_range_in_vec_init, reason = "it is one batch of those offsets")]

use millstream_group::Error;
use millstream_group::share::{
    Acknowledgement, Acquired, Buried, Cause, Delivery, Limits, Read, SharePartition, StateBatch, StateWrite, Wish,
};
use std::ops::Range;
use std::sync::Arc;

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const REJECT: i8 = 3;
const RENEW: i8 = 4;

fn wish(member: &str, records_max: i64) -> Wish {
    Wish { member: Arc::from(member), records_max, keeps_limit: false, batch_records: 1_000 }
}

fn limits() -> Limits {
    Limits { in_flight_max: 200, deliveries_max: 3, lock_ms: 1_000, buries: false }
}

/// A log of batches of ten records from 0 to 1000.
fn batches_from(offset: i64) -> Vec<Range<i64>> {
    (offset / 10..100).map(|batch| batch * 10..batch * 10 + 10).collect()
}

fn acquire(partition: &mut SharePartition, wish: &Wish, now_ms: u64) -> Vec<Acquired> {
    let from = partition.next_fetch_offset();
    partition.acquire(wish, &Read { from, batches: &batches_from(from), aborted: &[] }, now_ms)
}

fn acquired(first: i64, last: i64, count: i16) -> Acquired {
    Acquired { first, last, count }
}

fn say(first: i64, last: i64, kind: i8) -> Vec<Acknowledgement> {
    Acknowledgement::parse(&[(first, last, vec![kind])], true).unwrap()
}

/// Says so, and it is stored.
fn settle(partition: &mut SharePartition, member: &str, said: &[Acknowledgement]) -> StateWrite {
    let write = partition.acknowledge(member, said, 0).unwrap().unwrap();
    partition.written(write.ticket, true, 0);
    write
}

fn batch(first: i64, last: i64, delivery: Delivery, count: i16) -> StateBatch {
    StateBatch { first, last, delivery, count }
}

#[test]
fn members_are_given_different_records_whole_batches_of_them() {
    let mut partition = SharePartition::new(0, limits());
    assert_eq!(acquire(&mut partition, &wish("a", 5), 0), [acquired(0, 9, 1)]);
    assert_eq!(acquire(&mut partition, &wish("b", 15), 0), [acquired(10, 29, 1)]);
    assert_eq!((partition.start(), partition.end(), partition.next_fetch_offset()), (0, 30, 30));
}

#[test]
fn a_limit_that_is_to_be_kept_is() {
    let mut partition = SharePartition::new(0, limits());
    let strict = Wish { keeps_limit: true, ..wish("a", 5) };
    assert_eq!(acquire(&mut partition, &strict, 0), [acquired(0, 4, 1)]);
    assert_eq!(acquire(&mut partition, &strict, 0), [acquired(5, 9, 1)]);
}

#[test]
fn many_records_are_told_in_pieces_that_are_acknowledged_together() {
    let mut partition = SharePartition::new(0, limits());
    let pieces = Wish { batch_records: 15, ..wish("a", 50) };
    let expected = [acquired(0, 19, 1), acquired(20, 39, 1), acquired(40, 49, 1)];
    assert_eq!(acquire(&mut partition, &pieces, 0), expected);
}

#[test]
fn what_is_accepted_is_over_and_the_start_moves_over_it() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &wish("a", 20), 0);
    let write = settle(&mut partition, "a", &say(5, 9, ACCEPT));
    assert_eq!((write.start, write.complete), (0, 5));
    assert_eq!(write.batches, [batch(5, 9, Delivery::Acknowledged, 1)]);
    assert_eq!(partition.start(), 0, "0 to 4 are not settled");
    settle(&mut partition, "a", &say(0, 4, ACCEPT));
    assert_eq!(partition.start(), 10);
    settle(&mut partition, "a", &say(10, 19, ACCEPT));
    assert_eq!((partition.start(), partition.end()), (20, 20));
    assert_eq!(partition.in_flight(), []);
}

#[test]
fn what_is_released_is_delivered_again_until_it_was_too_often() {
    let mut partition = SharePartition::new(0, limits());
    for count in 1..=3 {
        let strict = Wish { keeps_limit: true, ..wish("a", 1) };
        assert_eq!(acquire(&mut partition, &strict, 0), [acquired(0, 0, count)]);
        let write = settle(&mut partition, "a", &say(0, 0, RELEASE));
        let delivery = if count < 3 { Delivery::Available } else { Delivery::Archived };
        assert_eq!(write.batches, [batch(0, 0, delivery, count)]);
    }
    assert_eq!(partition.start(), 1);
}

#[test]
fn what_is_given_up_is_buried_first_where_there_is_a_topic_for_it() {
    let mut partition = SharePartition::new(0, Limits { buries: true, deliveries_max: 1, ..limits() });
    acquire(&mut partition, &wish("a", 10), 0);
    let said = Acknowledgement::parse(&[(0, 1, vec![REJECT]), (2, 4, vec![RELEASE]), (5, 6, vec![0])], true).unwrap();
    let write = partition.acknowledge("a", &said, 0).unwrap().unwrap();
    let buried = |first, last, cause| Buried { first, last, count: 1, cause };
    assert_eq!(write.buried, [buried(0, 1, Cause::Rejected), buried(2, 4, Cause::DeliveredTooOften)]);
    let expired = partition.expire(1_000).unwrap();
    assert_eq!(expired.buried, [buried(7, 9, Cause::DeliveredTooOften)]);
    partition.written(write.ticket, false, 1_000);
    assert_eq!(partition.in_flight(), [batch(0, 9, Delivery::Acquired, 1)], "what is not buried is not given up");
    let again = partition.expire(2_000).unwrap();
    assert_eq!(again.buried, [buried(0, 6, Cause::DeliveredTooOften)]);
}

#[test]
fn a_lock_that_ends_makes_records_available_and_a_renewed_one_does_not() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &wish("a", 10), 0);
    assert_eq!(partition.acknowledge("a", &say(0, 4, RENEW), 600), Ok(None), "nothing is to be written");
    assert_eq!(partition.next_deadline(), 1_000);
    assert_eq!(partition.expire(999), None);
    let write = partition.expire(1_000).unwrap();
    assert_eq!(write.batches, [batch(5, 9, Delivery::Available, 1)]);
    assert_eq!(partition.next_deadline(), 1_600);
    let late = partition.acknowledge("a", &say(5, 9, ACCEPT), 1_000).unwrap_err();
    assert!(matches!(late, Error::InvalidRecordState { .. }), "{late}");
    assert!(partition.written(write.ticket, true, 1_000), "there is something to acquire");
    assert_eq!(acquire(&mut partition, &wish("b", 5), 1_000), [acquired(5, 9, 2)]);
}

#[test]
fn what_a_member_that_is_gone_had_was_delivered_and_is_given_up_in_the_end() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &wish("a", 10), 0);
    acquire(&mut partition, &wish("b", 10), 0);
    let write = partition.release("a").unwrap();
    assert_eq!(write.batches, [batch(0, 9, Delivery::Available, 1)]);
    partition.written(write.ticket, true, 0);
    assert_eq!(partition.release("a"), None);
    for count in 2..=limits().deliveries_max {
        assert!(acquire(&mut partition, &wish("c", 10), 0).iter().all(|given| given.count == count));
        let write = partition.release("c").unwrap();
        let left = if count < limits().deliveries_max { Delivery::Available } else { Delivery::Archived };
        assert!(write.batches.iter().all(|batch| (batch.delivery, batch.count) == (left, count)), "{write:?}");
        partition.written(write.ticket, true, 0);
    }
}

#[test]
fn what_a_member_has_not_it_can_not_acknowledge_and_nothing_of_that_request_counts() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &wish("a", 10), 0);
    acquire(&mut partition, &wish("b", 10), 0);
    let before = partition.in_flight();
    for (first, last) in [(0, 19), (5, 10)] {
        let refused = partition.acknowledge("a", &say(first, last, ACCEPT), 0).unwrap_err();
        assert!(matches!(refused, Error::InvalidRecordState { .. }), "{refused}");
        assert_eq!(partition.in_flight(), before);
    }
    let unknown = partition.acknowledge("a", &say(0, 20, ACCEPT), 0).unwrap_err();
    assert!(matches!(unknown, Error::InvalidAcknowledgement { .. }), "{unknown}");
    settle(&mut partition, "a", &say(0, 9, ACCEPT));
    assert_eq!(partition.acknowledge("a", &say(0, 9, ACCEPT), 0), Ok(None), "that is settled already");
}

#[test]
fn a_request_that_is_refused_renews_no_lock() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &wish("a", 10), 0);
    let said = Acknowledgement::parse(&[(0, 4, vec![RENEW]), (5, 20, vec![ACCEPT])], true).unwrap();
    assert!(partition.acknowledge("a", &said, 500).is_err());
    let write = partition.expire(1_000).unwrap();
    assert_eq!(write.batches, [batch(0, 9, Delivery::Available, 1)], "all locks end when they would have");
}

#[test]
fn an_acknowledgement_that_contradicts_itself_is_refused() {
    let wrong = [
        vec![(3, 2, vec![ACCEPT])],
        vec![(0, 4, vec![ACCEPT]), (4, 5, vec![ACCEPT])],
        vec![(0, 4, vec![])],
        vec![(0, 4, vec![ACCEPT, RELEASE])],
        vec![(0, 0, vec![5])],
        vec![(0, 0, vec![-1])],
        vec![(-1, 0, vec![ACCEPT])],
        vec![(i64::MIN, i64::MAX, vec![ACCEPT, ACCEPT])],
    ];
    for batches in wrong {
        let refused = Acknowledgement::parse(&batches, true).unwrap_err();
        assert!(matches!(refused, Error::InvalidAcknowledgement { .. }), "{batches:?}: {refused}");
    }
    assert!(Acknowledgement::parse(&[(0, 0, vec![RENEW])], false).is_err(), "where renewing is not allowed");
}

#[test]
fn what_could_not_be_written_is_its_members_still() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &wish("a", 10), 0);
    let write = partition.acknowledge("a", &say(0, 9, ACCEPT), 0).unwrap().unwrap();
    let meanwhile = partition.acknowledge("a", &say(0, 9, ACCEPT), 0).unwrap_err();
    assert!(matches!(meanwhile, Error::InvalidRecordState { .. }), "{meanwhile}");
    assert!(!partition.written(write.ticket, false, 0));
    assert_eq!(partition.in_flight(), [batch(0, 9, Delivery::Acquired, 1)]);
    settle(&mut partition, "a", &say(0, 9, ACCEPT));
    assert_eq!(partition.start(), 10);
}

#[test]
fn after_a_crash_what_is_not_settled_is_available_again() {
    let stored = [batch(12, 14, Delivery::Acknowledged, 1), batch(17, 17, Delivery::Available, 2)];
    let mut partition = SharePartition::loaded(10, &stored, limits()).unwrap();
    assert_eq!(partition.next_fetch_offset(), 10);
    let given = acquire(&mut partition, &wish("a", 100), 0);
    assert_eq!(given, [acquired(10, 11, 1), acquired(15, 16, 1)], "what was delivered often comes with less beside it");
    assert_eq!(acquire(&mut partition, &wish("a", 100), 0), [acquired(17, 17, 3)]);
    let settled = SharePartition::loaded(10, &[batch(10, 14, Delivery::Archived, 1)], limits()).unwrap();
    assert_eq!((settled.start(), settled.end()), (15, 15));
    let broken = SharePartition::loaded(10, &[batch(9, 11, Delivery::Archived, 1)], limits()).unwrap_err();
    assert!(matches!(broken, Error::CorruptRecord { .. }), "{broken}");
}

#[test]
fn what_was_compacted_away_is_given_up() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &wish("a", 30), 0);
    let write = partition.release("a").unwrap();
    partition.written(write.ticket, true, 0);
    let read = Read { from: 0, batches: &[20..30, 50..60], aborted: &[] };
    // As in Kafka, what is new is given from the end on: the member tells that there is nothing between.
    assert_eq!(partition.acquire(&wish("a", 100), &read, 0), [acquired(20, 29, 2), acquired(30, 59, 1)]);
    assert_eq!(partition.start(), 20);
    settle(&mut partition, "a", &Acknowledgement::parse(&[(20, 29, vec![ACCEPT]), (30, 49, vec![0])], true).unwrap());
    assert_eq!(partition.start(), 50);
    let read = Read { from: 60, batches: &[90..100], aborted: &[] };
    assert_eq!(partition.acquire(&wish("a", 100), &read, 0), [acquired(90, 99, 1)]);
    settle(&mut partition, "a", &say(50, 59, ACCEPT));
    assert_eq!(partition.start(), 90, "there is nothing before the first that was read");
}

#[test]
fn what_was_aborted_is_not_given() {
    let mut partition = SharePartition::new(0, limits());
    let read = Read { from: 0, batches: &[0..10, 10..20, 20..30], aborted: &[10..20] };
    assert_eq!(partition.acquire(&wish("a", 100), &read, 0), [acquired(0, 9, 1), acquired(20, 29, 1)]);
    settle(&mut partition, "a", &say(0, 9, ACCEPT));
    assert_eq!(partition.start(), 20);
}

#[test]
fn no_more_is_in_flight_than_may_be_and_what_is_released_of_it_comes_first() {
    let mut partition = SharePartition::new(0, Limits { in_flight_max: 30, ..limits() });
    acquire(&mut partition, &wish("a", 100), 0);
    assert_eq!(partition.end(), 30);
    assert!(!partition.has_room());
    assert_eq!(acquire(&mut partition, &wish("b", 100), 0), []);
    settle(&mut partition, "a", &say(10, 12, RELEASE));
    assert!(partition.has_room());
    assert_eq!(acquire(&mut partition, &wish("b", 100), 0), [acquired(10, 12, 2)]);
    settle(&mut partition, "a", &say(0, 9, ACCEPT));
    assert_eq!(acquire(&mut partition, &wish("b", 100), 0), [acquired(30, 39, 1)]);
}

#[test]
fn records_that_were_delivered_often_come_a_few_at_a_time_and_for_the_last_time_alone() {
    let mut partition = SharePartition::new(0, Limits { deliveries_max: 5, ..limits() });
    let mut give_and_take = |expected: &[Acquired]| {
        let given = acquire(&mut partition, &wish("a", 20), 0);
        assert_eq!(given, expected);
        let said: Vec<(i64, i64, Vec<i8>)> = given.iter().map(|one| (one.first, one.last, vec![RELEASE])).collect();
        settle(&mut partition, "a", &Acknowledgement::parse(&said, true).unwrap());
    };
    for count in 1..=3 {
        give_and_take(&[acquired(0, 19, count)]);
    }
    give_and_take(&[acquired(0, 9, 4)]);
    for offset in 0..10 {
        give_and_take(&[acquired(offset, offset, 5)]);
    }
    // Half of those that were given together at first, though half of them are gone.
    give_and_take(&[acquired(10, 19, 4)]);
}

#[test]
fn what_comes_back_of_records_that_were_given_together_is_given_together_again() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &Wish { batch_records: 30, ..wish("a", 40) }, 0);
    for piece in [say(0, 29, RELEASE), say(30, 39, RELEASE)] {
        settle(&mut partition, "a", &piece);
    }
    assert_eq!(acquire(&mut partition, &wish("b", 1), 0), [acquired(0, 29, 2)], "though one was asked for");
    assert_eq!(acquire(&mut partition, &wish("b", 1), 0), [acquired(30, 39, 2)]);
}

#[test]
fn what_comes_back_often_takes_nothing_with_it_that_was_given_apart_at_first() {
    let mut partition = SharePartition::new(0, Limits { deliveries_max: 5, ..limits() });
    let strict = Wish { keeps_limit: true, ..wish("a", 1) };
    // 0 alone; 1 to 9 were given with it, and came back less often.
    for count in 1..=3 {
        assert_eq!(acquire(&mut partition, &strict, 0), [acquired(0, 0, count)]);
        settle(&mut partition, "a", &say(0, 0, RELEASE));
    }
    assert_eq!(acquire(&mut partition, &wish("a", 12), 0), [acquired(0, 0, 4), acquired(1, 4, 1)], "five of ten");
    assert_eq!(acquire(&mut partition, &wish("a", 12), 0), [acquired(5, 9, 1), acquired(10, 19, 1)]);
}

#[test]
fn what_is_above_a_limit_that_is_kept_is_in_flight_and_nobodys() {
    let mut partition = SharePartition::new(0, limits());
    let strict = Wish { keeps_limit: true, ..wish("a", 5) };
    assert_eq!(acquire(&mut partition, &strict, 0), [acquired(0, 4, 1)]);
    assert_eq!((partition.end(), partition.next_fetch_offset()), (10, 5));
    let refused = partition.acknowledge("a", &say(0, 5, ACCEPT), 0).unwrap_err();
    assert!(matches!(refused, Error::InvalidRecordState { .. }), "{refused}");
}

#[test]
fn what_the_log_has_not_any_more_is_nobodys() {
    let mut partition = SharePartition::new(0, limits());
    acquire(&mut partition, &wish("a", 30), 0);
    let write = partition.acknowledge("a", &say(10, 19, RELEASE), 0).unwrap().unwrap();
    partition.log_starts_at(15);
    partition.written(write.ticket, true, 0);
    let left = [batch(15, 19, Delivery::Available, 1), batch(20, 29, Delivery::Acquired, 1)];
    assert_eq!((partition.start(), partition.in_flight()), (15, left.to_vec()));
    assert_eq!(partition.acknowledge("a", &say(0, 9, ACCEPT), 0), Ok(None), "that does not matter any more");
    settle(&mut partition, "a", &say(20, 29, ACCEPT));
    partition.log_starts_at(500);
    assert_eq!((partition.start(), partition.end(), partition.next_fetch_offset()), (500, 500, 500));
}
