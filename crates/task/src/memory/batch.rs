//! Columns as one uncompressed record batch in Kafka's format v2, with offsets without gaps.
//!
//! It is written apart from the `record` crate on purpose: a test that reads what this wrote checks both.

use bytes::{BufMut, Bytes, BytesMut};
use millstream_record::Columns;

/// Bytes before the part that the checksum covers: base offset, length, leader epoch, magic, checksum.
const UNCHECKED_LEN: usize = 21;
const MAGIC: i8 = 2;

const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
/// The producer of every transaction here: what a batch is to a reader is decided before it is encoded.
const PRODUCER: i64 = 7;

/// The whole batch; its first record has the columns' first offset.
pub(super) fn encode(columns: &Columns) -> Bytes {
    whole(columns, 0, columns.len())
}

/// As [`encode`], of a transaction.
pub(super) fn transactional(columns: &Columns) -> Bytes {
    whole(columns, TRANSACTIONAL, columns.len())
}

/// The place of an aborted batch, without its records.
pub(super) fn emptied(columns: &Columns) -> Bytes {
    whole(columns, TRANSACTIONAL, 0)
}

/// The end of a transaction.
pub(super) fn marker(columns: &Columns) -> Bytes {
    whole(columns, TRANSACTIONAL | CONTROL, columns.len())
}

fn whole(columns: &Columns, attributes: i16, records: usize) -> Bytes {
    let base_offset = columns.offsets.first().copied().unwrap_or_default();
    let base_timestamp = columns.timestamps.first().copied().unwrap_or_default();
    let count = i32::try_from(columns.len()).unwrap_or(i32::MAX);
    let mut checked = BytesMut::with_capacity(64 + columns.payload_bytes() + 16 * columns.len());
    checked.put_i16(attributes); // no codec, the producer's timestamps
    checked.put_i32(count - 1);
    checked.put_i64(base_timestamp);
    checked.put_i64(columns.timestamps.iter().copied().max().unwrap_or(base_timestamp));
    let is_transactional = attributes & TRANSACTIONAL != 0;
    checked.put_i64(if is_transactional { PRODUCER } else { -1 });
    checked.put_i16(if is_transactional { 0 } else { -1 });
    checked.put_i32(-1);
    checked.put_i32(i32::try_from(records).unwrap_or(i32::MAX));
    for at in 0..records {
        let record = record(columns, at, base_timestamp);
        put_varint(&mut checked, len(record.len()));
        checked.put_slice(&record);
    }
    let mut batch = BytesMut::with_capacity(UNCHECKED_LEN + checked.len());
    batch.put_i64(base_offset);
    batch.put_i32(i32::try_from(UNCHECKED_LEN - 12 + checked.len()).unwrap_or(i32::MAX));
    batch.put_i32(0);
    batch.put_i8(MAGIC);
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &checked);
    batch.put_u32(u32::try_from(crc).unwrap_or_default());
    batch.put_slice(&checked);
    batch.freeze()
}

fn record(columns: &Columns, at: usize, base_timestamp: i64) -> BytesMut {
    let mut record = BytesMut::new();
    record.put_i8(0);
    put_varint(&mut record, columns.timestamps[at] - base_timestamp);
    put_varint(&mut record, len(at));
    put_bytes(&mut record, columns.keys.get(at));
    put_bytes(&mut record, columns.values.get(at));
    put_varint(&mut record, len(columns.headers.get(at).count()));
    for (name, value) in columns.headers.get(at) {
        put_bytes(&mut record, Some(name.as_bytes()));
        put_bytes(&mut record, value);
    }
    record
}

fn put_bytes(record: &mut BytesMut, bytes: Option<&[u8]>) {
    put_varint(record, bytes.map_or(-1, |bytes| len(bytes.len())));
    record.put_slice(bytes.unwrap_or_default());
}

/// Zigzag, then seven bits a byte, the lowest first.
fn put_varint(record: &mut BytesMut, value: i64) {
    let mut bits = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    while bits >= 0x80 {
        record.put_u8((bits & 0x7f) as u8 | 0x80);
        bits >>= 7;
    }
    record.put_u8(bits as u8);
}

fn len(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
