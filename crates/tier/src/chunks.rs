//! The chunk index of a segment: where its log can be cut so that a read of one record moves one chunk, and each chunk's checksum.
//!
//! ```text
//! "MSCI" | version u16 = 1 | 0 u16 | entries u32
//! per entry: first offset i64 | position u64 | bytes u32 | largest timestamp i64 | CRC-32C u32
//! CRC-32C of all before, u32
//! ```
//! All big endian. Stored: never changed. Chunks are whole batches, one after another without a gap.

use crate::error::Error;
use bytes::{BufMut, Bytes, BytesMut};
use millstream_record::{Batch, crc32c};
use millstream_types::{Offset, TimestampMs};

const MAGIC: &[u8; 4] = b"MSCI";
const VERSION: u16 = 1;
const HEAD_BYTES: usize = 12;
const ENTRY_BYTES: usize = 32;
const TAIL_BYTES: usize = 4;

/// One chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The base offset of its first batch.
    pub first: Offset,
    /// Where it begins in the log.
    pub position: u64,
    /// Its bytes.
    pub len: u32,
    /// The largest timestamp in it.
    pub max_timestamp: TimestampMs,
    /// CRC-32C of its bytes.
    pub crc32c: u32,
}

impl Chunk {
    /// The chunk that `batches`, which are `bytes`, make at `position`.
    pub fn of(batches: &[Batch], bytes: &Bytes, position: u64) -> Option<Self> {
        Some(Self {
            first: batches.first()?.base_offset(),
            position,
            len: u32::try_from(bytes.len()).ok()?,
            max_timestamp: batches.iter().map(Batch::max_timestamp).max()?,
            crc32c: crc32c(&[bytes]),
        })
    }

    pub const fn end(&self) -> u64 {
        self.position + self.len as u64
    }

    /// What is wrong with `bytes`, if they are not the chunk's.
    pub fn problem(&self, bytes: &[u8]) -> Option<String> {
        if bytes.len() != self.len as usize {
            return Some(format!("{} bytes at position {}; expected {}", bytes.len(), self.position, self.len));
        }
        let found = crc32c(&[bytes]);
        let expected = self.crc32c;
        (found != expected).then(|| {
            format!("the chunk at position {} has CRC {found:#010x}; expected {expected:#010x}", self.position)
        })
    }
}

/// The chunks of a segment, in order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkIndex(Vec<Chunk>);

impl ChunkIndex {
    pub const fn new(chunks: Vec<Chunk>) -> Self {
        Self(chunks)
    }

    pub fn chunks(&self) -> &[Chunk] {
        &self.0
    }

    /// The place of the chunk that has `from`, or what follows it unless that is in the next one.
    pub fn place_of(&self, from: Offset) -> usize {
        self.0.partition_point(|chunk| chunk.first <= from).saturating_sub(1)
    }

    /// Bytes in memory.
    pub fn size(&self) -> u64 {
        (self.0.len() * size_of::<Chunk>()) as u64
    }

    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD_BYTES + self.0.len() * ENTRY_BYTES + TAIL_BYTES);
        out.put_slice(MAGIC);
        out.put_u16(VERSION);
        out.put_u16(0);
        out.put_u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for chunk in &self.0 {
            out.put_i64(chunk.first.0);
            out.put_u64(chunk.position);
            out.put_u32(chunk.len);
            out.put_i64(chunk.max_timestamp.0);
            out.put_u32(chunk.crc32c);
        }
        let sum = crc32c(&[&out]);
        out.put_u32(sum);
        out.freeze()
    }

    pub fn decode(object: &str, content: &[u8]) -> Result<Self, Error> {
        let corrupt = |problem: &str| Error::corrupt(object, problem);
        let (body, sum) =
            content.split_last_chunk::<TAIL_BYTES>().ok_or_else(|| corrupt("it is shorter than a checksum"))?;
        let (head, entries) =
            body.split_first_chunk::<HEAD_BYTES>().ok_or_else(|| corrupt("it is shorter than its head"))?;
        if &head[..4] != MAGIC {
            return Err(corrupt("it is not a chunk index"));
        }
        let version = u16::from_be_bytes([head[4], head[5]]);
        if version > VERSION {
            return Err(Error::NewerFormat { object: object.to_owned(), found: version.into(), known: VERSION.into() });
        }
        if crc32c(&[body]) != u32::from_be_bytes(*sum) {
            return Err(corrupt("its checksum does not fit"));
        }
        let chunks: Vec<Chunk> = entries.as_chunks::<ENTRY_BYTES>().0.iter().map(entry).collect();
        let count = u32::from_be_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let is_whole = count > 0 && count == chunks.len() && entries.len() == count * ENTRY_BYTES;
        let is_ordered =
            chunks.windows(2).all(|pair| pair[0].first < pair[1].first && pair[0].end() == pair[1].position);
        if is_whole && is_ordered {
            Ok(Self(chunks))
        } else {
            Err(corrupt("its entries are not whole or not in order"))
        }
    }
}

fn entry(bytes: &[u8; ENTRY_BYTES]) -> Chunk {
    let long = |at: usize| u64::from_be_bytes(std::array::from_fn(|place| bytes[at + place]));
    let int = |at: usize| u32::from_be_bytes(std::array::from_fn(|place| bytes[at + place]));
    Chunk {
        first: Offset(long(0).cast_signed()),
        position: long(8),
        len: int(16),
        max_timestamp: TimestampMs(long(20).cast_signed()),
        crc32c: int(28),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(lens: &[u32]) -> ChunkIndex {
        let mut position = 0;
        let chunk = |(place, len): (usize, &u32)| {
            let chunk = Chunk {
                first: Offset(place as i64 * 10),
                position,
                len: *len,
                max_timestamp: TimestampMs(i64::from(*len)),
                crc32c: *len ^ 7,
            };
            position = chunk.end();
            chunk
        };
        ChunkIndex(lens.iter().enumerate().map(chunk).collect())
    }

    proptest! {
        #[test]
        fn an_index_round_trips(lens in proptest::collection::vec(1u32..1 << 30, 1..50)) {
            let index = index(&lens);
            prop_assert_eq!(ChunkIndex::decode("i", &index.encode()).unwrap(), index);
        }

        #[test]
        fn any_changed_byte_is_found(at in 0usize..108, mask in 1u8..) {
            let mut bytes = index(&[5, 6, 7]).encode().to_vec();
            prop_assume!(at < bytes.len());
            bytes[at] ^= mask;
            prop_assert!(ChunkIndex::decode("i", &bytes).is_err());
        }
    }

    #[test]
    fn a_cut_index_is_corrupt() {
        let bytes = index(&[5, 6]).encode();
        for len in 0..bytes.len() {
            assert!(ChunkIndex::decode("i", &bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn stored_bytes_are_these() {
        let expected = "4d53434900010000000000010000000000000000000000000000000000000005000000000000000500000002";
        let bytes = index(&[5]).encode();
        let text: String = bytes[..bytes.len() - 4].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn the_place_of_an_offset_is_the_last_chunk_that_begins_at_or_before_it() {
        let index = index(&[5, 6, 7]);
        let places: Vec<usize> = [-5, 0, 9, 10, 25, 99].into_iter().map(|from| index.place_of(Offset(from))).collect();
        assert_eq!(places, [0, 0, 0, 1, 2, 2]);
    }
}
