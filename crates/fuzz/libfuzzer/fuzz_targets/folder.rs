//! The folder of a log under libFuzzer: see `millstream_fuzz::folder`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millstream_fuzz::folder::run(bytes));
