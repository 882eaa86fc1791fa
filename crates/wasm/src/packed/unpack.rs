//! One packed output batch, checked whole before any of it is used: a guest may have written anything.

use super::{KEYS_LATIN1, OUTPUT_HEADER, OUTPUT_MAGIC, OUTPUT_SECTIONS, VALUES_LATIN1, VERSION, inherits};
use std::borrow::Cow;

/// Why bytes are not an output batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Too short for a header, or another beginning.
    #[error("it does not begin with \"MSOB\" and a table of {OUTPUT_SECTIONS} sections")]
    Header,
    /// Of a version that this host does not read.
    #[error(
        "it is of version {found} with {sections} sections; this host reads version {VERSION} with {OUTPUT_SECTIONS}"
    )]
    Version {
        /// The version it says.
        found: u16,
        /// The sections it says.
        sections: u16,
    },
    /// About another number of inputs.
    #[error("it answers {found} records; the input has {expected}")]
    Inputs {
        /// The number it says.
        found: u32,
        /// The input's.
        expected: usize,
    },
    /// A section beyond the batch's end.
    #[error("section {section} at {position} of {len} bytes passes the batch's end at {end}")]
    Range {
        /// Which.
        section: usize,
        /// Where it says it begins.
        position: u32,
        /// How long it says it is.
        len: u32,
        /// The batch's length.
        end: usize,
    },
    /// A section of another length than its counts say.
    #[error("section {section} has {found} bytes; its count asks for {expected}")]
    Length {
        /// Which.
        section: usize,
        /// Its length.
        found: usize,
        /// What it should be.
        expected: usize,
    },
    /// Ends that fall, or pass their data.
    #[error("the ends in section {section} fall or do not close with their data's {data} bytes")]
    Ends {
        /// Which.
        section: usize,
        /// Bytes of data.
        data: usize,
    },
    /// Bits set beyond the bitmap's elements, or another number of failed bits than of messages.
    #[error("the bitmap in section {section} does not fit its count")]
    Bitmap {
        /// Which.
        section: usize,
    },
    /// A header name that is not UTF-8.
    #[error("a header's name is not UTF-8")]
    HeaderName,
    /// Inherited parts that do not exist.
    #[error("row {row} inherits parts {bits:#x}; there are only {:#x}", inherits::ALL)]
    Inherits {
        /// Which row.
        row: usize,
        /// Its bits.
        bits: u8,
    },
}

/// A checked column of the batch.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    ends: &'a [u8],
    nulls: &'a [u8],
    data: &'a [u8],
    /// Whether it is Latin-1 with something beyond ASCII in it.
    latin1: bool,
}

impl<'a> View<'a> {
    /// The value at `index` as it is to be written.
    #[inline]
    pub fn written(&self, index: usize) -> Option<Cow<'a, [u8]>> {
        let value = self.get(index)?;
        if !self.latin1 {
            return Some(Cow::Borrowed(value));
        }
        let text: String = value.iter().map(|byte| char::from(*byte)).collect();
        Some(Cow::Owned(text.into_bytes()))
    }

    /// The value at `index`; empty where the column is absent.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        if self.ends.is_empty() {
            return Some(&[]);
        }
        if bit(self.nulls, index) {
            return None;
        }
        let start = if index == 0 { 0 } else { word(self.ends, index - 1) as usize };
        self.data.get(start..word(self.ends, index) as usize)
    }
}

/// A checked output batch.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    pub(super) keep: &'a [u8],
    keep_topics: &'a [u8],
    pub(super) failed: &'a [u8],
    messages: View<'a>,
    pub(super) rows: usize,
    row_inputs: &'a [u8],
    row_topics: &'a [u8],
    row_inherits: &'a [u8],
    row_timestamps: &'a [u8],
    pub(super) keys: View<'a>,
    pub(super) values: View<'a>,
    header_ends: &'a [u8],
    header_names: View<'a>,
    header_values: View<'a>,
}

struct Counts {
    inputs: usize,
    rows: usize,
    headers: usize,
    failed: usize,
}

