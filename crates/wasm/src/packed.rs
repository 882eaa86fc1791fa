//! The packed batch: how records cross to a guest and come back. The layout is drawn in `wit/transform-1.0.0/transform.wit` and told in
//! `docs/packed-batch.md`. Sent: never renumber.

mod assemble;
mod pack;
mod unpack;

pub use assemble::{Assembler, Nonsense, OUTPUTS_MAX, cut};
pub use pack::pack;
pub use unpack::{Chunk, Malformed};

/// What an input batch begins with.
const INPUT_MAGIC: [u8; 4] = *b"MSIB";
/// What an output batch begins with.
const OUTPUT_MAGIC: [u8; 4] = *b"MSOB";
/// The layout's version.
const VERSION: u16 = 1;
/// Bytes before the input's table of sections.
const INPUT_HEADER: usize = 24;
/// Flag: every byte of every key is ASCII, so that text needs no decoding.
const KEYS_ASCII: u32 = 1;
/// Flag: the same of values.
const VALUES_ASCII: u32 = 2;
/// Sections of an input batch; the last is reserved for keyed state.
const INPUT_SECTIONS: usize = 15;
/// Bytes before the output's table of sections.
const OUTPUT_HEADER: usize = 32;
/// Flag: the rows' own keys are Latin-1 text, which the host makes UTF-8.
const KEYS_LATIN1: u32 = 1;
/// Flag: the same of values.
const VALUES_LATIN1: u32 = 2;
/// Sections of an output batch.
const OUTPUT_SECTIONS: usize = 21;

/// Parts of a row that are its input's.
mod inherits {
    pub const KEY: u8 = 1;
    pub const VALUE: u8 = 2;
    pub const HEADERS: u8 = 4;
    pub const TIMESTAMP: u8 = 8;
    pub const ALL: u8 = KEY | VALUE | HEADERS | TIMESTAMP;
    /// What an absent section means: only the value is new.
    pub const DEFAULT: u8 = KEY | HEADERS | TIMESTAMP;
}
