//! Files beside the logs under libFuzzer: see `millstream_fuzz::checkpoints`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millstream_fuzz::checkpoints::run(bytes));
