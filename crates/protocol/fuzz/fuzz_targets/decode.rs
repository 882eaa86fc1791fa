//! Any bytes as a request: decoded or refused, and what is decoded encodes again.
//!
//! Run from `crates/protocol` with `cargo +nightly fuzz run decode`; `tests/golden/requests.txt` has seeds in hex.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millstream_protocol::decode;

fuzz_target!(|frame: &[u8]| {
    if let Ok(request) = decode(Bytes::copy_from_slice(frame)) {
        let encoded = request.body.encode(request.version, request.correlation_id, request.client_id.as_ref());
        if let Ok(encoded) = encoded {
            assert!(decode(encoded.slice(4..)).is_ok());
        }
    }
});
