//! What requests carry in formats of their own under libFuzzer: see `millstream_fuzz::carried`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millstream_fuzz::carried::run(bytes));
