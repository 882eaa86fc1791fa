//! What compaction leaves of a batch: the batch as it was, one with fewer records, or none. Offsets, the producer's sequences and the codec
//! stay what they were.
//!
//! ```text
//! before   base 10, last 14: a b c d e         base timestamp = a's
//! after    base 10, last 14:   b   d           base timestamp = b's, or the delete horizon where one is set (KAFKA-8522)
//! ```

use crate::batch::{Batch, TimestampType};
use crate::codec::{Compression, Limits};
use crate::error::Error;
use crate::layout as at;
use crate::layout::{BATCH_HEADER_BYTES, LENGTH_PREFIX_BYTES};
use crate::varint;
use crate::walk::RecordRef;
use bytes::Bytes;
use millstream_types::TimestampMs;

/// How a batch is cleaned.
#[derive(Debug, Clone, Copy)]
pub struct Retain {
    /// The delete horizon that the batch gets where it has none yet and a tombstone stays in it.
    pub horizon: TimestampMs,
    /// Whether it gets one in any case: a marker of a transaction that has no records left.
    pub needs_horizon: bool,
    /// How far a batch is unpacked.
    pub limits: Limits,
}

/// What is left of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The batch as it was.
    Whole,
    /// This one in its place.
    Rewritten(Batch),
    /// No record.
    Nothing,
}

/// What is left of a batch, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// What is left.
    pub kept: Kept,
    /// Records there were.
    pub read: usize,
    /// Records that are left.
    pub records: usize,
}

/// A record that stays.
struct Staying<'a> {
    timestamp: i64,
    offset_delta: i64,
    body: &'a [u8],
}

