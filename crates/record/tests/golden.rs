//! Batches that Apache Kafka's own code wrote: read whole, and written alike.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use bytes::Bytes;
use millstream_record::{Batch, BatchBuilder, Codec, Columns, DoorRules, Error, Limits, TimestampType, check, split};
use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

fn golden(name: &str) -> Bytes {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.bin"));
    std::fs::read(path).unwrap().into()
}

fn one(name: &str) -> Batch {
    let batches = split(golden(name)).unwrap();
    assert_eq!(batches.len(), 1);
    batches[0].check_crc().unwrap();
    batches[0].clone()
}

fn long_value() -> Vec<u8> {
    (0..9000).map(|line| format!("line {}\n", line % 97)).collect::<String>().into_bytes()
}

type Expected<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>, Vec<(&'a str, Option<&'a [u8]>)>);

fn expected(long: &[u8]) -> Vec<Expected<'_>> {
    vec![
        (1_700_000_000_000, Some(b"key"), Some(b"value"), vec![]),
        (1_700_000_000_005, None, Some(b"no key"), vec![]),
        (1_699_999_999_990, Some(b"no value"), None, vec![("h", Some(b"1")), ("h", Some(b"2")), ("null", None)]),
        (1_700_000_000_001, Some(b""), Some(b""), vec![("", Some(b""))]),
        (1_700_000_000_002, Some(b"long"), Some(long), vec![]),
    ]
}

#[test]
fn every_codec_of_kafkas_is_read() {
    let long = long_value();
    for codec in Codec::ALL {
        let batch = one(&format!("codec-{codec}"));
        assert_eq!(batch.codec(), codec);
        assert_eq!(
            (batch.base_offset(), batch.last_offset(), batch.partition_leader_epoch()),
            (Offset(100), Offset(104), LeaderEpoch(7))
        );
        assert_eq!(batch.max_timestamp(), TimestampMs(1_700_000_000_005));
        let columns = batch.records(&Limits::default()).unwrap();
        let mut wanted = Columns::default();
        for (timestamp, key, value, headers) in expected(&long) {
            wanted.push(timestamp, key, value, headers);
        }
        wanted.offsets = (100..105).collect();
        assert_eq!(columns, wanted, "{codec}");
    }
}

#[test]
fn an_uncompressed_batch_is_written_byte_for_byte_as_kafka_does() {
    let long = long_value();
    let mut builder = BatchBuilder::new(Codec::None);
    for (timestamp, key, value, headers) in expected(&long) {
        builder.push(TimestampMs(timestamp), key, value, headers);
    }
    assert_eq!(builder.build(Offset(100), LeaderEpoch(7)).unwrap().bytes(), &golden("codec-none"));
}

#[test]
fn a_transactional_batch_is_written_byte_for_byte_as_kafka_does() {
    let mut builder =
        BatchBuilder::new(Codec::None).producer(ProducerId(4711), ProducerEpoch(3), i32::MAX - 1).transactional();
    for (timestamp, key, value) in [(10, b"a", b"b"), (11, b"c", b"d"), (9, b"e", b"f")] {
        builder.push(TimestampMs(timestamp), Some(key), Some(value), []);
    }
    let batch = builder.build(Offset(0), LeaderEpoch(-1)).unwrap();
    assert_eq!(batch.bytes(), &golden("transactional"));
    assert_eq!(check(golden("transactional"), &DoorRules::client(1 << 20)).unwrap(), [batch]);
}

#[test]
fn a_marker_is_a_control_batch_that_no_client_may_write() {
    let batch = one("control-commit");
    assert!(batch.is_control() && batch.is_transactional());
    let columns = batch.records(&Limits::default()).unwrap();
    assert_eq!(columns.offsets, [9]);
    // Key: version 0, type 1 (commit). Value: version and coordinator epoch.
    assert_eq!(columns.keys.get(0), Some([0, 0, 0, 1].as_slice()));
    let client = batch.placed(Offset(0), LeaderEpoch(0), None).concat();
    assert_eq!(check(client.into(), &DoorRules::client(1 << 20)), Err(Error::Control));
    assert_eq!(check(golden("control-commit"), &DoorRules::replica()).unwrap().len(), 1);
}

#[test]
fn the_append_time_is_every_records_time() {
    let batch = one("log-append-time");
    assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(batch.records(&Limits::default()).unwrap().timestamps, [1_700_000_001_234; 2]);
}

#[test]
fn a_record_without_timestamp_keeps_none() {
    let batch = one("no-timestamp");
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (TimestampMs::NONE, TimestampMs::NONE));
    let mut rules = DoorRules::client(1 << 20);
    rules.timestamps = Some(1_000..=2_000);
    assert_eq!(check(golden("no-timestamp"), &rules).unwrap(), [batch]);
}