impl<'a> Chunk<'a> {
    /// Reads and checks an output batch that answers `inputs` records.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(bytes: &'a [u8], inputs: usize) -> Result<Self, Malformed> {
        let table = OUTPUT_HEADER + OUTPUT_SECTIONS * 8;
        if bytes.len() < 8 || bytes[..4] != OUTPUT_MAGIC {
            return Err(Malformed::Header);
        }
        let (found, sections) = (u16::from_le_bytes([bytes[4], bytes[5]]), u16::from_le_bytes([bytes[6], bytes[7]]));
        if found != VERSION || usize::from(sections) != OUTPUT_SECTIONS {
            return Err(Malformed::Version { found, sections });
        }
        if bytes.len() < table {
            return Err(Malformed::Header);
        }
        let count = |at: usize| word(bytes, at / 4);
        if count(8) as usize != inputs {
            return Err(Malformed::Inputs { found: count(8), expected: inputs });
        }
        let counts =
            Counts { inputs, rows: count(12) as usize, headers: count(16) as usize, failed: count(20) as usize };
        Sections { bytes, at: 0 }.chunk(&counts)
    }

    /// The output topic of a kept input.
    #[inline]
    pub fn keep_topic(&self, input: usize) -> u8 {
        self.keep_topics.get(input).copied().unwrap_or(0)
    }

    /// Why the failed input of that rank failed.
    pub fn message(&self, rank: usize) -> String {
        String::from_utf8_lossy(self.messages.get(rank).unwrap_or_default()).into_owned()
    }

    /// Which input a row came from.
    #[inline]
    pub fn row_input(&self, row: usize) -> u32 {
        word(self.row_inputs, row)
    }

    /// A row's output topic.
    #[inline]
    pub fn row_topic(&self, row: usize) -> u16 {
        self.row_topics.get(row * 2..row * 2 + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
    }

    /// Which parts of a row are its input's.
    #[inline]
    pub fn row_inherits(&self, row: usize) -> u8 {
        self.row_inherits.get(row).copied().unwrap_or(inherits::DEFAULT)
    }

    /// A row's own timestamp.
    pub fn row_timestamp(&self, row: usize) -> i64 {
        let mut long = [0; 8];
        match self.row_timestamps.get(row * 8..row * 8 + 8) {
            Some(bytes) => long.copy_from_slice(bytes),
            None => return 0,
        }
        i64::from_le_bytes(long)
    }

    /// A row's own headers.
    pub fn row_headers(&self, row: usize) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let (start, end) = if self.header_ends.is_empty() {
            (0, 0)
        } else {
            (if row == 0 { 0 } else { word(self.header_ends, row - 1) as usize }, word(self.header_ends, row) as usize)
        };
        let (names, values) = (self.header_names, self.header_values);
        (start..end)
            .map(move |at| (std::str::from_utf8(names.get(at).unwrap_or_default()).unwrap_or_default(), values.get(at)))
    }
}

