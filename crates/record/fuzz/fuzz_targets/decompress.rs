//! Any bytes as what each of the four codecs packed: unpacked within the limit, or refused.
//!
//! Run from `crates/record` with `cargo +nightly fuzz run decompress`.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millstream_record::Codec;

const LIMIT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let packed = Bytes::copy_from_slice(bytes);
    for codec in Codec::ALL {
        if let Ok(plain) = codec.decompress(&packed, LIMIT) {
            assert!(plain.len() <= LIMIT);
        }
    }
});
