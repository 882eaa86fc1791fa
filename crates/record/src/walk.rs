//! One walk over a batch's uncompressed records, without copies.
//!
//! ```text
//! length | attributes u8 | timestampDelta | offsetDelta | keyLength key | valueLength value | headerCount | (nameLength name | valueLength value)*
//! ```
//! All numbers but attributes are zigzag varints; a length of -1 is null.

use crate::error::Error;
use crate::varint;
use millstream_types::{Offset, TimestampMs};

/// One record of a batch, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp: the producer's, or the broker's where the batch has LogAppendTime.
    pub timestamp: TimestampMs,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; null is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// A record's headers in order, duplicates kept; they have been checked when this exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = blob(&mut self.bytes)??;
        let value = blob(&mut self.bytes)?;
        Some((name, value))
    }
}

/// A record as it lies in its batch, with deltas.
pub struct Raw<'a> {
    pub timestamp_delta: i64,
    pub offset_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
    /// Key, value and headers as they are stored.
    pub body: &'a [u8],
}

/// Reads a length and that many bytes. Outer none: it does not parse; inner none: null.
#[inline(always)]
#[expect(clippy::option_option, reason = "a null value and a broken one are different things")]
fn blob<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint::read(bytes)? {
        -1 => Some(None),
        len => {
            let (content, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
            *bytes = rest;
            Some(Some(content))
        }
    }
}

/// Reads the record at the front of `bytes`. Inlined with all it calls, so that who looks at a field or two pays for no others: the door
/// looks at every record that comes.
#[inline]
pub fn next<'a>(bytes: &mut &'a [u8], index: usize) -> Result<Raw<'a>, Error> {
    let broken = |problem| Error::Record { index, problem };
    let length = varint::read(bytes).ok_or_else(|| broken("its length does not parse"))?;
    let length = usize::try_from(length).map_err(|_| broken("its length is negative"))?;
    let (mut record, rest) =
        bytes.split_at_checked(length).ok_or_else(|| broken("it is longer than what is left of its batch"))?;
    *bytes = rest;
    fields(&mut record).map_err(broken)
}

#[inline(always)]
fn fields<'a>(record: &mut &'a [u8]) -> Result<Raw<'a>, &'static str> {
    let (_attributes, rest) = record.split_first().ok_or("it is empty")?;
    *record = rest;
    let timestamp_delta = varint::read(record).ok_or("its timestamp delta does not parse")?;
    let offset_delta = varint::read(record).ok_or("its offset delta does not parse")?;
    let body = *record;
    let key = blob(record).ok_or("its key does not fit in it")?;
    let value = blob(record).ok_or("its value does not fit in it")?;
    let headers = headers(record)?;
    Ok(Raw { timestamp_delta, offset_delta, key, value, headers, body })
}

#[inline(always)]
fn headers<'a>(record: &mut &'a [u8]) -> Result<Headers<'a>, &'static str> {
    // Most records have none.
    if let [0] = record { Ok(Headers { bytes: &[] }) } else { some_headers(record) }
}

#[inline(never)]
fn some_headers<'a>(record: &mut &'a [u8]) -> Result<Headers<'a>, &'static str> {
    let count = varint::read(record).ok_or("its header count does not parse")?;
    // Every header has at least two bytes, so a count that lies ends the loop soon.
    let count = usize::try_from(count).map_err(|_| "its header count is negative")?;
    let bytes = *record;
    for _ in 0..count {
        blob(record).ok_or("a header's name does not fit in it")?.ok_or("a header's name is null")?;
        blob(record).ok_or("a header's value does not fit in it")?;
    }
    if record.is_empty() { Ok(Headers { bytes }) } else { Err("bytes are left after its headers") }
}
