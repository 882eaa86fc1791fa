//! Any bytes as batches: taken at the door or refused, and read or refused, also when their CRC is right.
//!
//! Run from `crates/record` with `cargo +nightly fuzz run batch`; `tests/golden` has seeds.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millstream_record::{CRC_COVERS_FROM, DoorRules, Limits, check, crc32c, split};

fn read(bytes: &[u8]) {
    let limits = Limits { decompressed_bytes_max: 1 << 20, records_max: 1 << 16 };
    if let Ok(batches) = check(Bytes::copy_from_slice(bytes), &DoorRules::client(1 << 20)) {
        // What the door takes is found again where batches are cut out of a log.
        let stored: Vec<u8> = batches.iter().flat_map(|batch| batch.bytes().to_vec()).collect();
        assert_eq!(split(stored.into()).map(|found| found.len()), Ok(batches.len()));
    }
    for batch in split(Bytes::copy_from_slice(bytes)).unwrap_or_default() {
        let _ = batch.records(&limits);
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    if bytes.len() > CRC_COVERS_FROM {
        let mut sealed = bytes.to_vec();
        let crc = crc32c(&[&sealed[CRC_COVERS_FROM..]]);
        sealed[CRC_COVERS_FROM - 4..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        read(&sealed);
    }
});
