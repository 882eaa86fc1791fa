//! From a batch to its records: one by one, or as columns. A batch is decompressed once.

use crate::batch::{Batch, TimestampType};
use crate::codec::Limits;
use crate::columns::Columns;
use crate::error::Error;
use crate::walk::{self, Raw, RecordRef};
use bytes::Bytes;
use millstream_types::{Offset, TimestampMs};

/// Bytes a column can address.
const COLUMN_BYTES_MAX: usize = u32::MAX as usize;

impl Batch {
    /// The batch's records as columns.
    ///
    /// # Errors
    /// Bytes that do not decompress within the limits, or records that do not parse.
    pub fn records(&self, limits: &Limits) -> Result<Columns, Error> {
        let mut columns = Columns::default();
        columns.append_batch(self, self.base_offset(), limits)?;
        Ok(columns)
    }

    /// Calls `visit` with each record, in order.
    ///
    /// # Errors
    /// As [`Batch::records`]; the records before a broken one have been visited.
    pub fn each(&self, limits: &Limits, mut visit: impl FnMut(RecordRef<'_>)) -> Result<(), Error> {
        self.visit(&self.plain(limits)?, |_, record| visit(record))
    }

    /// The records' bytes, decompressed.
    pub(crate) fn plain(&self, limits: &Limits) -> Result<Bytes, Error> {
        if usize::try_from(self.record_count()).is_ok_and(|count| count > limits.records_max) {
            return Err(Error::TooManyRecords { record_count: self.record_count(), limit: limits.records_max });
        }
        self.codec().decompress(&self.payload(), limits.decompressed_bytes_max)
    }

    /// Calls `visit` with each of the records in `plain`: as it lies there, and what it is.
    pub(crate) fn visit<'p>(
        &self,
        plain: &'p [u8],
        mut visit: impl FnMut(Raw<'p>, RecordRef<'p>),
    ) -> Result<(), Error> {
        let (record_count, last_offset_delta) = (self.record_count(), self.last_offset_delta());
        let count = usize::try_from(record_count).map_err(|_| Error::Counts { record_count, last_offset_delta })?;
        let append_time = match self.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(self.max_timestamp()),
        };
        let (base_offset, base_timestamp) = (self.base_offset().0, self.base_timestamp().0);
        let mut rest = plain;
        let mut lowest = 0;
        for index in 0..count {
            let raw = walk::next(&mut rest, index)?;
            if raw.offset_delta < lowest || raw.offset_delta > i64::from(last_offset_delta) {
                return Err(Error::Record { index, problem: "its offset delta is out of order" });
            }
            lowest = raw.offset_delta + 1;
            let record = RecordRef {
                offset: Offset(base_offset.saturating_add(raw.offset_delta)),
                timestamp: append_time.unwrap_or(TimestampMs(base_timestamp.saturating_add(raw.timestamp_delta))),
                key: raw.key,
                value: raw.value,
                headers: raw.headers,
            };
            visit(raw, record);
        }
        if rest.is_empty() { Ok(()) } else { Err(Error::Trailing { bytes: rest.len(), record_count: count }) }
    }
}

impl Columns {
    /// Adds a batch's records from offset `from` on. A header name that is not UTF-8 (Kafka takes any bytes) gets replacement
    /// characters, as in Kafka's own client.
    ///
    /// # Errors
    /// As [`Batch::records`]; the records before a broken one have been added.
    pub fn append_batch(&mut self, batch: &Batch, from: Offset, limits: &Limits) -> Result<(), Error> {
        let plain = batch.plain(limits)?;
        if self.payload_bytes().saturating_add(plain.len()) > COLUMN_BYTES_MAX {
            return Err(Error::TooLarge {
                bytes: self.payload_bytes() + plain.len(),
                limit: COLUMN_BYTES_MAX,
                option: "bytes of one set of columns",
            });
        }
        batch.visit(&plain, |_, record| {
            if record.offset < from {
                return;
            }
            self.offsets.push(record.offset.0);
            self.timestamps.push(record.timestamp.0);
            self.keys.push(record.key);
            self.values.push(record.value);
            self.headers.push_raw(record.headers);
        })
    }
}
