//! Requests under libFuzzer: see `millstream_fuzz::requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millstream_fuzz::requests::run(bytes));
