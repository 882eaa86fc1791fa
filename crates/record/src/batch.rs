//! One whole batch as bytes, with its header's fields by name.

use crate::codec::Codec;
use crate::error::Error;
use crate::layout as at;
use crate::layout::{BATCH_HEADER_BYTES, LENGTH_PREFIX_BYTES};
use bytes::{Bytes, BytesMut};
use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// Whose clock a batch's timestamps are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's: each record has its own.
    CreateTime,
    /// The broker's at append: all records have the batch's `max_timestamp`.
    LogAppendTime,
}

/// One whole batch of format v2. Cheap to clone. Its length, magic and codec are known to be good; whether its CRC and its records
/// are, says [`crate::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct Batch(Bytes);

/// Cuts stored bytes into batches by their lengths: for the read path, where the batches were checked before they were stored. A batch that
/// is cut at the end (as fetch responses may have it) is left out.
///
/// # Errors
/// A length or magic that no batch has.
pub fn split(records: Bytes) -> Result<Vec<Batch>, Error> {
    let mut batches = Vec::new();
    let mut rest = records;
    let mut position = 0;
    loop {
        match Batch::cut(&mut rest, position) {
            Ok(batch) => {
                position += batch.0.len();
                batches.push(batch);
            }
            Err(Error::Truncated { .. }) => return Ok(batches),
            Err(error) => return Err(error),
        }
    }
}

impl Batch {
    /// Takes the batch at the front of `rest`, which is at `position` for messages.
    pub(crate) fn cut(rest: &mut Bytes, position: usize) -> Result<Self, Error> {
        let available = rest.len();
        if available < BATCH_HEADER_BYTES {
            return Err(Error::Truncated { position, needed: BATCH_HEADER_BYTES, available });
        }
        let size = Self::size_of(rest, position)?;
        if available < size {
            return Err(Error::Truncated { position, needed: size, available });
        }
        Codec::from_id(codec_bits(rest))?;
        Ok(Self(rest.split_to(size)))
    }

    /// Bytes of the batch whose header (at least its first 17 bytes) `header` begins with.
    fn size_of(header: &[u8], position: usize) -> Result<usize, Error> {
        let length = at::i32_at(header, at::LENGTH);
        let magic = header[at::MAGIC_AT];
        if magic != at::MAGIC {
            return Err(Error::Magic { magic });
        }
        let size = usize::try_from(length).ok().and_then(|length| length.checked_add(LENGTH_PREFIX_BYTES));
        size.filter(|size| *size >= BATCH_HEADER_BYTES).ok_or(Error::Length { position, length })
    }

    /// Only the header of a batch, read from `header` (at least [`BATCH_HEADER_BYTES`] of it): for scans that step from batch to
    /// batch without reading the records. [`Batch::size`] is that of the whole batch; [`Batch::bytes`] has only the header.
    ///
    /// # Errors
    /// A header that no batch has, or fewer bytes than a header.
    pub fn header(header: &Bytes) -> Result<Self, Error> {
        if header.len() < BATCH_HEADER_BYTES {
            return Err(Error::Truncated { position: 0, needed: BATCH_HEADER_BYTES, available: header.len() });
        }
        Self::size_of(header, 0)?;
        Codec::from_id(codec_bits(header))?;
        Ok(Self(header.slice(..BATCH_HEADER_BYTES)))
    }

    /// Whether the CRC in the header is that of the bytes.
    ///
    /// # Errors
    /// [`Error::Crc`].
    pub fn check_crc(&self) -> Result<(), Error> {
        let (stored, computed) = (self.crc(), at::crc32c(&[&self.0[at::ATTRIBUTES..]]));
        if stored == computed { Ok(()) } else { Err(Error::Crc { stored, computed }) }
    }

    /// The batch with its place in a log: base offset and leader epoch, and the broker's time where the topic has LogAppendTime. Two
    /// buffers, a new head and the shared rest: the payload is not copied. The CRC is computed again only for an append time.
    #[must_use]
    pub fn placed(&self, base: Offset, epoch: LeaderEpoch, append_time: Option<TimestampMs>) -> [Bytes; 2] {
        let head_bytes = if append_time.is_some() { BATCH_HEADER_BYTES } else { at::MAGIC_AT };
        let tail = self.0.slice(head_bytes..);
        let mut head = BytesMut::from(&self.0[..head_bytes]);
        head[at::BASE_OFFSET..at::LENGTH].copy_from_slice(&base.0.to_be_bytes());
        head[at::LEADER_EPOCH..at::MAGIC_AT].copy_from_slice(&epoch.0.to_be_bytes());
        if let Some(time) = append_time {
            stamp(&mut head, &tail, TimestampType::LogAppendTime, time.0);
        }
        [head.freeze(), tail]
    }

    /// The batch without its records, as compaction leaves one: its place in the log, and nothing in it.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let mut head = BytesMut::from(&self.0[..BATCH_HEADER_BYTES]);
        let length = i32::try_from(BATCH_HEADER_BYTES - LENGTH_PREFIX_BYTES).unwrap_or_default();
        head[at::LENGTH..at::LEADER_EPOCH].copy_from_slice(&length.to_be_bytes());
        let attributes = at::u16_at(&head, at::ATTRIBUTES) & !(at::CODEC_BITS | at::DELETE_HORIZON_BIT);
        head[at::ATTRIBUTES..at::LAST_OFFSET_DELTA].copy_from_slice(&attributes.to_be_bytes());
        head[at::BASE_TIMESTAMP..at::MAX_TIMESTAMP].copy_from_slice(&(-1i64).to_be_bytes());
        head[at::RECORD_COUNT..].copy_from_slice(&0i32.to_be_bytes());
        let crc = at::crc32c(&[&head[at::ATTRIBUTES..]]);
        head[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        Self(head.freeze())
    }

