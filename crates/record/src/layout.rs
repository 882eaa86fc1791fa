//! Where the fields of a record batch v2 lie. Stored and sent: never renumber.
//!
//! ```text
//! 0            8        12            16      17    21           23                27              35             43
//! | baseOffset | length | leaderEpoch | magic | crc | attributes | lastOffsetDelta | baseTimestamp | maxTimestamp |
//! 43           51              53             57            61
//! | producerId | producerEpoch | baseSequence | recordCount | records, compressed as attributes say ... |
//!
//! attributes: bits 0-2 codec, 3 timestamp type (1 = LogAppendTime), 4 transactional, 5 control, 6 delete horizon, 7-15 unused
//! length counts from leaderEpoch to the end; the CRC-32C covers attributes to the end.
//! ```

/// Bytes before the records.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Bytes that `length` does not count: the base offset and the length itself.
pub const LENGTH_PREFIX_BYTES: usize = 12;
/// Where in a batch the bytes begin that its CRC covers.
pub const CRC_COVERS_FROM: usize = ATTRIBUTES;
/// The only format there is since Kafka 4.
pub const MAGIC: u8 = 2;

pub const BASE_OFFSET: usize = 0;
pub const LENGTH: usize = 8;
pub const LEADER_EPOCH: usize = 12;
pub const MAGIC_AT: usize = 16;
pub const CRC: usize = 17;
pub const ATTRIBUTES: usize = 21;
pub const LAST_OFFSET_DELTA: usize = 23;
pub const BASE_TIMESTAMP: usize = 27;
pub const MAX_TIMESTAMP: usize = 35;
pub const PRODUCER_ID: usize = 43;
pub const PRODUCER_EPOCH: usize = 51;
pub const BASE_SEQUENCE: usize = 53;
pub const RECORD_COUNT: usize = 57;

pub const CODEC_BITS: u16 = 0b111;
pub const APPEND_TIME_BIT: u16 = 1 << 3;
pub const TRANSACTIONAL_BIT: u16 = 1 << 4;
pub const CONTROL_BIT: u16 = 1 << 5;
pub const DELETE_HORIZON_BIT: u16 = 1 << 6;

/// The `N` bytes at `position`; zeroes where the buffer is shorter, which callers rule out by checking the header's length first.
fn array<const N: usize>(bytes: &[u8], position: usize) -> [u8; N] {
    bytes.get(position..position + N).and_then(|slice| slice.try_into().ok()).unwrap_or([0; N])
}

pub fn u16_at(bytes: &[u8], position: usize) -> u16 {
    u16::from_be_bytes(array(bytes, position))
}

pub fn i16_at(bytes: &[u8], position: usize) -> i16 {
    i16::from_be_bytes(array(bytes, position))
}

pub fn u32_at(bytes: &[u8], position: usize) -> u32 {
    u32::from_be_bytes(array(bytes, position))
}

pub fn i32_at(bytes: &[u8], position: usize) -> i32 {
    i32::from_be_bytes(array(bytes, position))
}

pub fn i64_at(bytes: &[u8], position: usize) -> i64 {
    i64::from_be_bytes(array(bytes, position))
}

/// The CRC-32C (Castagnoli) of the parts, one after another: what batches and producer snapshots carry.
#[must_use]
pub fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc32c::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.finish()
}

/// A CRC-32C over bytes that come piece by piece.
pub struct Crc32c(crc_fast::Digest);

impl Crc32c {
    /// The CRC of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The CRC of all bytes taken.
    #[must_use]
    pub fn finish(self) -> u32 {
        u32::try_from(self.0.finalize() & u64::from(u32::MAX)).unwrap_or_default()
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}
