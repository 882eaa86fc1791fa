//! Any bytes as a request: decoded or refused, and what is decoded says the same when it is encoded and decoded again.

use bytes::Bytes;
use millstream_protocol::{ApiKey, Request, decode, is_plain_produce, may_wait};

/// Tries these bytes.
pub fn run(frame: &[u8]) {
    let is_plain = is_plain_produce(frame);
    let _ = may_wait(frame);
    let Ok(request) = decode(Bytes::copy_from_slice(frame)) else { return };
    if is_plain {
        assert_eq!(request.body.api(), ApiKey::Produce, "only Produce is a plain produce");
    }
    if has_a_large_tag(frame) {
        return;
    }
    // A value that the version has no place for can't be told again.
    let Some(bytes) = encoded(&request) else { return };
    let again = decode(bytes.slice(4..));
    assert!(again.is_ok(), "{again:?}, after {request:?}");
    // By its bytes: a number that is none is not the same as itself.
    assert_eq!(again.ok().and_then(|again| encoded(&again)), Some(bytes), "it says something else: {request:?}");
}

fn encoded(request: &Request) -> Option<Bytes> {
    request.body.encode(request.version, request.correlation_id, request.client_id.as_ref()).ok()
}

/// Whether it may have an unknown tagged field of a number beyond 31 bits: the codec keeps it, counts it, and does not write it.
fn has_a_large_tag(frame: &[u8]) -> bool {
    frame.windows(5).any(|varint| varint[..4].iter().all(|byte| *byte >= 0x80) && varint[4] >= 8)
}

/// A frame of every API in every version, as Kafka's own classes write it, and one that broke a promise once.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let golden = include_str!("../../protocol/tests/golden/requests.txt").lines();
    let broke = include_bytes!("../kept/requests-a-tag-beyond-31-bits").to_vec();
    golden.filter_map(|line| bytes_of(line.rsplit(' ').next()?)).chain([broke]).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