    /// A copy with another timestamp type and largest timestamp, and the CRC for them.
    pub(crate) fn restamped(&self, kind: TimestampType, max_timestamp: i64) -> Self {
        let mut whole = BytesMut::from(self.0.as_ref());
        let tail = whole.split_off(BATCH_HEADER_BYTES);
        stamp(&mut whole, &tail, kind, max_timestamp);
        whole.unsplit(tail);
        Self(whole.freeze())
    }

    /// The batch's bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The batch's bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(at::i32_at(&self.0, at::LENGTH)).unwrap_or_default() + LENGTH_PREFIX_BYTES
    }

    /// The records as they are stored, compressed or not.
    pub(crate) fn payload(&self) -> Bytes {
        self.0.slice(BATCH_HEADER_BYTES..)
    }

    /// The offset of the first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        Offset(at::i64_at(&self.0, at::BASE_OFFSET))
    }

    /// The offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset().0.saturating_add(i64::from(self.last_offset_delta())))
    }

    /// The offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// The last record's offset less the first's.
    #[must_use]
    pub fn last_offset_delta(&self) -> i32 {
        at::i32_at(&self.0, at::LAST_OFFSET_DELTA)
    }

    /// How many records the header says there are. Compaction may make it less than the offsets span.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        at::i32_at(&self.0, at::RECORD_COUNT)
    }

    /// What the records' timestamps are counted from: the first record's, or the delete horizon.
    #[must_use]
    pub fn base_timestamp(&self) -> TimestampMs {
        TimestampMs(at::i64_at(&self.0, at::BASE_TIMESTAMP))
    }

    /// The largest timestamp of the batch, or the append time.
    #[must_use]
    pub fn max_timestamp(&self) -> TimestampMs {
        TimestampMs(at::i64_at(&self.0, at::MAX_TIMESTAMP))
    }

    /// Whose clock the timestamps are of.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.has(at::APPEND_TIME_BIT) { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    /// How the records are compressed.
    #[must_use]
    pub fn codec(&self) -> Codec {
        Codec::from_id(codec_bits(&self.0)).unwrap_or_default()
    }

    /// Whether the batch is part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.has(at::TRANSACTIONAL_BIT)
    }

    /// Whether the batch holds a marker of a broker and not records of a client.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.has(at::CONTROL_BIT)
    }

    /// The time at which compaction may drop the batch's tombstones, or the marker in it, where one was set (KAFKA-8522).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<TimestampMs> {
        self.has(at::DELETE_HORIZON_BIT).then(|| self.base_timestamp())
    }

    /// The idempotent producer, or [`ProducerId::NONE`].
    #[must_use]
    pub fn producer_id(&self) -> ProducerId {
        ProducerId(at::i64_at(&self.0, at::PRODUCER_ID))
    }

    /// The producer's epoch, or [`ProducerEpoch::NONE`].
    #[must_use]
    pub fn producer_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(at::i16_at(&self.0, at::PRODUCER_EPOCH))
    }

    /// The producer's sequence of the first record, or -1.
    #[must_use]
    pub fn base_sequence(&self) -> i32 {
        at::i32_at(&self.0, at::BASE_SEQUENCE)
    }

    /// The epoch of the leader that appended the batch.
    #[must_use]
    pub fn partition_leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(at::i32_at(&self.0, at::LEADER_EPOCH))
    }

    /// The CRC-32C in the header.
    #[must_use]
    pub fn crc(&self) -> u32 {
        at::u32_at(&self.0, at::CRC)
    }

    fn has(&self, bit: u16) -> bool {
        at::u16_at(&self.0, at::ATTRIBUTES) & bit != 0
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Batch({}..={}, {} records, {} bytes, {})",
            self.base_offset(),
            self.last_offset(),
            self.record_count(),
            self.size(),
            self.codec()
        )
    }
}

fn codec_bits(header: &[u8]) -> u8 {
    u8::try_from(at::u16_at(header, at::ATTRIBUTES) & at::CODEC_BITS).unwrap_or_default()
}

fn stamp(head: &mut BytesMut, tail: &[u8], kind: TimestampType, max_timestamp: i64) {
    let attributes = at::u16_at(head, at::ATTRIBUTES);
    let attributes = match kind {
        TimestampType::CreateTime => attributes & !at::APPEND_TIME_BIT,
        TimestampType::LogAppendTime => attributes | at::APPEND_TIME_BIT,
    };
    head[at::ATTRIBUTES..at::LAST_OFFSET_DELTA].copy_from_slice(&attributes.to_be_bytes());
    head[at::MAX_TIMESTAMP..at::PRODUCER_ID].copy_from_slice(&max_timestamp.to_be_bytes());
    let crc = at::crc32c(&[&head[at::ATTRIBUTES..], tail]);
    head[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}
