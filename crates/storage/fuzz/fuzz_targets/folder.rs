//! Any bytes as damage to a log's folder: indexes, checkpoints, snapshots, and batches that are read, recovered and compacted.
//!
//! Run from `crates/storage` with `cargo +nightly fuzz run folder`.

#![no_main]

#[path = "../../tests/damage/folder.rs"]
mod folder;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = folder::exercise(bytes);
});
