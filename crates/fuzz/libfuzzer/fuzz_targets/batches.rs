//! Batches under libFuzzer: see `millstream_fuzz::batches`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millstream_fuzz::batches::run(bytes));