/// Walks the table of sections in order.
struct Sections<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Sections<'a> {
    fn chunk(mut self, counts: &Counts) -> Result<Chunk<'a>, Malformed> {
        let keep = self.bitmap(counts.inputs)?;
        let keep_topics = self.exact(counts.inputs, true)?;
        let failed = self.bitmap(counts.inputs)?;
        if ones(failed) != counts.failed {
            return Err(Malformed::Bitmap { section: self.at - 1 });
        }
        let messages = self.messages(counts.failed)?;
        let row_inputs = self.exact(counts.rows.saturating_mul(4), false)?;
        let row_topics = self.exact(counts.rows.saturating_mul(2), true)?;
        let row_inherits = self.exact(counts.rows, true)?;
        if let Some(row) = row_inherits.iter().position(|bits| bits & !inherits::ALL != 0) {
            return Err(Malformed::Inherits { row, bits: row_inherits[row] });
        }
        let row_timestamps = self.exact(counts.rows.saturating_mul(8), true)?;
        let flags = word(self.bytes, 24 / 4);
        let keys = self.text(counts.rows, flags & KEYS_LATIN1 != 0)?;
        let values = self.text(counts.rows, flags & VALUES_LATIN1 != 0)?;
        let header_ends = self.header_ends(counts)?;
        let header_names = self.header_names(counts.headers)?;
        let header_values = self.column(counts.headers, false)?;
        Ok(Chunk {
            keep,
            keep_topics,
            failed,
            messages,
            rows: counts.rows,
            row_inputs,
            row_topics,
            row_inherits,
            row_timestamps,
            keys,
            values,
            header_ends,
            header_names,
            header_values,
        })
    }

    fn next(&mut self) -> Result<&'a [u8], Malformed> {
        let (bytes, section) = (self.bytes, self.at);
        let at = OUTPUT_HEADER / 4 + section * 2;
        let (position, len) = (word(bytes, at), word(bytes, at + 1));
        self.at += 1;
        let start = position as usize;
        let end = start.saturating_add(len as usize);
        bytes.get(start..end).ok_or(Malformed::Range { section, position, len, end: bytes.len() })
    }

    /// A section of exactly that length, or, where it may, none.
    fn exact(&mut self, expected: usize, may_be_empty: bool) -> Result<&'a [u8], Malformed> {
        let section = self.at;
        let found = self.next()?;
        if found.len() == expected || (found.is_empty() && may_be_empty) {
            return Ok(found);
        }
        Err(Malformed::Length { section, found: found.len(), expected })
    }

    fn bitmap(&mut self, elements: usize) -> Result<&'a [u8], Malformed> {
        let section = self.at;
        let bitmap = self.exact(elements.div_ceil(8), true)?;
        let spare = elements % 8;
        if spare != 0 && bitmap.last().is_some_and(|last| last >> spare != 0) {
            return Err(Malformed::Bitmap { section });
        }
        Ok(bitmap)
    }

    fn column(&mut self, elements: usize, may_be_absent: bool) -> Result<View<'a>, Malformed> {
        let section = self.at;
        let ends = self.exact(elements.saturating_mul(4), may_be_absent)?;
        let nulls = self.bitmap(elements)?;
        let data = self.next()?;
        check_ends(ends, data.len(), section)?;
        Ok(View { ends, nulls, data, latin1: false })
    }

    fn text(&mut self, rows: usize, latin1: bool) -> Result<View<'a>, Malformed> {
        let column = self.column(rows, true)?;
        Ok(View { latin1: latin1 && !column.data.is_ascii(), ..column })
    }

    fn messages(&mut self, failed: usize) -> Result<View<'a>, Malformed> {
        let section = self.at;
        let ends = self.exact(failed.saturating_mul(4), false)?;
        let data = self.next()?;
        check_ends(ends, data.len(), section)?;
        Ok(View { ends, nulls: &[], data, latin1: false })
    }

    fn header_ends(&mut self, counts: &Counts) -> Result<&'a [u8], Malformed> {
        let section = self.at;
        let ends = self.exact(counts.rows.saturating_mul(4), counts.headers == 0)?;
        check_ends(ends, counts.headers, section)?;
        Ok(ends)
    }

    fn header_names(&mut self, headers: usize) -> Result<View<'a>, Malformed> {
        let section = self.at;
        let ends = self.exact(headers.saturating_mul(4), false)?;
        let data = self.next()?;
        check_ends(ends, data.len(), section)?;
        let names = View { ends, nulls: &[], data, latin1: false };
        let all_text = (0..headers).all(|at| names.get(at).is_some_and(|name| std::str::from_utf8(name).is_ok()));
        if all_text { Ok(names) } else { Err(Malformed::HeaderName) }
    }
}

/// Ends never fall and close exactly with what they cut; where there are none there is nothing to cut.
fn check_ends(ends: &[u8], data: usize, section: usize) -> Result<(), Malformed> {
    let mut last = 0;
    for end in ends.chunks_exact(4) {
        let end = u32::from_le_bytes([end[0], end[1], end[2], end[3]]);
        if end < last {
            return Err(Malformed::Ends { section, data });
        }
        last = end;
    }
    if last as usize == data { Ok(()) } else { Err(Malformed::Ends { section, data }) }
}

#[inline]
fn word(bytes: &[u8], index: usize) -> u32 {
    bytes.get(index * 4..index * 4 + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

#[inline]
fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

fn ones(bitmap: &[u8]) -> usize {
    bitmap.iter().map(|byte| byte.count_ones() as usize).sum()
}
