//! Kafka's producer snapshot, `<offset>.snapshot`: what each idempotent producer had written below that offset.
//!
//! ```text
//! version i16 = 1 | CRC-32C u32 of all after it | count i32 |
//!   (producerId i64 | epoch i16 | lastSequence i32 | lastOffset i64 | offsetDelta i32 | timestamp i64 | coordinatorEpoch i32 | currentTxnFirstOffset i64)*
//! ```

use crate::error::Error;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_record::crc32c;
use millstream_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::path::Path;

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const ENTRIES_AT: usize = 6;
const ENTRY_BYTES: usize = 46;

/// One producer of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerSnapshotEntry {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The sequence of the last record of its last batch; -1 for none.
    pub last_sequence: i32,
    /// The offset of that record; -1 for none.
    pub last_offset: Offset,
    /// That batch's last offset less its first.
    pub offset_delta: i32,
    /// That batch's largest timestamp.
    pub timestamp: TimestampMs,
    /// The epoch of the coordinator that wrote the last marker; -1 for none.
    pub coordinator_epoch: i32,
    /// Where the open transaction begins here.
    pub current_txn_first_offset: Option<Offset>,
}

/// The bytes of a snapshot.
#[must_use]
pub fn encode_producer_snapshot(entries: &[ProducerSnapshotEntry]) -> Bytes {
    let mut out = BytesMut::with_capacity(ENTRIES_AT + 4 + entries.len() * ENTRY_BYTES);
    out.put_i16(VERSION);
    out.put_u32(0);
    out.put_i32(i32::try_from(entries.len()).unwrap_or(i32::MAX));
    for entry in entries {
        out.put_i64(entry.producer_id.0);
        out.put_i16(entry.epoch.0);
        out.put_i32(entry.last_sequence);
        out.put_i64(entry.last_offset.0);
        out.put_i32(entry.offset_delta);
        out.put_i64(entry.timestamp.0);
        out.put_i32(entry.coordinator_epoch);
        out.put_i64(entry.current_txn_first_offset.unwrap_or(Offset::NONE).0);
    }
    let crc = crc32c(&[&out[ENTRIES_AT..]]);
    out[CRC_AT..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    out.freeze()
}

/// Reads a snapshot's bytes; `path` is for messages.
///
/// # Errors
/// [`Error::Format`] for another version, a wrong CRC, or bytes that are no snapshot.
pub fn decode_producer_snapshot(content: &Bytes, path: &Path) -> Result<Vec<ProducerSnapshotEntry>, Error> {
    let format = |problem: &str| Error::format(path, problem);
    if content.len() < ENTRIES_AT + 4 {
        return Err(format("it is shorter than a snapshot's header"));
    }
    let mut rest = content.clone();
    if rest.get_i16() != VERSION {
        return Err(format("its version is not 1"));
    }
    if rest.get_u32() != crc32c(&[&content[ENTRIES_AT..]]) {
        return Err(format("its CRC does not fit its bytes"));
    }
    let count = usize::try_from(rest.get_i32()).map_err(|_| format("its count is negative"))?;
    if rest.len() / ENTRY_BYTES != count || !rest.len().is_multiple_of(ENTRY_BYTES) {
        return Err(format("its count does not fit its length"));
    }
    Ok((0..count).map(|_| entry(&mut rest)).collect())
}

fn entry(rest: &mut Bytes) -> ProducerSnapshotEntry {
    ProducerSnapshotEntry {
        producer_id: ProducerId(rest.get_i64()),
        epoch: ProducerEpoch(rest.get_i16()),
        last_sequence: rest.get_i32(),
        last_offset: Offset(rest.get_i64()),
        offset_delta: rest.get_i32(),
        timestamp: TimestampMs(rest.get_i64()),
        coordinator_epoch: rest.get_i32(),
        current_txn_first_offset: Some(Offset(rest.get_i64())).filter(|offset| offset.0 >= 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(producer: i64) -> ProducerSnapshotEntry {
        ProducerSnapshotEntry {
            producer_id: ProducerId(producer),
            epoch: ProducerEpoch(2),
            last_sequence: 41,
            last_offset: Offset(99),
            offset_delta: 9,
            timestamp: TimestampMs(1_700_000_000_000),
            coordinator_epoch: -1,
            current_txn_first_offset: (producer % 2 == 0).then_some(Offset(90)),
        }
    }

    #[test]
    fn a_snapshot_round_trips() {
        for count in [0, 1, 5] {
            let entries: Vec<_> = (0..count).map(one).collect();
            let bytes = encode_producer_snapshot(&entries);
            assert_eq!(decode_producer_snapshot(&bytes, Path::new("s")).unwrap(), entries);
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = encode_producer_snapshot(&[one(1), one(2)]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_producer_snapshot(&flipped.into(), Path::new("s")).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_cut_snapshot_is_refused() {
        let bytes = encode_producer_snapshot(&[one(1)]);
        for len in 0..bytes.len() {
            assert!(decode_producer_snapshot(&bytes.slice(..len), Path::new("s")).is_err(), "{len}");
        }
    }
}
