//! The input: one packed batch, read in place.

use crate::layout::{self, bit_at, i64_at, input, u32_at};

/// A column of byte strings within the batch.
#[derive(Clone, Copy)]
struct Column<'a> {
    ends: &'a [u8],
    nulls: &'a [u8],
    data: &'a [u8],
}

impl<'a> Column<'a> {
    #[inline]
    fn get(&self, index: usize) -> Option<&'a [u8]> {
        if bit_at(self.nulls, index) {
            return None;
        }
        let start = if index == 0 { 0 } else { u32_at(self.ends, index - 1) as usize };
        Some(&self.data[start..u32_at(self.ends, index) as usize])
    }
}

/// The records of one call, in order of offset.
pub struct Batch<'a> {
    len: usize,
    offsets: &'a [u8],
    timestamps: &'a [u8],
    keys: Column<'a>,
    values: Column<'a>,
    header_ends: &'a [u8],
    header_names: Column<'a>,
    header_values: Column<'a>,
}

impl<'a> Batch<'a> {
    /// Reads the packed batch that the host passed.
    ///
    /// # Errors
    /// When it is not one, or of a version that this SDK does not know.
    pub fn unpack(packed: &'a [u8]) -> Result<Self, String> {
        if packed.len() < layout::INPUT_HEADER || packed[..4] != layout::INPUT_MAGIC {
            return Err("the host did not pass a packed batch".into());
        }
        let version = u16::from_le_bytes([packed[4], packed[5]]);
        let sections = usize::from(u16::from_le_bytes([packed[6], packed[7]]));
        if version != layout::VERSION || sections < input::COUNT {
            return Err(format!(
                "the host passed a packed batch of version {version} with {sections} sections; this SDK reads version {}",
                layout::VERSION
            ));
        }
        let section = |index: usize| {
            let at = layout::INPUT_HEADER / 4 + index * 2;
            let start = u32_at(packed, at) as usize;
            &packed[start..start + u32_at(packed, at + 1) as usize]
        };
        let column =
            |first: usize| Column { ends: section(first), nulls: section(first + 1), data: section(first + 2) };
        let names = Column { ends: section(input::HEADER_NAMES), nulls: &[], data: section(input::HEADER_NAMES + 1) };
        Ok(Self {
            len: u32_at(packed, 2) as usize,
            offsets: section(input::OFFSETS),
            timestamps: section(input::TIMESTAMPS),
            keys: column(input::KEYS),
            values: column(input::VALUES),
            header_ends: section(input::HEADER_ENDS),
            header_names: names,
            header_values: column(input::HEADER_VALUES),
        })
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The record at `index`, which must be below [`Self::len`].
    #[inline]
    #[must_use]
    pub fn record(&self, index: usize) -> Record<'_> {
        Record { batch: self, index }
    }

    /// The records, in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.len).map(|index| self.record(index))
    }
}

/// One record of a batch.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    batch: &'a Batch<'a>,
    index: usize,
}

impl<'a> Record<'a> {
    /// Its place in the batch.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its offset in its partition.
    #[must_use]
    pub fn offset(&self) -> i64 {
        i64_at(self.batch.offsets, self.index)
    }

    /// Its timestamp, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        i64_at(self.batch.timestamps, self.index)
    }

    /// Its key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.batch.keys.get(self.index)
    }

    /// Its value; none for a tombstone.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.batch.values.get(self.index)
    }

    /// Its value as text.
    ///
    /// # Errors
    /// When there is no value or it is not UTF-8.
    pub fn text(&self) -> Result<&'a str, String> {
        let value = self.value().ok_or("the record has no value")?;
        std::str::from_utf8(value).map_err(|error| format!("the value is not UTF-8 after byte {}", error.valid_up_to()))
    }

    /// Its headers, in order; names may come twice.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        let ends = self.batch.header_ends;
        if ends.is_empty() {
            return Headers { batch: self.batch, next: 0, end: 0 };
        }
        let next = if self.index == 0 { 0 } else { u32_at(ends, self.index - 1) as usize };
        Headers { batch: self.batch, next, end: u32_at(ends, self.index) as usize }
    }

    /// The value of the last header of that name, as Kafka's clients answer it; none when there is no such header or it is null.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().filter(|(other, _)| *other == name).last().and_then(|(_, value)| value)
    }
}

/// A record's headers, in order.
pub struct Headers<'a> {
    batch: &'a Batch<'a>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let at = self.next;
        self.next += 1;
        let name = self.batch.header_names.get(at).unwrap_or_default();
        Some((std::str::from_utf8(name).unwrap_or_default(), self.batch.header_values.get(at)))
    }
}
