//! Snappy in the framing of snappy-java (by its author's name, "xerial"), and raw Snappy, which some clients send.
//!
//! ```text
//! 0x82 'S' 'N' 'A' 'P' 'P' 'Y' 0x00 | version u32 = 1 | compatible u32 = 1 | (length u32 | raw Snappy block)*
//! ```

use crate::codec::Codec;
use crate::error::Error;
use bytes::Bytes;
use std::io;

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const HEADER_BYTES: usize = 16;
/// Bytes of a block before compression, as snappy-java's streams have.
const BLOCK_BYTES: usize = 32 * 1024;
/// A copy of 64 bytes takes 3, so that no honest block grows more than this.
const RATIO_MAX: usize = 22;

pub fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(HEADER_BYTES + plain.len() / 2);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&1u32.to_be_bytes());
    out.extend_from_slice(&1u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(BLOCK_BYTES) {
        let packed = encoder.compress_vec(block).map_err(io::Error::other)?;
        out.extend_from_slice(&u32::try_from(packed.len()).map_err(io::Error::other)?.to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(out)
}

pub fn decompress(packed: &[u8], limit: usize) -> Result<Bytes, Error> {
    let mut plain = Vec::new();
    if !packed.starts_with(MAGIC) {
        block(packed, &mut plain, limit)?;
        return Ok(plain.into());
    }
    let mut rest = packed.get(HEADER_BYTES..).ok_or_else(|| broken("the frame's header is cut"))?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(|| broken("a block's length is cut"))?;
        let length =
            usize::try_from(u32::from_be_bytes(*length)).map_err(|_| broken("a block's length is too large"))?;
        let (content, after) = after.split_at_checked(length).ok_or_else(|| broken("a block is cut"))?;
        block(content, &mut plain, limit)?;
        rest = after;
    }
    Ok(plain.into())
}

fn block(packed: &[u8], plain: &mut Vec<u8>, limit: usize) -> Result<(), Error> {
    let length = snap::raw::decompress_len(packed).map_err(|error| broken(&error.to_string()))?;
    if length > packed.len().saturating_mul(RATIO_MAX) {
        return Err(broken("a block claims more bytes than it can hold"));
    }
    if plain.len().saturating_add(length) > limit {
        return Err(Error::Bomb { codec: Codec::Snappy, limit });
    }
    let start = plain.len();
    plain.resize(start + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(packed, &mut plain[start..])
        .map_err(|error| broken(&error.to_string()))?;
    plain.truncate(start + written);
    Ok(())
}

fn broken(problem: &str) -> Error {
    Error::Inflate { codec: Codec::Snappy, problem: problem.to_owned() }
}
