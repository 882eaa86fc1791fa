//! The output: what becomes of each record of a batch.

use crate::layout::{self, inherits};

/// A column of byte strings as it grows.
#[derive(Default)]
struct Column {
    ends: Vec<u32>,
    nulls: Vec<u8>,
    any_null: bool,
    any: bool,
    data: Vec<u8>,
}

impl Column {
    fn clear(&mut self) {
        self.ends.clear();
        self.nulls.clear();
        self.data.clear();
        (self.any, self.any_null) = (false, false);
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.data.truncate(self.ends.last().map_or(0, |end| *end as usize));
        self.nulls.truncate(len);
    }

    /// Ends the value whose bytes were just written to `data`.
    fn end(&mut self, null: bool) {
        self.any = true;
        self.any_null |= null;
        self.nulls.push(u8::from(null));
        self.ends.push(self.data.len() as u32);
    }

    /// A row without a value of its own in this column.
    fn skip(&mut self) {
        self.nulls.push(0);
        self.ends.push(self.data.len() as u32);
    }

    fn push(&mut self, value: Option<&[u8]>) {
        self.data.extend_from_slice(value.unwrap_or_default());
        self.end(value.is_none());
    }

    fn null_bitmap(&self) -> Vec<u8> {
        if !self.any_null {
            return Vec::new();
        }
        self.nulls.chunks(8).map(|bits| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | bit << at)).collect()
    }
}

/// What becomes of a batch's records, said record by record.
#[derive(Default)]
pub struct Output {
    records: usize,
    input: usize,
    input_rows: usize,
    input_headers: usize,
    keep: Vec<u8>,
    keep_topics: Vec<u8>,
    failed: Vec<u8>,
    any_kept: bool,
    any_routed: bool,
    message_ends: Vec<u32>,
    messages: Vec<u8>,
    row_inputs: Vec<u32>,
    row_topics: Vec<u16>,
    row_inherits: Vec<u8>,
    row_timestamps: Vec<i64>,
    any_topic: bool,
    any_inherits: bool,
    any_timestamp: bool,
    keys: Column,
    values: Column,
    header_ends: Vec<u32>,
    header_names: Column,
    header_values: Column,
    packed: Vec<u8>,
}

impl Output {
    /// Nothing said yet, about no record. The host's glue makes one; tests may.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, for a batch of `records` records. Buffers keep their room.
    pub fn clear(&mut self, records: usize) {
        let bytes = records.div_ceil(8);
        self.records = records;
        for bitmap in [&mut self.keep, &mut self.failed] {
            bitmap.clear();
            bitmap.resize(bytes, 0);
        }
        self.keep_topics.clear();
        self.keep_topics.resize(records, 0);
        (self.any_kept, self.any_routed) = (false, false);
        (self.any_topic, self.any_inherits, self.any_timestamp) = (false, false, false);
        self.message_ends.clear();
        self.messages.clear();
        self.row_inputs.clear();
        self.row_topics.clear();
        self.row_inherits.clear();
        self.row_timestamps.clear();
        self.header_ends.clear();
        for column in [&mut self.keys, &mut self.values, &mut self.header_names, &mut self.header_values] {
            column.clear();
        }
        self.begin(0);
    }

    /// What is said from now on is about the record at `input`; indexes may not fall. Needed only in
    /// [`crate::Transform::process_batch`].
    pub fn begin(&mut self, input: usize) {
        self.input = input;
        self.input_rows = self.row_inputs.len();
        self.input_headers = self.header_names.ends.len();
    }

    /// Passes the record on as it is, to the first output topic.
    pub fn keep(&mut self) {
        self.any_kept = true;
        self.keep[self.input / 8] |= 1 << (self.input % 8);
    }

    /// Passes the record on as it is, to the output topic of that index (from 0).
    pub fn keep_to(&mut self, topic: u8) {
        self.keep();
        self.any_routed |= topic != 0;
        self.keep_topics[self.input] = topic;
    }

