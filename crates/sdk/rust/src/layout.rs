//! The numbers of the packed batch, as `wit/transform-1.0.0/transform.wit` draws it. Sent: never renumber.

/// What an input batch begins with.
pub const INPUT_MAGIC: [u8; 4] = *b"MSIB";
/// What an output batch begins with.
pub const OUTPUT_MAGIC: [u8; 4] = *b"MSOB";
/// The layout's version.
pub const VERSION: u16 = 1;

/// Bytes before the input's table of sections.
pub const INPUT_HEADER: usize = 24;
/// Bytes before the output's table of sections.
pub const OUTPUT_HEADER: usize = 32;

/// Sections of an input batch.
pub mod input {
    pub const OFFSETS: usize = 0;
    pub const TIMESTAMPS: usize = 1;
    pub const KEYS: usize = 2;
    pub const VALUES: usize = 5;
    pub const HEADER_ENDS: usize = 8;
    pub const HEADER_NAMES: usize = 9;
    pub const HEADER_VALUES: usize = 11;
    pub const COUNT: usize = 15;
}

/// How many sections an output batch has.
pub const OUTPUT_SECTIONS: usize = 21;

/// Parts of a row that are its input's.
pub mod inherits {
    pub const KEY: u8 = 1;
    pub const VALUE: u8 = 2;
    pub const HEADERS: u8 = 4;
    pub const TIMESTAMP: u8 = 8;
    /// What an absent section means: only the value is new.
    pub const DEFAULT: u8 = KEY | HEADERS | TIMESTAMP;
}

/// The number at `index` of packed 32-bit numbers.
#[inline]
pub fn u32_at(bytes: &[u8], index: usize) -> u32 {
    let at = index * 4;
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The number at `index` of packed 64-bit numbers.
#[inline]
pub fn i64_at(bytes: &[u8], index: usize) -> i64 {
    let at = index * 8;
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    i64::from_le_bytes(word)
}

/// Whether bit `index` is set; an empty bitmap has none.
#[inline]
pub fn bit_at(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}
