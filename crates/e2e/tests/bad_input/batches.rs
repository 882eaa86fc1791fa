//! Batches that lie: a wrong CRC, counts, deltas and lengths that can't be, codecs that are none, and bytes that inflate without end.

use crate::kit::{Connection, api, fails_with, produce, produced, refused, resident_bytes, rows, says};
use millstream_e2e::{Bystander, Node};
use millstream_record::{BatchBuilder, Codec, crc32c};
use millstream_types::{LeaderEpoch, Offset, TimestampMs};
use std::ops::Range;

// Kafka's codes.
const UNKNOWN_SERVER_ERROR: i16 = -1;
const CORRUPT_MESSAGE: i16 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_RECORD: i16 = 87;

// Where a batch has its fields.
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const RECORD_COUNT: usize = 57;
const RECORDS: usize = 61;

fn batch(codec: Codec, values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for value in values {
        builder.push(TimestampMs(1_700_000_000_000), Some(b"key"), Some(value), []);
    }
    builder.build(Offset(0), LeaderEpoch(0)).unwrap().into_bytes().to_vec()
}

/// Three small records with something overwritten, and the CRC made right again.
fn tampered(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut made = batch(Codec::None, &[b"one", b"two", b"three"]);
    made[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(made)
}

fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c(&[&batch[ATTRIBUTES..]]);
    batch[CRC..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn without_seal(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut made = batch(Codec::None, &[b"one", b"two", b"three"]);
    made[at..at + bytes.len()].copy_from_slice(bytes);
    made
}

fn cut(range: Range<usize>) -> Vec<u8> {
    batch(Codec::None, &[b"one", b"two", b"three"])[range].to_vec()
}

#[test]
fn a_batch_that_lies_is_refused_with_kafkas_code_and_nothing_of_it_is_kept() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "target"]);
    let good = batch(Codec::None, &[b"one", b"two", b"three"]);
    let twice = [good.clone(), good.clone()].concat();
    let count = |count: i32| tampered(RECORD_COUNT, &count.to_be_bytes());
    let delta = |delta: i32| tampered(LAST_OFFSET_DELTA, &delta.to_be_bytes());
    // A count that agrees with the delta but not with the records.
    let both = |count: i32| {
        let mut made = tampered(RECORD_COUNT, &count.to_be_bytes());
        made[LAST_OFFSET_DELTA..LAST_OFFSET_DELTA + 4].copy_from_slice(&(count - 1).to_be_bytes());
        sealed(made)
    };
    let cases: Vec<(Vec<u8>, i16, &[&str])> = vec![
        (without_seal(RECORDS + 8, b"x"), CORRUPT_MESSAGE, &["CRC"]),
        (without_seal(CRC, &[0; 4]), CORRUPT_MESSAGE, &["CRC", "00000000"]),
        (count(2), INVALID_RECORD, &["2 records", "delta"]),
        (count(i32::MAX), INVALID_RECORD, &["2147483647"]),
        (count(-1), INVALID_RECORD, &["-1"]),
        (count(0), INVALID_RECORD, &["0 records"]),
        (delta(7), INVALID_RECORD, &["7", "3 records"]),
        (delta(i32::MAX), INVALID_RECORD, &["2147483647", "3 records"]),
        (delta(-1), INVALID_RECORD, &["-1", "3 records"]),
        (both(2), INVALID_RECORD, &["2 records", "bytes"]),
        (both(4), INVALID_RECORD, &["record 3"]),
        (both(1 << 20), INVALID_RECORD, &["record 3"]),
        (both(i32::MAX), INVALID_RECORD, &["2147483647", "1048576"]),
        (tampered(RECORDS, &[0x7f]), INVALID_RECORD, &["record 0"]),
        (tampered(ATTRIBUTES, &[0, 5]), UNKNOWN_SERVER_ERROR, &["codec is number 5", "0 none, 1 gzip"]),
        (tampered(ATTRIBUTES, &[0, 7]), UNKNOWN_SERVER_ERROR, &["codec is number 7"]),
        (tampered(MAGIC, &[1]), INVALID_RECORD, &["1", "2"]),
        (tampered(MAGIC, &[9]), CORRUPT_MESSAGE, &["9", "2"]),
        (tampered(LENGTH, &i32::MAX.to_be_bytes()), INVALID_RECORD, &["needs 2147483659 bytes", "send whole batches"]),
        (tampered(LENGTH, &(-5_i32).to_be_bytes()), CORRUPT_MESSAGE, &["-5"]),
        (cut(0..40), INVALID_RECORD, &["40"]),
        (cut(0..good.len() - 1), INVALID_RECORD, &[]),
        (Vec::new(), INVALID_RECORD, &["0 batches"]),
        (twice, INVALID_RECORD, &["2 batches for one partition", "exactly one"]),
        (batch(Codec::None, &[&vec![7; 2 << 20]]), MESSAGE_TOO_LARGE, &["2097", "1048588", "max.message.bytes"]),
    ];
    let mut connection = Connection::open(&node);
    for (records, code, words) in cases {
        let (found, _, message) = produced(&mut connection.ask(api::PRODUCE, 8, &produce("target", 0, &records)));
        assert_eq!(found, code, "{words:?}: {message}");
        says(&message, words);
        bystander.goes_on();
    }
    let (code, _, message) = produced(&mut connection.ask(api::PRODUCE, 8, &produce("target", 9, &good)));
    assert_eq!(code, UNKNOWN_TOPIC_OR_PARTITION, "{message}");
    assert_eq!(node.ok(&["topic", "consume", "target"]), "");
    // The connection and the partition serve on.
    assert_eq!(produced(&mut connection.ask(api::PRODUCE, 8, &produce("target", 0, &good))).1, 0);
    assert_eq!(node.ok(&["topic", "consume", "target"]), "one\ntwo\nthree\n");
    bystander.unharmed(&node);
}

