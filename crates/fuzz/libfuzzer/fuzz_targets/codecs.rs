//! Codecs under libFuzzer: see `millstream_fuzz::codecs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millstream_fuzz::codecs::run(bytes));
