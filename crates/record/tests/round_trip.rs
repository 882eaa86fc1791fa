//! Properties: what is built is read, whatever the codec; and no bytes at all make the crate panic.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use bytes::Bytes;
use millstream_record::{BatchBuilder, Codec, Columns, DoorRules, Limits, TimestampType, check, encode, split};
use millstream_types::{LeaderEpoch, Offset, TimestampMs};
use proptest::prelude::*;

type Record = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn record() -> impl Strategy<Value = Record> {
    let blob = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let headers = proptest::collection::vec(("[a-zé]{0,4}", blob()), 0..4);
    // Timestamps whose deltas do not leave 64 bits, negative ones among them.
    (-(1i64 << 40)..(1i64 << 60), blob(), blob(), headers)
}

fn columns(records: &[Record]) -> Columns {
    let mut columns = Columns::default();
    for (timestamp, key, value, headers) in records {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        columns.push(*timestamp, key.as_deref(), value.as_deref(), headers);
    }
    columns
}

proptest! {
    #[test]
    fn what_is_built_passes_the_door_and_is_read(records in proptest::collection::vec(record(), 1..40), codec in 0u8..5) {
        let wanted = columns(&records);
        let batch = encode(&wanted, Codec::from_id(codec).unwrap()).unwrap();
        let mut rules = DoorRules::client(1 << 24);
        rules.walk_compressed = true;
        let checked = check(batch.bytes().clone(), &rules).unwrap();
        prop_assert_eq!(&checked, &[batch]);
        prop_assert_eq!(checked[0].records(&Limits::default()).unwrap(), wanted);
    }

    #[test]
    fn placing_changes_offsets_and_nothing_else(records in proptest::collection::vec(record(), 1..10), base in 0i64..1 << 50, time in proptest::option::of(0i64..1 << 50)) {
        let batch = encode(&columns(&records), Codec::None).unwrap();
        let placed = batch.placed(Offset(base), LeaderEpoch(9), time.map(TimestampMs)).concat();
        let stored = &split(Bytes::from(placed)).unwrap()[0];
        stored.check_crc().unwrap();
        prop_assert_eq!(stored.base_offset(), Offset(base));
        prop_assert_eq!(stored.next_offset() - stored.base_offset(), records.len() as i64);
        prop_assert_eq!(stored.partition_leader_epoch(), LeaderEpoch(9));
        let mut wanted = columns(&records);
        wanted.offsets.iter_mut().for_each(|offset| *offset += base);
        if let Some(time) = time {
            prop_assert_eq!(stored.timestamp_type(), TimestampType::LogAppendTime);
            wanted.timestamps.fill(time);
        }
        prop_assert_eq!(stored.records(&Limits::default()).unwrap(), wanted);
    }

    #[test]
    fn reading_from_an_offset_leaves_out_what_is_below(records in proptest::collection::vec(record(), 1..20), from in 0usize..25, codec in 0u8..5) {
        let batch = encode(&columns(&records), Codec::from_id(codec).unwrap()).unwrap();
        let mut read = Columns::default();
        read.append_batch(&batch, Offset(from as i64), &Limits::default()).unwrap();
        prop_assert_eq!(read.len(), records.len().saturating_sub(from));
        prop_assert_eq!(read.offsets.first().copied(), (from < records.len()).then_some(from as i64));
    }

    #[test]
    fn no_flipped_bit_passes_the_door(records in proptest::collection::vec(record(), 1..4), bit in any::<proptest::sample::Index>(), codec in 0u8..5) {
        let batch = encode(&columns(&records), Codec::from_id(codec).unwrap()).unwrap();
        let mut bytes = batch.bytes().to_vec();
        let bit = bit.index(bytes.len() * 8);
        // The leader epoch is the broker's to write and is covered by nothing.
        prop_assume!(!(12 * 8..16 * 8).contains(&bit));
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(check(bytes.into(), &DoorRules::client(1 << 24)).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), codec in 0u8..8, shape in any::<bool>()) {
        if shape && bytes.len() >= 61 {
            let length = (bytes.len() - 12) as u32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
            bytes[21..23].copy_from_slice(&[0, codec]);
            let count = bytes[60];
            bytes[57..61].copy_from_slice(&[0, 0, 0, count]);
        }
        let bytes = Bytes::from(bytes);
        let _ = check(bytes.clone(), &DoorRules::client(1 << 20));
        for batch in split(bytes).unwrap_or_default() {
            let _ = batch.records(&Limits { decompressed_bytes_max: 1 << 16, records_max: 1000 });
        }
    }
}

#[test]
fn a_builder_without_records_makes_no_batch() {
    assert!(BatchBuilder::new(Codec::Zstd).build(Offset(0), LeaderEpoch(0)).is_err());
}
