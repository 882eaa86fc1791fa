//! Any bytes as records of the metadata log: read or refused, and what is read is written as something that reads the same.
//!
//! Run from `crates/metadata` with `cargo +nightly fuzz run record`; the golden texts of `src/tests/records.rs` are seeds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millstream_metadata::{decode, encode};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(records) = decode(bytes) {
        assert_eq!(decode(&encode(&records)), Ok(records));
    }
});
