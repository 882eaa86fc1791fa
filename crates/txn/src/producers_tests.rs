//! The producers of a partition, as a table and against a model.

use super::*;
use proptest::prelude::*;

const PID: ProducerId = ProducerId(7);

fn batch(epoch: i16, first_sequence: i32, records: i32) -> Sequenced {
    Sequenced { producer: PID, epoch: ProducerEpoch(epoch), first_sequence, records, is_transactional: false }
}

fn producers(applied: &[(i16, i32, i32)]) -> Producers {
    let mut producers = Producers::new();
    let mut offset = 100;
    for &(epoch, first, records) in applied {
        producers.apply(&batch(epoch, first, records), Offset(offset), TimestampMs(offset));
        offset += i64::from(records);
    }
    producers
}

fn out_of_order(epoch: i16, sent: i32, expected: i32) -> Result<Verdict, Error> {
    Err(Error::OutOfOrderSequence { producer: PID, epoch: ProducerEpoch(epoch), sent, expected })
}

#[test]
fn every_batch_gets_kafkas_verdict() {
    let max = i32::MAX;
    let known = [(3, 0, 10), (3, 10, 5)];
    let wrapping = [(0, max - 1, 2)];
    let duplicate =
        |base| Ok(Verdict::Duplicate(Duplicate { base_offset: Offset(base), timestamp: TimestampMs(base) }));
    let stale = Err(Error::InvalidProducerEpoch { producer: PID, sent: ProducerEpoch(2), current: ProducerEpoch(3) });
    type Row<'a> = (&'a str, &'a [(i16, i32, i32)], Sequenced, Result<Verdict, Error>);
    let table: [Row<'_>; 13] = [
        ("unknown producer, any sequence", &[], batch(0, 77, 3), Ok(Verdict::Accept)),
        ("next in sequence", &known, batch(3, 15, 1), Ok(Verdict::Accept)),
        ("gap", &known, batch(3, 16, 1), out_of_order(3, 16, 15)),
        ("last batch again", &known, batch(3, 10, 5), duplicate(110)),
        ("the batch before again", &known, batch(3, 0, 10), duplicate(100)),
        ("part of a batch again", &known, batch(3, 10, 4), out_of_order(3, 10, 15)),
        ("older epoch", &known, batch(2, 15, 1), stale.clone()),
        ("older epoch, same sequences", &known, batch(2, 10, 5), stale),
        ("new epoch from 0", &known, batch(4, 0, 1), Ok(Verdict::Accept)),
        ("new epoch, not from 0", &known, batch(4, 15, 1), out_of_order(4, 15, 0)),
        ("0 after the largest", &wrapping, batch(0, 0, 1), Ok(Verdict::Accept)),
        ("1 after the largest", &wrapping, batch(0, 1, 1), out_of_order(0, 1, 0)),
        ("a batch across the wrap, again", &[(0, max, 3)], batch(0, max, 3), duplicate(100)),
    ];
    for (name, applied, sent, expected) in table {
        assert_eq!(producers(applied).check(&sent, None), expected, "{name}");
    }
}

#[test]
fn only_five_batches_are_remembered() {
    let applied: Vec<(i16, i32, i32)> = (0..6).map(|sequence| (0, sequence, 1)).collect();
    let producers = producers(&applied);
    assert!(matches!(producers.check(&batch(0, 1, 1), None), Ok(Verdict::Duplicate(_))));
    assert_eq!(producers.check(&batch(0, 0, 1), None), out_of_order(0, 0, 6));
}

#[test]
fn a_batch_of_no_producer_passes_and_leaves_nothing() {
    let mut producers = Producers::new();
    let plain = Sequenced { producer: ProducerId::NONE, ..batch(-1, -1, 1) };
    assert_eq!(producers.check(&plain, None), Ok(Verdict::Accept));
    producers.apply(&plain, Offset(0), TimestampMs(0));
    assert!(producers.is_empty());
}

#[test]
fn an_idle_producer_expires_and_then_may_send_any_sequence() {
    let mut producers = producers(&[(0, 0, 1)]);
    assert_eq!(producers.expire(TimestampMs(100 + 999), 1000), 0);
    assert_eq!(producers.expire(TimestampMs(100 + 1000), 1000), 1);
    assert_eq!(producers.check(&batch(0, 55, 1), None), Ok(Verdict::Accept));
}

