//! Logins under libFuzzer: see `millstream_fuzz::logins`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millstream_fuzz::logins::run(bytes));