    /// Passes the record on with another value, to the first output topic.
    pub fn value(&mut self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.value_with(|data| data.extend_from_slice(value));
    }

    /// As [`Self::value`], without a copy: `write` appends the value to a buffer that holds other values before it.
    pub fn value_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.values.data);
        self.values.end(false);
        self.keys.skip();
        self.finish_row(0, inherits::DEFAULT, 0);
    }

    /// Begins a record of any shape: key, value, headers and timestamp are the input's until they are set.
    pub fn row(&mut self) -> Row<'_> {
        // A row that was begun and not sent may have left headers.
        let headers = self.header_ends.last().map_or(0, |end| *end as usize);
        self.header_names.truncate(headers);
        self.header_values.truncate(headers);
        Row { out: self, topic: 0, inherits: inherits::DEFAULT | inherits::VALUE, timestamp: 0, key: None, value: None }
    }

    /// The record can't be processed, and why. What was said about it before is taken back.
    pub fn fail(&mut self, message: &str) {
        let bit = 1 << (self.input % 8);
        if self.failed[self.input / 8] & bit != 0 {
            return;
        }
        self.keep[self.input / 8] &= !bit;
        self.take_back_rows();
        self.failed[self.input / 8] |= bit;
        self.messages.extend_from_slice(message.as_bytes());
        self.message_ends.push(self.messages.len() as u32);
    }

    fn take_back_rows(&mut self) {
        let rows = self.input_rows;
        self.row_inputs.truncate(rows);
        self.row_topics.truncate(rows);
        self.row_inherits.truncate(rows);
        self.row_timestamps.truncate(rows);
        self.header_ends.truncate(rows);
        self.keys.truncate(rows);
        self.values.truncate(rows);
        self.header_names.truncate(self.input_headers);
        self.header_values.truncate(self.input_headers);
    }

    fn finish_row(&mut self, topic: u16, inherits: u8, timestamp: i64) {
        self.row_inputs.push(self.input as u32);
        self.row_topics.push(topic);
        self.row_inherits.push(inherits);
        self.row_timestamps.push(timestamp);
        self.header_ends.push(self.header_names.ends.len() as u32);
        self.any_topic |= topic != 0;
        self.any_inherits |= inherits != layout::inherits::DEFAULT;
        self.any_timestamp |= timestamp != 0;
    }

    /// The packed batch of everything said. The host's glue emits it.
    pub fn pack(&mut self) -> &[u8] {
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        packed.extend_from_slice(&layout::OUTPUT_MAGIC);
        packed.extend_from_slice(&layout::VERSION.to_le_bytes());
        packed.extend_from_slice(&(layout::OUTPUT_SECTIONS as u16).to_le_bytes());
        for count in [self.records, self.row_inputs.len(), self.header_names.ends.len(), self.message_ends.len()] {
            packed.extend_from_slice(&(count as u32).to_le_bytes());
        }
        packed.resize(layout::OUTPUT_HEADER + layout::OUTPUT_SECTIONS * 8, 0);
        self.pack_verdicts(&mut packed);
        self.pack_rows(&mut packed);
        self.packed = packed;
        &self.packed
    }

    fn pack_verdicts(&self, packed: &mut Vec<u8>) {
        bytes(packed, 0, self.any_kept, &self.keep);
        bytes(packed, 1, self.any_routed, &self.keep_topics);
        bytes(packed, 2, !self.message_ends.is_empty(), &self.failed);
        words(packed, 3, true, &self.message_ends);
        bytes(packed, 4, true, &self.messages);
    }

    fn pack_rows(&self, packed: &mut Vec<u8>) {
        words(packed, 5, true, &self.row_inputs);
        section(packed, 6, self.any_topic, |packed| {
            self.row_topics.iter().for_each(|topic| packed.extend_from_slice(&topic.to_le_bytes()))
        });
        bytes(packed, 7, self.any_inherits, &self.row_inherits);
        section(packed, 8, self.any_timestamp, |packed| {
            self.row_timestamps.iter().for_each(|time| packed.extend_from_slice(&time.to_le_bytes()));
        });
        for (first, column) in [(9, &self.keys), (12, &self.values)] {
            words(packed, first, column.any, &column.ends);
            bytes(packed, first + 1, true, &column.null_bitmap());
            bytes(packed, first + 2, true, &column.data);
        }
        words(packed, 15, !self.header_names.ends.is_empty(), &self.header_ends);
        words(packed, 16, true, &self.header_names.ends);
        bytes(packed, 17, true, &self.header_names.data);
        words(packed, 18, true, &self.header_values.ends);
        bytes(packed, 19, true, &self.header_values.null_bitmap());
        bytes(packed, 20, true, &self.header_values.data);
    }
}