#[test]
fn a_producer_in_a_transaction_does_not_expire_and_must_stay_in_it() {
    let mut producers = Producers::new();
    let begun = Sequenced { is_transactional: true, ..batch(0, 0, 1) };
    producers.apply(&begun, Offset(5), TimestampMs(0));
    assert_eq!(producers.get(PID).and_then(ProducerState::current_txn_first_offset), Some(Offset(5)));
    assert_eq!(producers.expire(TimestampMs(i64::MAX), 1), 0);
    assert_eq!(producers.check(&batch(0, 1, 1), None), Err(Error::NotTransactional { producer: PID }));
}

/// A transactional batch of one record.
fn part(producer: i64, epoch: i16, sequence: i32) -> Sequenced {
    Sequenced { producer: ProducerId(producer), is_transactional: true, ..batch(epoch, sequence, 1) }
}

fn unverified(part: &Sequenced, bumps: bool) -> Unverified {
    let Sequenced { producer, epoch, first_sequence, .. } = *part;
    Unverified { producer, epoch, first_sequence, bumps }
}

fn marker(producer: i64, epoch: i16, outcome: Outcome) -> Marker {
    Marker { producer: ProducerId(producer), epoch: ProducerEpoch(epoch), coordinator_epoch: 0, outcome }
}

const NOW: TimestampMs = TimestampMs(0);

#[test]
fn a_transaction_begins_only_with_a_guard_that_was_not_taken_away() {
    let mut producers = Producers::new();
    let first = part(7, 0, 0);
    let refused = Err(Error::NotInTransaction { producer: PID, epoch: ProducerEpoch(0) });
    assert_eq!(producers.check(&first, None), refused);
    let guard = producers.verify(&unverified(&first, true), NOW);
    assert_eq!(producers.check(&first, None), refused, "who did not ask is not helped by who did");
    assert_eq!(producers.check(&first, guard), Ok(Verdict::Accept));
    // The coordinator ended the transaction before the batch came.
    assert_eq!(producers.end(&marker(7, 1, Outcome::Abort), Offset(0), NOW), None);
    let late = Err(Error::InvalidProducerEpoch { producer: PID, sent: ProducerEpoch(0), current: ProducerEpoch(1) });
    assert!(producers.check(&first, guard).is_err());
    let again = producers.verify(&unverified(&first, true), NOW);
    assert_eq!(producers.check(&first, again), late);
    assert_ne!(guard, again);
}

#[test]
fn an_open_transaction_needs_no_further_guard_in_its_epoch() {
    let mut producers = Producers::new();
    let first = part(7, 0, 0);
    producers.apply(&first, Offset(5), NOW);
    assert_eq!(producers.verify(&unverified(&part(7, 0, 1), true), NOW), None);
    assert_eq!(producers.check(&part(7, 0, 1), None), Ok(Verdict::Accept));
    assert!(producers.verify(&unverified(&part(7, 1, 0), true), NOW).is_some(), "another epoch is another transaction");
    assert!(producers.check(&part(7, 1, 0), None).is_err());
}

#[test]
fn a_client_that_bumps_epochs_begins_each_at_sequence_0() {
    for (bumps, expected) in [(true, out_of_order(0, 4, 0)), (false, Ok(Verdict::Accept))] {
        let mut producers = Producers::new();
        let guard = producers.verify(&unverified(&part(7, 0, 4), bumps), NOW);
        assert_eq!(producers.check(&part(7, 0, 4), guard), expected, "bumps: {bumps}");
    }
}

#[test]
fn the_lowest_sequence_that_asked_comes_first() {
    let mut producers = Producers::new();
    let early = producers.verify(&unverified(&part(7, 0, 4), false), NOW);
    assert_eq!(producers.verify(&unverified(&part(7, 0, 3), false), NOW), early);
    assert_eq!(producers.check(&part(7, 0, 4), early), out_of_order(0, 4, 3));
    assert_eq!(producers.check(&part(7, 0, 3), early), Ok(Verdict::Accept));
}

