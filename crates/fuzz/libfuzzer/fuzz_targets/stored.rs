//! Records of internal topics under libFuzzer: see `millstream_fuzz::stored`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millstream_fuzz::stored::run(bytes));
