//! Batches that lie, and what they are told.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use bytes::Bytes;
use millstream_record::{
    Batch, BatchBuilder, Codec, Columns, Compression, DoorRules, Error, Limits, Reason, check, crc32c, split,
};
use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

fn batch(codec: Codec) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for number in 0..3 {
        builder.push(TimestampMs(1000 + number), Some(b"key"), Some(b"value"), [("name", Some(b"v".as_slice()))]);
    }
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

/// The batch with bytes changed at a position; with its CRC put right, so that only the change is to be found.
fn changed(batch: &Batch, at: usize, bytes: &[u8]) -> Bytes {
    let mut copy = batch.bytes().to_vec();
    copy[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(copy)
}

fn sealed(mut copy: Vec<u8>) -> Bytes {
    let crc = crc32c(&[&copy[21..]]);
    copy[17..21].copy_from_slice(&crc.to_be_bytes());
    copy.into()
}

/// A batch of the header of [`batch`] and other records.
fn with_payload(codec: Codec, payload: &[u8], count: i32) -> Bytes {
    let mut copy = batch(codec).bytes()[..61].to_vec();
    copy.extend_from_slice(payload);
    let length = u32::try_from(copy.len() - 12).unwrap();
    copy[8..12].copy_from_slice(&length.to_be_bytes());
    copy[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    copy[57..61].copy_from_slice(&count.to_be_bytes());
    sealed(copy)
}

fn refused(bytes: Bytes) -> (Error, Reason) {
    let error = check(bytes, &DoorRules::client(1 << 20)).unwrap_err();
    let reason = error.reason();
    (error, reason)
}

#[test]
fn headers_that_lie_are_named() {
    let good = batch(Codec::None);
    let size = good.bytes().len();
    let table: Vec<(Bytes, Error, Reason)> = vec![
        (good.bytes().slice(..40), Error::Truncated { position: 0, needed: 61, available: 40 }, Reason::InvalidRecord),
        (
            good.bytes().slice(..size - 1),
            Error::Truncated { position: 0, needed: size, available: size - 1 },
            Reason::InvalidRecord,
        ),
        (changed(&good, 8, &48u32.to_be_bytes()), Error::Length { position: 0, length: 48 }, Reason::CorruptMessage),
        (changed(&good, 8, &(-1i32).to_be_bytes()), Error::Length { position: 0, length: -1 }, Reason::CorruptMessage),
        (changed(&good, 16, &[1]), Error::Magic { magic: 1 }, Reason::InvalidRecord),
        (changed(&good, 16, &[3]), Error::Magic { magic: 3 }, Reason::CorruptMessage),
        (changed(&good, 21, &[0, 5]), Error::UnknownCodec { id: 5 }, Reason::InvalidRecord),
        (changed(&good, 21, &[0, 0x20]), Error::Control, Reason::InvalidRecord),
        (
            changed(&good, 57, &4i32.to_be_bytes()),
            Error::Counts { record_count: 4, last_offset_delta: 2 },
            Reason::InvalidRecord,
        ),
        (
            changed(&good, 57, &(-3i32).to_be_bytes()),
            Error::Counts { record_count: -3, last_offset_delta: 2 },
            Reason::InvalidRecord,
        ),
        (
            changed(&good, 23, &i32::MAX.to_be_bytes()),
            Error::Counts { record_count: 3, last_offset_delta: i32::MAX },
            Reason::InvalidRecord,
        ),
        (changed(&good, 0, &5i64.to_be_bytes()), Error::BaseOffset { base_offset: 5 }, Reason::InvalidRecord),
        (
            changed(&good, 43, &7i64.to_be_bytes()),
            Error::Sequence { producer_id: 7, base_sequence: -1 },
            Reason::InvalidRecord,
        ),
        (Bytes::new(), Error::BatchCount { batches: 0 }, Reason::InvalidRecord),
        (
            [good.bytes().as_ref(), good.bytes().as_ref()].concat().into(),
            Error::BatchCount { batches: 2 },
            Reason::InvalidRecord,
        ),
    ];
    for (bytes, error, reason) in table {
        assert_eq!(refused(bytes), (error, reason));
    }
}

#[test]
fn a_wrong_crc_says_both() {
    let mut bytes = batch(Codec::None).bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(bytes.into()), (Error::Crc { .. }, Reason::CorruptMessage)));
}

#[test]
fn counts_that_agree_with_each_other_but_not_with_the_records_are_found() {
    let good = batch(Codec::None);
    let records = good.bytes().slice(61..);
    let more = refused(with_payload(Codec::None, &records, 4)).0;
    assert_eq!(more, Error::Record { index: 3, problem: "its length does not parse" });
    let fewer = refused(with_payload(Codec::None, &records, 2)).0;
    assert_eq!(fewer, Error::Trailing { bytes: records.len() / 3, record_count: 2 });
}