/// Memory that a reader of a bomb may take: its limit of 64 MiB, a few times over since several readers meet it.
const GROWTH_BYTES_MAX: u64 = 600 << 20;

#[test]
fn a_bomb_is_not_inflated_and_its_reader_says_which_batch_it_is() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    let mut connection = Connection::open(&node);
    let before = resident_bytes(&node);
    let plain = vec![0; 256 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let topic = format!("bomb-{codec}");
        node.ok(&["topic", "create", &topic, "--config", "max.message.bytes=20000000"]);
        let bomb = batch(codec, &[&plain]);
        assert!(bomb.len() < 16 << 20, "{codec} makes {} bytes of it", bomb.len());
        // Compressed records are opaque to the log, as design has it: offsets come from the header.
        let (code, _, message) = produced(&mut connection.ask(api::PRODUCE, 8, &produce(&topic, 0, &bomb)));
        assert_eq!(code, 0, "{message}");
        let words: [&str; 3] = [codec.name(), "67108864 bytes", &topic];
        refused(&node, &["topic", "consume", &topic], 1, &words);
        let query = format!("SELECT _value FROM \"{topic}\"");
        refused(&node, &["sql", "-c", &query], 1, &[codec.name(), "67108864 bytes"]);
        let stream = format!("CREATE STREAM \"of-{codec}\" AS SELECT _value FROM \"{topic}\"");
        node.ok(&["stream", "create", &stream]);
        fails_with(&node, "stream", &format!("of-{codec}"), &[codec.name(), "67108864 bytes"]);
        bystander.goes_on();
    }
    let grown = resident_bytes(&node).saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "four bombs of 256 MiB make the node hold {grown} bytes more");
    bystander.unharmed(&node);
}

#[test]
fn a_compressed_batch_that_lies_about_its_records_is_told_by_whoever_reads_it() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    let mut connection = Connection::open(&node);
    let lies = |count: i32| {
        let mut made = batch(Codec::Zstd, &[b"one", b"two", b"three"]);
        made[RECORD_COUNT..RECORDS].copy_from_slice(&count.to_be_bytes());
        made[LAST_OFFSET_DELTA..LAST_OFFSET_DELTA + 4].copy_from_slice(&(count - 1).to_be_bytes());
        sealed(made)
    };
    let broken = {
        let mut made = batch(Codec::Zstd, &[b"one", b"two", b"three"]);
        made.truncate(RECORDS);
        made.extend(b"this is no zstd frame at all");
        let length = i32::try_from(made.len() - 12).unwrap();
        made[LENGTH..MAGIC - 4].copy_from_slice(&length.to_be_bytes());
        sealed(made)
    };
    for (name, records) in [("more", lies(5)), ("fewer", lies(2)), ("broken", broken)] {
        node.ok(&["topic", "create", name]);
        let (code, _, message) = produced(&mut connection.ask(api::PRODUCE, 8, &produce(name, 0, &records)));
        assert_eq!(code, 0, "{message}");
        let place = format!("partition 0 of {name:?}");
        refused(&node, &["topic", "consume", name], 1, &[&place, "offset 0"]);
        refused(&node, &["sql", "-c", &format!("SELECT _value FROM {name}")], 1, &["the batch"]);
        // What comes after is still served to whoever asks for it.
        let good = batch(Codec::None, &[b"fine"]);
        let (_, offset, _) = produced(&mut connection.ask(api::PRODUCE, 8, &produce(name, 0, &good)));
        let from = ["topic", "consume", name, "-o", "json", "--from", &offset.to_string()];
        assert_eq!(rows(&node.ok(&from))[0]["value"], "fine");
        bystander.goes_on();
    }
    bystander.unharmed(&node);
}