/// Writes one section, aligned, and its place into the table; an unwanted one stays empty.
fn section(packed: &mut Vec<u8>, index: usize, wanted: bool, write: impl FnOnce(&mut Vec<u8>)) {
    let start = packed.len().next_multiple_of(8);
    packed.resize(start, 0);
    if wanted {
        write(packed);
    }
    let len = packed.len() - start;
    let at = layout::OUTPUT_HEADER + index * 8;
    packed[at..at + 4].copy_from_slice(&(start as u32).to_le_bytes());
    packed[at + 4..at + 8].copy_from_slice(&(len as u32).to_le_bytes());
}

fn bytes(packed: &mut Vec<u8>, index: usize, wanted: bool, content: &[u8]) {
    section(packed, index, wanted, |packed| packed.extend_from_slice(content));
}

fn words(packed: &mut Vec<u8>, index: usize, wanted: bool, content: &[u32]) {
    section(packed, index, wanted, |packed| {
        let start = packed.len();
        packed.resize(start + content.len() * 4, 0);
        packed[start..].chunks_exact_mut(4).zip(content).for_each(|(to, from)| to.copy_from_slice(&from.to_le_bytes()));
    });
}

/// A record on its way out. It is written by [`Row::send`].
#[must_use = "nothing is written until `send`"]
pub struct Row<'a> {
    out: &'a mut Output,
    topic: u16,
    inherits: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// Writes it to the output topic of that index, from 0.
    pub fn topic(mut self, topic: u16) -> Self {
        self.topic = topic;
        self
    }

    /// Gives it this key, or none.
    pub fn key(mut self, key: Option<&'a [u8]>) -> Self {
        self.inherits &= !inherits::KEY;
        self.key = key;
        self
    }

    /// Gives it this value, or none (a tombstone).
    pub fn value(mut self, value: Option<&'a [u8]>) -> Self {
        self.inherits &= !inherits::VALUE;
        self.value = value;
        self
    }

    /// Gives it this timestamp, in milliseconds since the Unix epoch.
    pub fn timestamp(mut self, timestamp: i64) -> Self {
        self.inherits &= !inherits::TIMESTAMP;
        self.timestamp = timestamp;
        self
    }

    /// Adds a header. The first one replaces all headers of the input.
    pub fn header(mut self, name: &str, value: Option<&[u8]>) -> Self {
        self.inherits &= !inherits::HEADERS;
        self.out.header_names.push(Some(name.as_bytes()));
        self.out.header_values.push(value);
        self
    }

    /// Takes the input's headers away.
    pub fn without_headers(mut self) -> Self {
        self.inherits &= !inherits::HEADERS;
        self
    }

    /// Writes it.
    pub fn send(self) {
        let Self { out, topic, inherits, timestamp, key, value } = self;
        for (column, bit, own) in [(&mut out.keys, inherits::KEY, key), (&mut out.values, inherits::VALUE, value)] {
            if inherits & bit == 0 {
                column.push(own);
            } else {
                column.skip();
            }
        }
        out.finish_row(topic, inherits, timestamp);
    }
}