#[test]
fn a_count_of_two_thousand_million_allocates_nothing() {
    let packed = batch(Codec::Zstd);
    let bytes = with_payload(Codec::Zstd, &packed.bytes()[61..], i32::MAX);
    assert_eq!(
        refused(bytes.clone()),
        (Error::TooManyRecords { record_count: i32::MAX, limit: 1 << 20 }, Reason::InvalidRecord)
    );
    assert!(matches!(split(bytes).unwrap()[0].records(&Limits::default()), Err(Error::TooManyRecords { .. })));
}

#[test]
fn records_that_lie_are_named() {
    // length, attributes, timestamp delta, offset delta, key, value, header count: zigzag, so that 1 is -1 and 2 is 1
    let table: Vec<(&[u8], &str)> = vec![
        (&[], "its length does not parse"),
        (&[1], "its length is negative"),
        (&[200, 1, 0], "it is longer than what is left of its batch"),
        (&[0], "it is empty"),
        (&[2, 0], "its timestamp delta does not parse"),
        (&[4, 0, 0], "its offset delta does not parse"),
        (&[12, 0, 0, 2, 1, 1, 0], "its offset delta is not its place in the batch"),
        (&[12, 0, 0, 0, 40, 1, 0], "its key does not fit in it"),
        (&[12, 0, 0, 0, 3, 1, 0], "its key does not fit in it"),
        (&[12, 0, 0, 0, 1, 40, 0], "its value does not fit in it"),
        (&[12, 0, 0, 0, 1, 1, 1], "its header count is negative"),
        (&[12, 0, 0, 0, 1, 1, 2], "a header's name does not fit in it"),
        (&[16, 0, 0, 0, 1, 1, 2, 1, 1], "a header's name is null"),
        (&[16, 0, 0, 0, 1, 1, 2, 0, 8], "a header's value does not fit in it"),
        (&[14, 0, 0, 0, 1, 1, 0, 0], "bytes are left after its headers"),
        (&[28, 0, 0, 0, 1, 1, 254, 255, 255, 255, 255, 255, 255, 255, 15], "a header's name does not fit in it"),
    ];
    for (record, problem) in table {
        assert_eq!(
            refused(with_payload(Codec::None, record, 1)),
            (Error::Record { index: 0, problem }, Reason::InvalidRecord),
            "{record:?}"
        );
    }
}

#[test]
fn a_batch_larger_than_the_topic_takes_is_told_the_limit() {
    let good = batch(Codec::None);
    let bytes = good.bytes().len();
    let error = check(good.bytes().clone(), &DoorRules::client(bytes - 1)).unwrap_err();
    assert_eq!(
        (error.reason(), error),
        (Reason::MessageTooLarge, Error::TooLarge { bytes, limit: bytes - 1, option: "max.message.bytes" })
    );
    assert!(check(good.bytes().clone(), &DoorRules::client(bytes)).is_ok());
}

#[test]
fn a_timestamp_outside_the_range_is_named() {
    let mut rules = DoorRules::client(1 << 20);
    rules.timestamps = Some(0..=1001);
    for codec in [Codec::None, Codec::Gzip] {
        let error = check(batch(codec).bytes().clone(), &rules).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidTimestamp, "{codec}");
    }
}

#[test]
fn a_compacted_topic_takes_no_record_without_key() {
    let mut rules = DoorRules::client(1 << 20);
    rules.keys_required = true;
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(codec);
        builder.push(TimestampMs(1), Some(b"k"), None, []);
        builder.push(TimestampMs(1), None, Some(b"v"), []);
        let batch = builder.build(Offset(0), LeaderEpoch(0)).unwrap();
        assert_eq!(check(batch.into_bytes(), &rules), Err(Error::KeyMissing { index: 1 }));
    }
}

#[test]
fn a_largest_timestamp_that_lies_is_put_right() {
    let good = batch(Codec::None);
    let lying = changed(&good, 35, &i64::MAX.to_be_bytes());
    assert_eq!(check(lying, &DoorRules::client(1 << 20)).unwrap(), std::slice::from_ref(&good));
    // A client that says LogAppendTime is not asked: Kafka writes the type that the topic has.
    let typed = changed(&good, 21, &[0, 8]);
    assert_eq!(check(typed, &DoorRules::client(1 << 20)).unwrap(), [good]);
}

#[test]
fn a_bomb_is_an_error_for_every_codec() {
    let limits = Limits { decompressed_bytes_max: 1 << 20, records_max: 10 };
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        builder.push(TimestampMs(1), None, Some(&vec![0; 64 << 20]), []);
        let bomb = builder.build(Offset(0), LeaderEpoch(0)).unwrap();
        assert_eq!(bomb.records(&limits), Err(Error::Bomb { codec, limit: 1 << 20 }));
        let mut rules = DoorRules::client(64 << 20);
        rules.walk_compressed = true;
        rules.limits = limits;
        assert_eq!(check(bomb.into_bytes(), &rules), Err(Error::Bomb { codec, limit: 1 << 20 }));
    }
}