#[test]
fn markers_are_checked_as_kafka_does() {
    use Version::{Bumping, Classic};
    let open = |producers: &mut Producers| producers.apply(&part(7, 3, 0), Offset(0), NOW);
    let stale = |sent, current| {
        let (sent, current) = (ProducerEpoch(sent), ProducerEpoch(current));
        Err(Error::InvalidProducerEpoch { producer: PID, sent, current })
    };
    let table = [
        ("the epoch of the records, classic", 3, Classic, Ok(())),
        ("an older one", 2, Classic, stale(2, 3)),
        ("a bumped one", 4, Bumping, Ok(())),
        ("not bumped, where it must be", 3, Bumping, stale(3, 3)),
        ("a later one, classic", 5, Classic, Ok(())),
    ];
    for (name, epoch, version, expected) in table {
        let mut producers = Producers::new();
        open(&mut producers);
        assert_eq!(producers.check_marker(&marker(7, epoch, Outcome::Commit), version), expected, "{name}");
    }
    let mut producers = Producers::new();
    open(&mut producers);
    let bumped = Marker { coordinator_epoch: 2, ..marker(7, 4, Outcome::Commit) };
    assert!(producers.end(&bumped, Offset(1), NOW).is_some());
    assert_eq!(producers.check_marker(&bumped, Bumping), Ok(()), "the same again");
    assert_eq!(producers.end(&bumped, Offset(2), NOW), None, "which ends nothing");
    let zombie = Marker { coordinator_epoch: 1, ..bumped };
    let fenced = Err(Error::CoordinatorFenced { producer: PID, sent: 1, current: 2 });
    assert_eq!(producers.check_marker(&zombie, Bumping), fenced);
    assert_eq!(producers.check_marker(&marker(8, 0, Outcome::Abort), Classic), Ok(()), "of nobody known");
}

#[test]
fn what_is_not_decided_below_the_high_watermark_is_unstable() {
    let mut producers = Producers::new();
    producers.apply(&part(1, 0, 0), Offset(10), NOW);
    producers.apply(&part(2, 0, 0), Offset(11), NOW);
    assert_eq!(producers.first_unstable(), Some(Offset(10)));
    let ended = producers.end(&marker(1, 1, Outcome::Abort), Offset(12), NOW).unwrap();
    assert_eq!((ended.first_offset, ended.last_offset, ended.last_stable), (Offset(10), Offset(12), Offset(11)));
    assert_eq!(producers.first_unstable(), Some(Offset(10)), "the marker is not replicated");
    producers.replicated_to(Offset(12));
    assert_eq!(producers.first_unstable(), Some(Offset(10)), "the marker is at the high watermark, not below");
    producers.replicated_to(Offset(13));
    assert_eq!(producers.first_unstable(), Some(Offset(11)));
    let ended = producers.end(&marker(2, 0, Outcome::Commit), Offset(13), NOW).unwrap();
    assert_eq!((ended.last_stable, ended.outcome), (Offset(14), Outcome::Commit));
    producers.replicated_to(Offset(14));
    assert_eq!(producers.first_unstable(), None);
}

#[test]
fn what_a_coordinator_writes_for_a_producer_has_no_sequence() {
    let mut producers = Producers::new();
    let offsets = Sequenced { records: 3, ..part(7, 0, NO_SEQUENCE) };
    let guard = producers.verify(&unverified(&offsets, true), NOW);
    assert_eq!(producers.check(&offsets, guard), Ok(Verdict::Accept));
    producers.apply(&offsets, Offset(0), NOW);
    assert_eq!(producers.check(&offsets, None), Ok(Verdict::Accept), "never a duplicate");
    assert_eq!(producers.get(PID).and_then(ProducerState::last_sequence), Some(NO_SEQUENCE));
}

