//! Records of `__transaction_state`: bytes as Kafka's own serializer makes them, round trips, and what is cut or wrong.

use super::*;
use proptest::prelude::*;

fn ongoing() -> Transaction {
    let partition = |topic: &str, index| Partition { topic: topic.to_owned(), index };
    Transaction {
        producer: ProducerId(0x0102),
        previous_producer: ProducerId(5),
        next_producer: ProducerId::NONE,
        epoch: ProducerEpoch(3),
        last_epoch: ProducerEpoch::NONE,
        timeout_ms: 60_000,
        state: TransactionState::Ongoing,
        partitions: [partition("t", 1), partition("t", 0), partition("u", 7)].into_iter().collect(),
        started_at: TimestampMs(0x11),
        updated_at: TimestampMs(0x22),
        version: Version::Bumping,
    }
}

/// Worked out from Kafka's message definitions (TransactionLogKey and TransactionLogValue), field by field.
#[test]
fn bytes_are_kafkas() {
    let record = encode("tx", Some(&ongoing())).unwrap();
    assert_eq!(record.key.as_ref(), [0, 0, 0, 2, b't', b'x']);
    #[rustfmt::skip]
    let expected = [
        0, 1,
        0, 0, 0, 0, 0, 0, 1, 2,
        0, 3,
        0, 0, 0xea, 0x60,
        1,
        3,
            2, b't', 3, 0, 0, 0, 0, 0, 0, 0, 1, 0,
            2, b'u', 2, 0, 0, 0, 7, 0,
        0, 0, 0, 0, 0, 0, 0, 0x22,
        0, 0, 0, 0, 0, 0, 0, 0x11,
        2,
            0, 8, 0, 0, 0, 0, 0, 0, 0, 5,
            2, 2, 0, 2,
    ];
    assert_eq!(record.value.unwrap().as_ref(), expected);
    let empty = Transaction {
        state: TransactionState::Empty,
        partitions: BTreeSet::new(),
        previous_producer: ProducerId::NONE,
        version: Version::Classic,
        ..ongoing()
    };
    let value = encode("tx", Some(&empty)).unwrap().value.unwrap();
    assert_eq!((value[17], value.last().copied()), (0, Some(0)), "no list of partitions, no tags");
    assert_eq!(encode("tx", None).unwrap().value, None);
}

#[test]
fn version_0_of_an_older_kafka_is_read() {
    #[rustfmt::skip]
    let value = [
        0, 0,
        0, 0, 0, 0, 0, 0, 1, 2,
        0, 3,
        0, 0, 0xea, 0x60,
        1,
        0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 4,
        0, 0, 0, 0, 0, 0, 0, 0x22,
        0, 0, 0, 0, 0, 0, 0, 0x11,
    ];
    let Ok(Change::Transaction(id, Some(read))) = Change::decode(&[0, 0, 0, 1, b'x'], Some(&value)) else {
        panic!("it is a transaction")
    };
    assert_eq!((id.as_str(), read.version, read.partitions.len()), ("x", Version::Classic, 1));
    assert_eq!(Change::decode(&[0, 9], None), Ok(Change::Other(9)));
}

#[test]
fn partitions_of_a_transaction_that_was_not_begun_are_passed_over() {
    const STATUS_AT: usize = 16;
    let record = encode("tx", Some(&ongoing())).unwrap();
    let mut value = record.value.unwrap().to_vec();
    value[STATUS_AT] = TransactionState::Empty.id().to_be_bytes()[0];
    let read = Change::decode(&record.key, Some(&value));
    let expected = Transaction { state: TransactionState::Empty, partitions: BTreeSet::new(), ..ongoing() };
    assert_eq!(read, Ok(Change::Transaction("tx".to_owned(), Some(expected))));
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    let record = encode("tx", Some(&ongoing())).unwrap();
    let value = record.value.unwrap();
    for end in 0..value.len() {
        assert!(Change::decode(&record.key, Some(&value[..end])).is_err(), "{end}");
    }
    for end in 0..record.key.len() {
        assert!(Change::decode(&record.key[..end], Some(&value)).is_err(), "{end}");
    }
    assert!(Change::decode(&record.key, Some(&[0, 2])).is_err(), "a newer version");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        numbers in (any::<i64>(), any::<i64>(), any::<i64>(), any::<i16>(), any::<i32>()),
        state in 0..8i8,
        bumps: bool,
        partitions in prop::collection::btree_set(("[a-z]{1,200}", any::<i32>()), 0..20),
    ) {
        let state = TransactionState::of_id(state).unwrap();
        let partitions = partitions.into_iter().map(|(topic, index)| Partition { topic, index }).collect();
        let written = Transaction {
            producer: ProducerId(numbers.0),
            previous_producer: ProducerId(numbers.1),
            next_producer: ProducerId(numbers.2),
            epoch: ProducerEpoch(numbers.3),
            timeout_ms: numbers.4,
            state,
            partitions: if state == TransactionState::Empty { BTreeSet::new() } else { partitions },
            version: if bumps { Version::Bumping } else { Version::Classic },
            ..ongoing()
        };
        let record = encode("id", Some(&written)).unwrap();
        let read = Change::decode(&record.key, record.value.as_deref());
        prop_assert_eq!(read, Ok(Change::Transaction("id".to_owned(), Some(written))));
    }

    #[test]
    fn noise_is_refused_or_read_but_never_panics(key: Vec<u8>, value: Option<Vec<u8>>) {
        let _ = Change::decode(&key, value.as_deref());
    }
}