#[test]
fn snappy_blocks_that_claim_too_much_allocate_nothing() {
    // A raw block that says 32 MiB follow and has none.
    let claim = [0x80, 0x80, 0x80, 0x10];
    let error = split(with_payload(Codec::Snappy, &claim, 1)).unwrap()[0].records(&Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Inflate { codec: Codec::Snappy, .. }), "{error}");
}

#[test]
fn raw_snappy_is_read_too() {
    let plain = batch(Codec::None);
    let packed = snap::raw::Encoder::new().compress_vec(&plain.bytes()[61..]).unwrap();
    let raw = with_payload(Codec::Snappy, &packed, 3);
    assert_eq!(split(raw).unwrap()[0].records(&Limits::default()), plain.records(&Limits::default()));
}

#[test]
fn garbage_instead_of_compressed_records_is_corruption() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let error = split(with_payload(codec, b"\xff\xff\xff not compressed", 1)).unwrap()[0]
            .records(&Limits::default())
            .unwrap_err();
        assert_eq!(error.reason(), Reason::CorruptMessage, "{codec}: {error}");
    }
}

#[test]
fn a_cut_at_the_end_of_a_fetch_is_left_out() {
    let good = batch(Codec::None);
    let two = [good.bytes().as_ref(), &good.bytes()[..70]].concat();
    assert_eq!(split(two.into()).unwrap(), [good]);
}

#[test]
fn a_header_name_that_is_not_utf8_is_taken_and_shown_with_replacements() {
    // One record with one header whose name is the byte 0xff.
    let record = [18, 0, 0, 0, 1, 1, 2, 2, 0xff, 0];
    let checked = check(with_payload(Codec::None, &record, 1), &DoorRules::client(1 << 20)).unwrap();
    let columns = checked[0].records(&Limits::default()).unwrap();
    assert_eq!(columns.headers.get(0).collect::<Vec<_>>(), [("\u{fffd}", Some(b"".as_slice()))]);
}

#[test]
fn an_idempotent_batch_keeps_its_producer() {
    let mut builder = BatchBuilder::new(Codec::Lz4).producer(ProducerId(5), ProducerEpoch(1), 42);
    builder.push(TimestampMs(1), None, None, []);
    let batch = builder.build(Offset(0), LeaderEpoch(0)).unwrap();
    assert_eq!(
        (batch.producer_id(), batch.producer_epoch(), batch.base_sequence()),
        (ProducerId(5), ProducerEpoch(1), 42)
    );
    assert_eq!(batch.records(&Limits::default()).unwrap().len(), 1);
    assert_ne!(Columns::default(), batch.records(&Limits::default()).unwrap());
}

#[test]
fn a_batch_is_recoded_where_the_topic_asks_and_its_records_stay() {
    for sent in Codec::ALL {
        for stored in Codec::ALL {
            let batch = batch(sent);
            let rules = DoorRules { stored: Some(stored.into()), ..DoorRules::client(1 << 20) };
            let taken = check(batch.bytes().clone(), &rules).unwrap().remove(0);
            taken.check_crc().unwrap();
            assert_eq!(taken.codec(), stored, "from {sent}");
            let limits = Limits::default();
            assert_eq!(taken.records(&limits).unwrap(), batch.records(&limits).unwrap(), "{sent} to {stored}");
            assert_eq!(taken == batch, sent == stored, "no other byte changes where it has the codec");
        }
    }
    let large = {
        let mut builder = BatchBuilder::new(Codec::Zstd);
        builder.push(TimestampMs(1), None, Some(&[7; 5000]), []);
        builder.build(Offset(0), LeaderEpoch(0)).unwrap().into_bytes()
    };
    let rules = DoorRules { stored: Some(Codec::None.into()), ..DoorRules::client(1000) };
    let error = check(large, &rules).unwrap_err();
    assert_eq!(error.reason(), Reason::MessageTooLarge, "it is measured as it would be stored: {error}");
}

#[test]
fn a_higher_level_makes_a_recoded_batch_smaller() {
    let text: Vec<u8> =
        (0_u32..40_000).flat_map(|at| format!("{} ", at.wrapping_mul(2_654_435_761) % 977).into_bytes()).collect();
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(TimestampMs(1), None, Some(&text), []);
    let sent = builder.build(Offset(0), LeaderEpoch(0)).unwrap();
    for (codec, low, high) in [(Codec::Gzip, 1, 9), (Codec::Zstd, -50, 19)] {
        let [low, high] = [low, high].map(|level| {
            let rules = DoorRules { stored: Some(Compression { codec, level }), ..DoorRules::client(1 << 20) };
            let stored = check(sent.bytes().clone(), &rules).unwrap().remove(0);
            assert_eq!(stored.records(&Limits::default()).unwrap(), sent.records(&Limits::default()).unwrap());
            stored.size()
        });
        assert!(high < low, "{codec}: {high} bytes at the high level, {low} at the low one");
    }
}
