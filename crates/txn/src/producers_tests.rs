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
        assert_eq!(producers(applied).check(&sent), expected, "{name}");
    }
}

#[test]
fn only_five_batches_are_remembered() {
    let applied: Vec<(i16, i32, i32)> = (0..6).map(|sequence| (0, sequence, 1)).collect();
    let producers = producers(&applied);
    assert!(matches!(producers.check(&batch(0, 1, 1)), Ok(Verdict::Duplicate(_))));
    assert_eq!(producers.check(&batch(0, 0, 1)), out_of_order(0, 0, 6));
}

#[test]
fn a_batch_of_no_producer_passes_and_leaves_nothing() {
    let mut producers = Producers::new();
    let plain = Sequenced { producer: ProducerId::NONE, ..batch(-1, -1, 1) };
    assert_eq!(producers.check(&plain), Ok(Verdict::Accept));
    producers.apply(&plain, Offset(0), TimestampMs(0));
    assert!(producers.is_empty());
}

#[test]
fn an_idle_producer_expires_and_then_may_send_any_sequence() {
    let mut producers = producers(&[(0, 0, 1)]);
    assert_eq!(producers.expire(TimestampMs(100 + 999), 1000), 0);
    assert_eq!(producers.expire(TimestampMs(100 + 1000), 1000), 1);
    assert_eq!(producers.check(&batch(0, 55, 1)), Ok(Verdict::Accept));
}

#[test]
fn a_producer_in_a_transaction_does_not_expire_and_must_stay_in_it() {
    let mut producers = Producers::new();
    let begun = Sequenced { is_transactional: true, ..batch(0, 0, 1) };
    producers.apply(&begun, Offset(5), TimestampMs(0));
    assert_eq!(producers.get(PID).and_then(ProducerState::current_txn_first_offset), Some(Offset(5)));
    assert_eq!(producers.expire(TimestampMs(i64::MAX), 1), 0);
    assert_eq!(producers.check(&batch(0, 1, 1)), Err(Error::NotTransactional { producer: PID }));
}

proptest! {
    #[test]
    fn sequences_wrap_to_zero_and_back(first in 0..=i32::MAX, records in 1..1_000_000i32) {
        let mut producers = Producers::new();
        producers.apply(&batch(0, first, records), Offset(0), TimestampMs(0));
        prop_assert_eq!(
            producers.check(&batch(0, first, records)),
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
            prop_assert_eq!(producers.check(&sent), Ok(Verdict::Accept));
            producers.apply(&sent, Offset(offset), TimestampMs(offset));
            offset += i64::from(records);
        }
        let restored = Producers::restore(&producers.snapshot());
        prop_assert_eq!(restored.snapshot(), producers.snapshot());
        let (pid, epoch, first_sequence) = next;
        let sent = Sequenced {
            producer: ProducerId(pid), epoch: ProducerEpoch(epoch), first_sequence, records: 1, is_transactional: false,
        };
        // Kafka's snapshot has one batch of each producer: only an older duplicate is judged differently.
        if !matches!(producers.check(&sent), Ok(Verdict::Duplicate(_))) {
            prop_assert_eq!(restored.check(&sent), producers.check(&sent));
        }
    }
}
