//! Any bytes as a checkpoint file of a data folder: read or refused, and what is read says the same when it is written again.
//!
//! Run from `crates/partition` with `cargo +nightly fuzz run checkpoint`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millstream_partition::{parse_checkpoint, print_checkpoint};

fuzz_target!(|bytes: &[u8]| {
    if let Some(offsets) = parse_checkpoint(bytes) {
        assert_eq!(parse_checkpoint(&print_checkpoint(&offsets)), Some(offsets));
    }
});
