//! Any bytes as a record of `__consumer_offsets`: read or refused, and what is read is written as something that reads the same.
//!
//! Run from `crates/group` with `cargo +nightly fuzz run layout`. The first byte says how many bytes of the rest are the key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millstream_group::Change;
use millstream_types::TimestampMs;

fuzz_target!(|bytes: &[u8]| {
    let Some((count, rest)) = bytes.split_first() else { return };
    let (key, value) = rest.split_at(usize::from(*count).min(rest.len()));
    for value in [None, Some(value)] {
        let Ok(change) = Change::decode(key, value, TimestampMs(0)) else { continue };
        if let Some(written) = change.encode() {
            assert_eq!(Change::decode(&written.key, written.value.as_deref(), TimestampMs(0)), Ok(change));
        }
    }
});
