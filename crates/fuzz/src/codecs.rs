//! Any bytes as what a codec packed: unpacked within the limit or refused, however much it says it holds.

use crate::batches;
use bytes::Bytes;
use millstream_record::{BATCH_HEADER_BYTES, BatchBuilder, Codec};
use millstream_types::{LeaderEpoch, Offset, TimestampMs};

/// Bytes that may come out.
pub const LIMIT: usize = 1 << 17;

/// Tries these bytes with each codec.
pub fn run(bytes: &[u8]) {
    let packed = Bytes::copy_from_slice(bytes);
    for codec in Codec::ALL {
        if let Ok(plain) = codec.decompress(&packed, LIMIT) {
            assert!(plain.len() <= LIMIT, "{codec:?} gave {} bytes", plain.len());
        }
    }
}

/// What each codec made of something, of much, and of more than may come out.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let kafkas = batches::golden().into_iter().take(4).map(|batch| batch[BATCH_HEADER_BYTES..].to_vec());
    let ours = Codec::ALL.iter().filter(|codec| **codec != Codec::None);
    let values = [b"abcabcabc, and abc again".to_vec(), vec![b'x'; 5_000], vec![0; 2 * LIMIT]];
    kafkas.chain(ours.flat_map(|codec| values.iter().filter_map(|value| packed(*codec, value)))).collect()
}

/// A record of that value, packed.
fn packed(codec: Codec, value: &[u8]) -> Option<Vec<u8>> {
    let mut builder = BatchBuilder::new(codec);
    builder.push(TimestampMs(1_000), None, Some(value), []);
    let batch = builder.build(Offset(0), LeaderEpoch(0)).ok()?;
    Some(batch.bytes()[BATCH_HEADER_BYTES..].to_vec())
}
