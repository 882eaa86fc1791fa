//! LZ4 as Kafka writes it since format v2: a standard frame of independent 64 KiB blocks without checksums of its own.

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{self, Read, Write};

pub fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(plain)?;
    encoder.finish().map_err(io::Error::other)
}

pub fn reader(packed: &[u8]) -> impl Read {
    FrameDecoder::new(packed)
}
