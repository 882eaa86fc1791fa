//! Many records as columns: what tasks, connectors, guests and SQL share. There is no struct per record.
//!
//! ```text
//! BinaryColumn of 3 values "ab", null, "c":     ends [2, 2, 3]   data "abc"   nulls [false, true, false] or absent when none is null
//! HeaderColumn of 2 records:                    ends [2, 3]      names and values: one entry a header, in order, duplicates kept
//! ```

/// A column of byte strings, some of which may be null: one buffer and where each value ends in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BinaryColumn {
    ends: Vec<u32>,
    nulls: Option<Vec<bool>>,
    data: Vec<u8>,
}

impl BinaryColumn {
    /// An empty column.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty column with room for `values` values of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(values: usize, bytes: usize) -> Self {
        Self { ends: Vec::with_capacity(values), nulls: None, data: Vec::with_capacity(bytes) }
    }

    /// Adds a value. A column holds at most 4 GiB: callers bound their batches far below.
    pub fn push(&mut self, value: Option<&[u8]>) {
        if value.is_none() && self.nulls.is_none() {
            self.nulls = Some(vec![false; self.ends.len()]);
        }
        if let Some(nulls) = &mut self.nulls {
            nulls.push(value.is_none());
        }
        self.data.extend_from_slice(value.unwrap_or_default());
        self.ends.push(u32::try_from(self.data.len()).unwrap_or(u32::MAX));
    }

    /// The value at `index`; none when it is null or there is no such index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.get(index).copied().unwrap_or(true)) {
            return None;
        }
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.data.get(start..end)
    }

    /// How many values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The values, in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Where each value ends in [`Self::data`].
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Which values are null; absent when none is.
    #[must_use]
    pub fn nulls(&self) -> Option<&[bool]> {
        self.nulls.as_deref()
    }

    /// All values' bytes, one after another.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl<'a> FromIterator<Option<&'a [u8]>> for BinaryColumn {
    fn from_iter<I: IntoIterator<Item = Option<&'a [u8]>>>(values: I) -> Self {
        let mut column = Self::new();
        values.into_iter().for_each(|value| column.push(value));
        column
    }
}

/// The headers of many records: for each record where its headers end among all names and values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderColumn {
    ends: Vec<u32>,
    names: BinaryColumn,
    values: BinaryColumn,
}

impl HeaderColumn {
    /// Adds one record's headers, in order.
    pub fn push<'a>(&mut self, headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) {
        for (name, value) in headers {
            self.names.push(Some(name.as_bytes()));
            self.values.push(value);
        }
        self.ends.push(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
    }

    /// Adds one record's headers as a batch has them, where names may be any bytes: those that are not UTF-8 get replacement characters.
    pub(crate) fn push_raw<'a>(&mut self, headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) {
        for (name, value) in headers {
            match std::str::from_utf8(name) {
                Ok(_) => self.names.push(Some(name)),
                Err(_) => self.names.push(Some(String::from_utf8_lossy(name).as_bytes())),
            }
            self.values.push(value);
        }
        self.ends.push(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
    }

    /// The headers of the record at `index`, in order.
    pub fn get(&self, index: usize) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.slice(index)
    }

    pub(crate) fn slice(&self, index: usize) -> impl Iterator<Item = (&str, Option<&[u8]>)> + Clone {
        let end = self.ends.get(index).map_or(0, |end| *end as usize);
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        (start.min(end)..end)
            .map(|at| (std::str::from_utf8(self.names.get(at).unwrap_or_default()).unwrap_or(""), self.values.get(at)))
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Where each record's headers end among [`Self::names`] and [`Self::values`].
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// All headers' names, in order of record.
    #[must_use]
    pub fn names(&self) -> &BinaryColumn {
        &self.names
    }

    /// All headers' values, in order of record.
    #[must_use]
    pub fn values(&self) -> &BinaryColumn {
        &self.values
    }

    /// How many headers in all.
    #[must_use]
    pub fn header_count(&self) -> usize {
        self.names.len()
    }
}

/// Records of one partition in offset order, as columns of equal length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Each record's offset. For records that are to be appended: 0, 1, 2 and so on.
    pub offsets: Vec<i64>,
    /// Each record's timestamp, in milliseconds since the Unix epoch.
    pub timestamps: Vec<i64>,
    /// Keys.
    pub keys: BinaryColumn,
    /// Values; null is a tombstone.
    pub values: BinaryColumn,
    /// Headers.
    pub headers: HeaderColumn,
}

impl Columns {
    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Adds a record without an offset of its own: it gets the next number from 0.
    pub fn push<'a>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) {
        self.offsets.push(i64::try_from(self.offsets.len()).unwrap_or(i64::MAX));
        self.timestamps.push(timestamp);
        self.keys.push(key);
        self.values.push(value);
        self.headers.push(headers);
    }

    /// Adds a copy of the record at `index` of `other`, under its own offset.
    pub fn push_from(&mut self, other: &Self, index: usize) {
        self.offsets.push(other.offsets[index]);
        self.timestamps.push(other.timestamps[index]);
        self.keys.push(other.keys.get(index));
        self.values.push(other.values.get(index));
        self.headers.push(other.headers.get(index));
    }

    /// Bytes of keys, values and headers: what a limit on a batch counts.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.keys.data.len() + self.values.data.len() + self.headers.names.data.len() + self.headers.values.data.len()
    }
}
