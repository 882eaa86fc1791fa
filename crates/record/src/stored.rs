//! The fields of keys and values in Kafka's own topics (`__consumer_offsets`, `__transaction_state`): how they are read and written.
//! Which fields there are is the caller's to know, and so is the error.
//!
//! ```text
//!              plain                        flexible
//! string       i16 length, bytes            varint length + 1, bytes      null: -1 or 0
//! bytes        i32 length, bytes            varint length + 1, bytes
//! array        i32 count, items             varint count + 1, items
//! end          -                            varint count, then (varint tag, varint size, bytes) for each tagged field
//! ```

use bytes::{BufMut, Bytes};

/// One record of such a topic; no value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its key.
    pub key: Bytes,
    /// Its value.
    pub value: Option<Bytes>,
}

impl StoredRecord {
    /// Bytes of key and value.
    #[must_use]
    pub fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// Why a key or value can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The field at which it can't.
    pub field: &'static str,
    /// What is wrong there.
    pub why: &'static str,
}

/// What is left to read of one key or value. Never trusts a length.
#[derive(Debug, Clone)]
pub struct StoredReader<'a> {
    rest: &'a [u8],
    is_flexible: bool,
}

impl<'a> StoredReader<'a> {
    /// A reader of fields that are not flexible.
    #[must_use]
    pub const fn plain(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_flexible: false }
    }

    /// A reader of flexible fields.
    #[must_use]
    pub const fn flexible(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_flexible: true }
    }

    /// Reads the version in front of a value: `0..=newest` is known, and flexible from `flexible_from` on.
    ///
    /// # Errors
    /// The version is cut, or not known.
    pub fn versioned(bytes: &'a [u8], newest: i16, flexible_from: i16) -> Result<(Self, i16), Malformed> {
        let mut reader = Self::plain(bytes);
        let version = reader.i16("value version")?;
        if !(0..=newest).contains(&version) {
            let why = "it is newer than this Millstream knows: start a newer one";
            return Err(Malformed { field: "value version", why });
        }
        reader.is_flexible = version >= flexible_from;
        Ok((reader, version))
    }

    /// The next `size` bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn take(&mut self, size: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(ended(field))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ended(field))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A byte.
    ///
    /// # Errors
    /// As [`Self::array`].
    pub fn i8(&mut self, field: &'static str) -> Result<i8, Malformed> {
        Ok(i8::from_be_bytes(self.array(field)?))
    }

    /// Two bytes.
    ///
    /// # Errors
    /// As [`Self::array`].
    pub fn i16(&mut self, field: &'static str) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array(field)?))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// As [`Self::array`].
    pub fn i32(&mut self, field: &'static str) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// As [`Self::array`].
    pub fn i64(&mut self, field: &'static str) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    fn varint(&mut self, field: &'static str) -> Result<usize, Malformed> {
        let mut number = 0usize;
        for shift in (0..35).step_by(7) {
            let byte = self.array::<1>(field)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed { field, why: "a number has more than 5 bytes" })
    }

    fn length(&mut self, is_wide: bool, field: &'static str) -> Result<Option<usize>, Malformed> {
        if self.is_flexible {
            return Ok(self.varint(field)?.checked_sub(1));
        }
        let length = if is_wide { self.i32(field)? } else { i32::from(self.i16(field)?) };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed { field, why: "a length is negative" }),
        }
    }

    /// A string, or null.
    ///
    /// # Errors
    /// It is cut, or not UTF-8.
    pub fn nullable(&mut self, field: &'static str) -> Result<Option<String>, Malformed> {
        let Some(length) = self.length(false, field)? else { return Ok(None) };
        let text = std::str::from_utf8(self.take(length, field)?);
        Ok(Some(text.map_err(|_| Malformed { field, why: "it is not UTF-8" })?.to_owned()))
    }

    /// A string.
    ///
    /// # Errors
    /// As [`Self::nullable`], or it is null.
    pub fn string(&mut self, field: &'static str) -> Result<String, Malformed> {
        self.nullable(field)?.ok_or(null(field))
    }

    /// A string of bytes.
    ///
    /// # Errors
    /// It is cut, or null.
    pub fn bytes(&mut self, field: &'static str) -> Result<Bytes, Malformed> {
        let length = self.length(true, field)?.ok_or(null(field))?;
        Ok(Bytes::copy_from_slice(self.take(length, field)?))
    }

    /// How many items an array has; none where it is null.
    ///
    /// # Errors
    /// The count is cut or negative.
    pub fn count_or_null(&mut self, field: &'static str) -> Result<Option<usize>, Malformed> {
        self.length(true, field)
    }

    /// How many items an array has.
    ///
    /// # Errors
    /// As [`Self::count_or_null`], or it is null.
    pub fn count(&mut self, field: &'static str) -> Result<usize, Malformed> {
        self.count_or_null(field)?.ok_or(null(field))
    }

    /// The items of an array.
    ///
    /// # Errors
    /// As [`Self::count`], and as `item`.
    pub fn each<T>(
        &mut self,
        field: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.count(field)?;
        // The count is not trusted with memory: items that are not there end the loop.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// The tagged fields at the end, where it is flexible.
    ///
    /// # Errors
    /// They are cut; or as `see`.
    pub fn each_tag(
        &mut self,
        mut see: impl FnMut(usize, StoredReader<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.varint("tagged fields")? {
            let (tag, size) = (self.varint("tag")?, self.varint("tag size")?);
            see(tag, StoredReader::flexible(self.take(size, "tagged field")?))?;
        }
        Ok(())
    }

    /// Passes over the tagged fields at the end.
    ///
    /// # Errors
    /// They are cut.
    pub fn skip_tags(&mut self) -> Result<(), Malformed> {
        self.each_tag(|_, _| Ok(()))
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

const fn ended(field: &'static str) -> Malformed {
    Malformed { field, why: "the record ends early" }
}

const fn null(field: &'static str) -> Malformed {
    Malformed { field, why: "it is null" }
}

/// Writes one key or value. What is too long for its length field is not written: then there is no record.
#[derive(Debug)]
pub struct StoredWriter {
    out: Vec<u8>,
    is_flexible: bool,
    is_too_long: bool,
}

impl StoredWriter {
    /// A writer of fields that are not flexible, of a key or value of this version.
    #[must_use]
    pub fn plain(version: i16) -> Self {
        Self::new(version, false)
    }

    /// A writer of flexible fields, of a value of this version.
    #[must_use]
    pub fn flexible(version: i16) -> Self {
        Self::new(version, true)
    }

    /// A writer of the content of a tagged field: flexible, and without a version.
    #[must_use]
    pub const fn field() -> Self {
        Self { out: Vec::new(), is_flexible: true, is_too_long: false }
    }

    fn new(version: i16, is_flexible: bool) -> Self {
        let mut out = Vec::with_capacity(64);
        out.put_i16(version);
        Self { out, is_flexible, is_too_long: false }
    }

    /// What was written; none where some string is longer than the layout can hold.
    #[must_use]
    pub fn finish(self) -> Option<Bytes> {
        (!self.is_too_long).then(|| self.out.into())
    }

    /// A byte.
    pub fn i8(&mut self, number: i8) {
        self.out.put_i8(number);
    }

    /// Two bytes.
    pub fn i16(&mut self, number: i16) {
        self.out.put_i16(number);
    }

    /// Four bytes.
    pub fn i32(&mut self, number: i32) {
        self.out.put_i32(number);
    }

    /// Eight bytes.
    pub fn i64(&mut self, number: i64) {
        self.out.put_i64(number);
    }

    /// Bytes without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    fn varint(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.out.put_u8((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.out.put_u8(number as u8);
    }

    /// A string; one of more than 32,767 bytes fits into no version of Kafka's layouts.
    pub fn string(&mut self, text: &str) {
        match i16::try_from(text.len()) {
            Err(_) => self.is_too_long = true,
            Ok(_) if self.is_flexible => self.varint(text.len() + 1),
            Ok(length) => self.out.put_i16(length),
        }
        self.out.put_slice(text.as_bytes());
    }

    /// A string, or null.
    pub fn nullable(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None if self.is_flexible => self.varint(0),
            None => self.out.put_i16(-1),
        }
    }

    /// A string of bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.out.put_slice(bytes);
    }

    /// How many items an array has.
    pub fn count(&mut self, count: usize) {
        match i32::try_from(count) {
            Err(_) => self.is_too_long = true,
            Ok(_) if self.is_flexible => self.varint(count + 1),
            Ok(count) => self.out.put_i32(count),
        }
    }

    /// An array that is null.
    pub fn null_array(&mut self) {
        if self.is_flexible { self.varint(0) } else { self.out.put_i32(-1) }
    }

    /// An array.
    pub fn each<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.count(items.len());
        for one in items {
            item(self, one);
        }
    }

    /// The tagged fields at the end, in the order of their tags.
    pub fn tags(&mut self, fields: &[(usize, &[u8])]) {
        self.varint(fields.len());
        for (tag, content) in fields {
            self.varint(*tag);
            self.varint(content.len());
            self.out.put_slice(content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(is_flexible: bool, text: &str, bytes: &[u8], numbers: &[i32]) -> Bytes {
        let mut writer = if is_flexible { StoredWriter::flexible(3) } else { StoredWriter::plain(3) };
        writer.string(text);
        writer.nullable(None);
        writer.bytes(bytes);
        writer.each(numbers.iter(), |writer, number| writer.i32(*number));
        if is_flexible {
            writer.tags(&[(7, bytes)]);
        }
        writer.finish().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(is_flexible: bool, text in ".{0,300}", bytes: Vec<u8>, numbers: Vec<i32>) {
            let stored = written(is_flexible, &text, &bytes, &numbers);
            let flexible_from = if is_flexible { 3 } else { 4 };
            let (mut reader, version) = StoredReader::versioned(&stored, 3, flexible_from).unwrap();
            prop_assert_eq!(version, 3);
            prop_assert_eq!(reader.string("text").unwrap(), text);
            prop_assert_eq!(reader.nullable("null").unwrap(), None);
            prop_assert_eq!(reader.bytes("bytes").unwrap(), bytes.clone());
            prop_assert_eq!(reader.each("numbers", |reader| reader.i32("number")).unwrap(), numbers);
            let mut seen = Vec::new();
            reader.each_tag(|tag, mut field| { seen.push((tag, field.take(bytes.len(), "field")?.to_vec())); Ok(()) }).unwrap();
            prop_assert_eq!(seen, if is_flexible { vec![(7, bytes)] } else { Vec::new() });
            prop_assert!(reader.is_at_end());
        }
    }

    #[test]
    fn a_string_longer_than_its_length_field_makes_no_record() {
        for mut writer in [StoredWriter::plain(0), StoredWriter::flexible(0)] {
            writer.string(&"x".repeat(32_768));
            assert_eq!(writer.finish(), None);
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_names_its_field() {
        let (mut reader, _) = StoredReader::versioned(&[0, 0, 0x7f, 0xff], 0, 1).unwrap();
        assert_eq!(reader.string("name"), Err(Malformed { field: "name", why: "the record ends early" }));
        let (mut reader, _) = StoredReader::versioned(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0, 0).unwrap();
        assert!(reader.count("items").is_err());
    }
}
