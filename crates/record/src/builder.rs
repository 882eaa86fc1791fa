//! Batches made here: by tasks, coordinators, connectors and tests.

use crate::batch::Batch;
use crate::codec::Codec;
use crate::columns::Columns;
use crate::error::Error;
use crate::layout as at;
use crate::layout::{BATCH_HEADER_BYTES, LENGTH_PREFIX_BYTES};
use crate::varint;
use bytes::Bytes;
use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// Collects records and makes a batch of them.
///
/// ```
/// use millstream_record::{BatchBuilder, Codec, Limits};
/// use millstream_types::{LeaderEpoch, Offset, TimestampMs};
///
/// let mut builder = BatchBuilder::new(Codec::Lz4);
/// builder.push(TimestampMs(1_000), Some(b"key"), Some(b"value"), []);
/// let batch = builder.build(Offset(0), LeaderEpoch(0)).unwrap();
/// assert_eq!(batch.records(&Limits::default()).unwrap().values.get(0), Some(b"value".as_slice()));
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    codec: Codec,
    attributes: u16,
    producer: (ProducerId, ProducerEpoch, i32),
    base_timestamp: i64,
    max_timestamp: i64,
    count: usize,
    records: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch of no producer.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            attributes: u16::from(codec.id()),
            producer: (ProducerId::NONE, ProducerEpoch::NONE, -1),
            base_timestamp: -1,
            max_timestamp: i64::MIN,
            count: 0,
            records: Vec::new(),
        }
    }

    /// The batch is of an idempotent producer; `sequence` is its number of the first record.
    #[must_use]
    pub const fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, sequence: i32) -> Self {
        self.producer = (id, epoch, sequence);
        self
    }

    /// The batch is part of a transaction.
    #[must_use]
    pub const fn transactional(mut self) -> Self {
        self.attributes |= at::TRANSACTIONAL_BIT;
        self
    }

    /// The batch holds a broker's marker.
    #[must_use]
    pub const fn control(mut self) -> Self {
        self.attributes |= at::CONTROL_BIT;
        self
    }

    /// Adds a record.
    pub fn push<'h, H>(&mut self, timestamp: TimestampMs, key: Option<&[u8]>, value: Option<&[u8]>, headers: H)
    where
        H: IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        H::IntoIter: Clone,
    {
        if self.count == 0 {
            self.base_timestamp = timestamp.0;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp.0);
        let timestamp_delta = timestamp.0.wrapping_sub(self.base_timestamp);
        let offset_delta = long(self.count);
        let headers = headers.into_iter();
        let (header_count, header_bytes) = headers.clone().fold((0, 0), |(count, bytes), (name, value)| {
            (count + 1, bytes + blob_size(Some(name.as_bytes())) + blob_size(value))
        });
        let size = 1
            + varint::size(timestamp_delta)
            + varint::size(offset_delta)
            + blob_size(key)
            + blob_size(value)
            + varint::size(header_count)
            + header_bytes;
        let out = &mut self.records;
        out.reserve(size + 5);
        varint::write(out, long(size));
        out.push(0);
        varint::write(out, timestamp_delta);
        varint::write(out, offset_delta);
        write_blob(out, key);
        write_blob(out, value);
        varint::write(out, header_count);
        for (name, value) in headers {
            write_blob(out, Some(name.as_bytes()));
            write_blob(out, value);
        }
        self.count += 1;
    }

    /// How many records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch before compression.
    #[must_use]
    pub const fn plain_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.records.len()
    }

    /// Makes the batch.
    ///
    /// # Errors
    /// No record, or more bytes or records than a batch can count.
    pub fn build(self, base: Offset, epoch: LeaderEpoch) -> Result<Batch, Error> {
        let count = i32::try_from(self.count)
            .ok()
            .filter(|count| *count > 0)
            .ok_or(Error::Counts { record_count: 0, last_offset_delta: -1 })?;
        let max_timestamp = self.max_timestamp;
        let (producer_id, producer_epoch, sequence) = self.producer;
        let payload = self.codec.compress(self.records)?;
        let bytes = BATCH_HEADER_BYTES + payload.len();
        let too_large = Error::TooLarge { bytes, limit: i32::MAX as usize, option: "bytes a batch can count" };
        let length = i32::try_from(bytes - LENGTH_PREFIX_BYTES).map_err(|_| too_large)?;

        let mut whole = Vec::with_capacity(bytes);
        whole.extend_from_slice(&base.0.to_be_bytes());
        whole.extend_from_slice(&length.to_be_bytes());
        whole.extend_from_slice(&epoch.0.to_be_bytes());
        whole.push(at::MAGIC);
        whole.extend_from_slice(&[0; 4]);
        whole.extend_from_slice(&self.attributes.to_be_bytes());
        whole.extend_from_slice(&(count - 1).to_be_bytes());
        whole.extend_from_slice(&self.base_timestamp.to_be_bytes());
        whole.extend_from_slice(&max_timestamp.to_be_bytes());
        whole.extend_from_slice(&producer_id.0.to_be_bytes());
        whole.extend_from_slice(&producer_epoch.0.to_be_bytes());
        whole.extend_from_slice(&sequence.to_be_bytes());
        whole.extend_from_slice(&count.to_be_bytes());
        whole.extend_from_slice(&payload);
        let crc = at::crc32c(&[&whole[at::ATTRIBUTES..]]);
        whole[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        Batch::cut(&mut Bytes::from(whole), 0)
    }
}

/// A batch of the columns' records, with offsets 0, 1, 2 and so on, of no producer.
///
/// # Errors
/// As [`BatchBuilder::build`].
pub fn encode(columns: &Columns, codec: Codec) -> Result<Batch, Error> {
    let mut builder = BatchBuilder::new(codec);
    builder.push_columns(columns, 0..columns.len());
    builder.build(Offset::ZERO, LeaderEpoch::NONE)
}

impl BatchBuilder {
    /// Adds the records of `columns` whose places are in `range`.
    pub fn push_columns(&mut self, columns: &Columns, range: std::ops::Range<usize>) {
        for index in range.start..range.end.min(columns.len()) {
            let headers = columns.headers.slice(index);
            self.push(
                TimestampMs(columns.timestamps[index]),
                columns.keys.get(index),
                columns.values.get(index),
                headers,
            );
        }
    }
}

fn long(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn blob_size(content: Option<&[u8]>) -> usize {
    content.map_or(1, |content| varint::size(long(content.len())) + content.len())
}

fn write_blob(out: &mut Vec<u8>, content: Option<&[u8]>) {
    varint::write(out, content.map_or(-1, |content| long(content.len())));
    out.extend_from_slice(content.unwrap_or_default());
}