impl Batch {
    /// What is left of the batch when only records for which `keep` says so stay.
    ///
    /// # Errors
    /// Bytes that do not decompress within the limits, or records that do not parse.
    pub fn retain(&self, how: &Retain, mut keep: impl FnMut(&RecordRef<'_>) -> bool) -> Result<Retained, Error> {
        let plain = self.plain(&how.limits)?;
        let mut staying = Vec::new();
        let (mut read, mut has_tombstone) = (0, false);
        self.visit(&plain, |raw, record| {
            read += 1;
            if keep(&record) {
                has_tombstone |= record.value.is_none();
                staying.push(Staying { timestamp: record.timestamp.0, offset_delta: raw.offset_delta, body: raw.body });
            }
        })?;
        let records = staying.len();
        let gets_horizon = (has_tombstone || how.needs_horizon) && self.delete_horizon().is_none();
        let kept = if staying.is_empty() {
            Kept::Nothing
        } else if records == read && !gets_horizon {
            Kept::Whole
        } else {
            let horizon = if gets_horizon { Some(how.horizon) } else { self.delete_horizon() };
            Kept::Rewritten(self.rewritten(&staying, horizon)?)
        };
        Ok(Retained { kept, read, records })
    }

    fn rewritten(&self, staying: &[Staying<'_>], horizon: Option<TimestampMs>) -> Result<Self, Error> {
        let first = staying.first().map_or(-1, |record| record.timestamp);
        let base_timestamp = horizon.map_or(first, |horizon| horizon.0);
        let mut plain = Vec::with_capacity(staying.iter().map(|record| record.body.len() + 16).sum());
        staying.iter().for_each(|record| write(&mut plain, record, base_timestamp));
        let attributes = at::u16_at(self.bytes(), at::ATTRIBUTES) & !at::DELETE_HORIZON_BIT;
        let attributes = if horizon.is_some() { attributes | at::DELETE_HORIZON_BIT } else { attributes };
        self.with_payload(&self.codec().compress(plain)?, |head| {
            let mut set = |place: usize, field: &[u8]| head[place..place + field.len()].copy_from_slice(field);
            set(at::ATTRIBUTES, &attributes.to_be_bytes());
            set(at::BASE_TIMESTAMP, &base_timestamp.to_be_bytes());
            if self.timestamp_type() == TimestampType::CreateTime {
                let largest = staying.iter().map(|record| record.timestamp).max().unwrap_or(-1);
                set(at::MAX_TIMESTAMP, &largest.to_be_bytes());
            }
            set(at::RECORD_COUNT, &i32::try_from(staying.len()).unwrap_or(i32::MAX).to_be_bytes());
        })
    }

    /// The same records in another codec.
    pub(crate) fn recoded(&self, stored: Compression, limits: &Limits) -> Result<Self, Error> {
        let payload = stored.compress(self.plain(limits)?.to_vec())?;
        let attributes = at::u16_at(self.bytes(), at::ATTRIBUTES) & !at::CODEC_BITS | u16::from(stored.codec.id());
        self.with_payload(&payload, |head| {
            head[at::ATTRIBUTES..at::LAST_OFFSET_DELTA].copy_from_slice(&attributes.to_be_bytes());
        })
    }

    /// The batch with other records; `set` changes the rest of the header.
    fn with_payload(&self, payload: &[u8], set: impl FnOnce(&mut [u8])) -> Result<Self, Error> {
        let bytes = BATCH_HEADER_BYTES + payload.len();
        let too_large = Error::TooLarge { bytes, limit: i32::MAX as usize, option: "bytes a batch can count" };
        let length = i32::try_from(bytes - LENGTH_PREFIX_BYTES).map_err(|_| too_large)?;
        let mut whole = Vec::with_capacity(bytes);
        whole.extend_from_slice(&self.bytes()[..BATCH_HEADER_BYTES]);
        whole.extend_from_slice(payload);
        whole[at::LENGTH..at::LEADER_EPOCH].copy_from_slice(&length.to_be_bytes());
        set(&mut whole[..BATCH_HEADER_BYTES]);
        let crc = at::crc32c(&[&whole[at::ATTRIBUTES..]]);
        whole[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        Self::cut(&mut Bytes::from(whole), 0)
    }
}

fn write(out: &mut Vec<u8>, record: &Staying<'_>, base_timestamp: i64) {
    let timestamp_delta = record.timestamp.wrapping_sub(base_timestamp);
    let size = 1 + varint::size(timestamp_delta) + varint::size(record.offset_delta) + record.body.len();
    varint::write(out, i64::try_from(size).unwrap_or(i64::MAX));
    // A record's own attributes: none is defined.
    out.push(0);
    varint::write(out, timestamp_delta);
    varint::write(out, record.offset_delta);
    out.extend_from_slice(record.body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::BatchBuilder;
    use crate::codec::Codec;
    use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

    const HOW: Retain = Retain {
        horizon: TimestampMs(1_000_000),
        needs_horizon: false,
        limits: Limits { decompressed_bytes_max: 1 << 20, records_max: 1000 },
    };

    /// Keys a, b, c, d at 500, 510, 505, 520; the value of c is null.
    fn batch(codec: Codec) -> Batch {
        let mut builder = BatchBuilder::new(codec).producer(ProducerId(7), ProducerEpoch(1), 30).transactional();
        for (time, key, value) in
            [(500, "a", Some("1")), (510, "b", Some("2")), (505, "c", None), (520, "d", Some("4"))]
        {
            builder.push(TimestampMs(time), Some(key.as_bytes()), value.map(str::as_bytes), [("h", Some(&b"v"[..]))]);
        }
        builder.build(Offset(10), LeaderEpoch(3)).unwrap()
    }

    fn keys(batch: &Batch) -> Vec<(i64, i64, String)> {
        let mut found = Vec::new();
        batch
            .each(&HOW.limits, |record| {
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                assert_eq!(record.headers.count(), 1);
                found.push((record.offset.0, record.timestamp.0, key));
            })
            .unwrap();
        found
    }

    fn rewritten(batch: &Batch, how: &Retain, keep: &str) -> Batch {
        let retained = batch.retain(how, |record| keep.as_bytes().contains(&record.key.unwrap()[0])).unwrap();
        match retained.kept {
            Kept::Rewritten(batch) => batch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_stays_keeps_offsets_times_codec_and_sequences() {
        for codec in Codec::ALL {
            let before = batch(codec);
            let after = rewritten(&before, &HOW, "bd");
            after.check_crc().unwrap();
            assert_eq!(keys(&after), [(11, 510, "b".to_owned()), (13, 520, "d".to_owned())]);
            assert_eq!((after.base_offset(), after.last_offset(), after.record_count()), (Offset(10), Offset(13), 2));
            assert_eq!((after.codec(), after.partition_leader_epoch()), (codec, LeaderEpoch(3)));
            assert_eq!((after.producer_id(), after.base_sequence()), (ProducerId(7), 30));
            assert!(after.is_transactional() && !after.is_control() && after.delete_horizon().is_none());
            assert_eq!((after.base_timestamp(), after.max_timestamp()), (TimestampMs(510), TimestampMs(520)));
        }
    }

    #[test]
    fn a_tombstone_that_stays_sets_the_horizon_once_and_changes_no_timestamp() {
        let before = batch(Codec::Lz4);
        let first = rewritten(&before, &HOW, "abcd");
        assert_eq!(first.delete_horizon(), Some(TimestampMs(1_000_000)));
        assert_eq!(keys(&first), keys(&before));
        let later = Retain { horizon: TimestampMs(2_000_000), ..HOW };
        assert_eq!(first.retain(&later, |_| true).unwrap().kept, Kept::Whole);
        let second = rewritten(&first, &later, "ac");
        assert_eq!(second.delete_horizon(), Some(TimestampMs(1_000_000)));
        assert_eq!(keys(&second), [(10, 500, "a".to_owned()), (12, 505, "c".to_owned())]);
    }

    #[test]
    fn a_batch_that_keeps_all_and_no_tombstone_is_not_touched() {
        let before = rewritten(&batch(Codec::Gzip), &HOW, "abd");
        let retained = before.retain(&HOW, |_| true).unwrap();
        assert_eq!(retained, Retained { kept: Kept::Whole, read: 3, records: 3 });
        assert_eq!(before.retain(&HOW, |_| false).unwrap().kept, Kept::Nothing);
        let forced = Retain { needs_horizon: true, ..HOW };
        assert_eq!(rewritten(&before, &forced, "abd").delete_horizon(), Some(HOW.horizon));
    }

    #[test]
    fn times_of_the_broker_stay_the_batchs() {
        let before = batch(Codec::None).restamped(TimestampType::LogAppendTime, 900);
        let after = rewritten(&before, &HOW, "ac");
        assert_eq!(after.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(after.max_timestamp(), TimestampMs(900));
        assert_eq!(keys(&after), [(10, 900, "a".to_owned()), (12, 900, "c".to_owned())]);
    }

    #[test]
    fn an_emptied_batch_has_its_place_and_no_horizon() {
        let emptied = rewritten(&batch(Codec::Zstd), &HOW, "abcd").emptied();
        emptied.check_crc().unwrap();
        assert_eq!((emptied.base_offset(), emptied.last_offset(), emptied.record_count()), (Offset(10), Offset(13), 0));
        assert_eq!((emptied.base_timestamp(), emptied.max_timestamp()), (TimestampMs(-1), TimestampMs(520)));
        assert!(emptied.delete_horizon().is_none() && emptied.codec() == Codec::None);
        assert_eq!((emptied.producer_id(), emptied.base_sequence()), (ProducerId(7), 30));
        assert_eq!(keys(&emptied), []);
    }
}
