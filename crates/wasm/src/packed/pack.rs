//! Records to the packed input batch.

use super::{INPUT_HEADER, INPUT_MAGIC, INPUT_SECTIONS, KEYS_ASCII, VALUES_ASCII, VERSION};
use millstream_record::{BinaryColumn, Columns};

/// Packs records into `to`, replacing what it holds. One copy of each column; no allocation once `to` has grown.
///
/// False when the batch does not fit the layout's 32-bit positions; callers bound their batches far below.
#[must_use]
pub fn pack(records: &Columns, to: &mut Vec<u8>) -> bool {
    let headers = records.headers.header_count();
    to.clear();
    to.extend_from_slice(&INPUT_MAGIC);
    to.extend_from_slice(&VERSION.to_le_bytes());
    to.extend_from_slice(&u16::try_from(INPUT_SECTIONS).unwrap_or(u16::MAX).to_le_bytes());
    for count in [records.len(), headers] {
        let Ok(count) = u32::try_from(count) else { return false };
        to.extend_from_slice(&count.to_le_bytes());
    }
    let keys = if records.keys.data().is_ascii() { KEYS_ASCII } else { 0 };
    let values = if records.values.data().is_ascii() { VALUES_ASCII } else { 0 };
    to.extend_from_slice(&(keys | values).to_le_bytes());
    to.resize(INPUT_HEADER + INPUT_SECTIONS * 8, 0);
    let mut packer = Packer { to, section: 0 };
    packer.longs(&records.offsets);
    packer.longs(&records.timestamps);
    packer.column(&records.keys);
    packer.column(&records.values);
    packer.words(if headers == 0 { &[] } else { records.headers.ends() });
    packer.words(records.headers.names().ends());
    packer.bytes(records.headers.names().data());
    packer.column(records.headers.values());
    packer.bytes(&[]);
    u32::try_from(packer.to.len()).is_ok()
}

struct Packer<'a> {
    to: &'a mut Vec<u8>,
    section: usize,
}

impl Packer<'_> {
    /// Adds the next section: `len` bytes, written by `write`.
    fn section(&mut self, len: usize, write: impl FnOnce(&mut [u8])) {
        let start = self.to.len().next_multiple_of(8);
        self.to.resize(start + len, 0);
        write(&mut self.to[start..]);
        let at = INPUT_HEADER + self.section * 8;
        for (at, number) in [(at, start), (at + 4, len)] {
            // A batch past 4 GiB is refused by `pack` as a whole.
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            self.to[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        self.section += 1;
    }

    fn bytes(&mut self, content: &[u8]) {
        self.section(content.len(), |to| to.copy_from_slice(content));
    }

    fn words(&mut self, content: &[u32]) {
        self.section(content.len() * 4, |to| {
            to.chunks_exact_mut(4).zip(content).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        });
    }

    fn longs(&mut self, content: &[i64]) {
        self.section(content.len() * 8, |to| {
            to.chunks_exact_mut(8).zip(content).for_each(|(to, long)| to.copy_from_slice(&long.to_le_bytes()));
        });
    }

    fn column(&mut self, column: &BinaryColumn) {
        self.words(column.ends());
        let nulls = column.nulls().filter(|nulls| nulls.contains(&true)).unwrap_or_default();
        self.section(nulls.len().div_ceil(8), |to| {
            for (index, null) in nulls.iter().enumerate() {
                to[index / 8] |= u8::from(*null) << (index % 8);
            }
        });
        self.bytes(column.data());
    }
}