proptest! {
    /// Against a model that walks the log: the first unstable offset, and what a snapshot in the middle keeps of it.
    #[test]
    fn the_first_unstable_offset_is_that_of_the_first_open_transaction(
        events in prop::collection::vec((0..4i64, any::<bool>(), any::<bool>()), 1..80),
        snapshot_at in 0..80usize,
    ) {
        let mut producers = Producers::new();
        let mut open: std::collections::BTreeMap<i64, i64> = std::collections::BTreeMap::new();
        let mut epochs = [0i16; 4];
        let mut next = 0;
        for (index, (producer, ends, commits)) in events.into_iter().enumerate() {
            if index == snapshot_at {
                let recalled = Producers::recall(&producers.memory());
                prop_assert_eq!(recalled.first_unstable(), producers.first_unstable());
                producers = Producers::restore(&producers.snapshot());
            }
            let epoch = &mut epochs[usize::try_from(producer).unwrap()];
            if ends {
                *epoch += 1;
                let outcome = if commits { Outcome::Commit } else { Outcome::Abort };
                let first = open.remove(&producer);
                let completed = producers.end(&marker(producer, *epoch, outcome), Offset(next), NOW);
                prop_assert_eq!(completed.map(|completed| completed.first_offset.0), first);
                let stable = open.values().min().copied().unwrap_or(next + 1);
                prop_assert_eq!(completed.map(|completed| completed.last_stable.0), first.map(|_| stable));
            } else {
                let sequence = producers
                    .get(ProducerId(producer))
                    .filter(|known| known.epoch().0 == *epoch)
                    .and_then(ProducerState::last_sequence)
                    .map_or(0, next_sequence);
                let sent = part(producer, *epoch, sequence);
                let guard = producers.verify(&unverified(&sent, true), NOW);
                prop_assert_eq!(guard.is_none(), open.contains_key(&producer));
                prop_assert_eq!(producers.check(&sent, guard), Ok(Verdict::Accept));
                producers.apply(&sent, Offset(next), NOW);
                open.entry(producer).or_insert(next);
            }
            next += 1;
            producers.replicated_to(Offset(next));
            prop_assert_eq!(producers.first_unstable().map(|offset| offset.0), open.values().min().copied());
        }
    }

    #[test]
    fn sequences_wrap_to_zero_and_back(first in 0..=i32::MAX, records in 1..1_000_000i32) {
        let mut producers = Producers::new();
        producers.apply(&batch(0, first, records), Offset(0), TimestampMs(0));
        prop_assert_eq!(
            producers.check(&batch(0, first, records), None),
            Ok(Verdict::Duplicate(Duplicate { base_offset: Offset(0), timestamp: TimestampMs(0) }))
        );
        let last = (i64::from(first) + i64::from(records) - 1) % (1 << 31);
        prop_assert_eq!(i64::from(last_sequence(first, records)), last);
    }

    #[test]
    fn a_snapshot_keeps_what_the_next_batch_is_checked_against(
        applied in prop::collection::vec((0..4i64, 0..3i16, 1..50i32), 0..40),
        next in (0..4i64, 0..3i16, 0..60i32),
    ) {
        let mut producers = Producers::new();
        let mut offset = 0;
        for (pid, epoch, records) in applied {
            let producer = ProducerId(pid);
            let known = producers.get(producer);
            let epoch = known.map_or(ProducerEpoch(epoch), |known| known.epoch().max(ProducerEpoch(epoch)));
            let first_sequence = known
                .filter(|known| known.epoch() == epoch)
                .and_then(ProducerState::last_sequence)
                .map_or(0, next_sequence);
            let sent = Sequenced { producer, epoch, first_sequence, records, is_transactional: false };
            prop_assert_eq!(producers.check(&sent, None), Ok(Verdict::Accept));
            producers.apply(&sent, Offset(offset), TimestampMs(offset));
            offset += i64::from(records);
        }
        let restored = Producers::restore(&producers.snapshot());
        prop_assert_eq!(restored.snapshot(), producers.snapshot());
        let (pid, epoch, first_sequence) = next;
        let sent = Sequenced {
            producer: ProducerId(pid), epoch: ProducerEpoch(epoch), first_sequence, records: 1, is_transactional: false,
        };
        let recalled = Producers::recall(&producers.memory());
        prop_assert_eq!(recalled.memory(), producers.memory());
        prop_assert_eq!(recalled.check(&sent, None), producers.check(&sent, None));
        // Kafka's snapshot has one batch of each producer: only an older duplicate is judged differently.
        if !matches!(producers.check(&sent, None), Ok(Verdict::Duplicate(_))) {
            prop_assert_eq!(restored.check(&sent, None), producers.check(&sent, None));
        }
    }
}
