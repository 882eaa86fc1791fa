//! Which partition a record goes to: as Kafka's default partitioner decides by key, so that tables and streams of one key meet.

use millstream_record::Columns;

const SEED: u32 = 0x9747_b28c;
const MIX: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// MurmurHash2 (32 bits, Austin Appleby's), with the seed that Kafka's clients use.
pub(crate) fn murmur2(key: &[u8]) -> u32 {
    let mut hash = SEED ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut bits = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MIX);
        bits ^= bits >> SHIFT;
        hash = hash.wrapping_mul(MIX) ^ bits.wrapping_mul(MIX);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        let bits = tail.iter().rev().fold(0, |bits, byte| (bits << 8) | u32::from(*byte));
        hash = (hash ^ bits).wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

/// The partition of a key among `partitions`, as Kafka's default partitioner chooses it (murmur2).
#[must_use]
pub fn of_key(key: &[u8], partitions: i32) -> i32 {
    // Kafka clears the sign bit; what is left fits an i32.
    i32::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or(0) % partitions.max(1)
}

/// Where the records of one output go.
pub(crate) struct Placement<'a> {
    /// How many partitions the output has.
    pub partitions: i32,
    /// The partition of records without a key.
    pub keyless: i32,
    /// Most bytes of keys, values and headers in one piece.
    pub bytes_max: usize,
    /// The timestamp of a record that has none, by its place.
    pub timestamp: &'a (dyn Fn(usize) -> i64 + Sync),
}

/// Records for one append.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    /// The output partition.
    pub partition: i32,
    /// The records, with offsets from 0.
    pub records: Columns,
    /// For each record its place in what was cut.
    pub places: Vec<u32>,
}

/// Cuts records by partition and size; the order within a partition stays.
pub(crate) fn cut(records: &Columns, placement: &Placement<'_>) -> Vec<Piece> {
    let mut done = Vec::new();
    let mut open: Vec<Option<Piece>> = vec![None; usize::try_from(placement.partitions.max(1)).unwrap_or(1)];
    for at in 0..records.len() {
        let key = records.keys.get(at);
        let partition =
            key.map_or(placement.keyless % placement.partitions.max(1), |key| of_key(key, placement.partitions));
        let slot = &mut open[usize::try_from(partition).unwrap_or(0)];
        let bytes = key.map_or(0, <[u8]>::len) + records.values.get(at).map_or(0, <[u8]>::len);
        if slot.as_ref().is_some_and(|piece| piece.records.payload_bytes() + bytes > placement.bytes_max) {
            done.extend(slot.take());
        }
        let piece = slot.get_or_insert_with(|| Piece { partition, records: Columns::default(), places: Vec::new() });
        let timestamp =
            Some(records.timestamps[at]).filter(|given| *given >= 0).unwrap_or_else(|| (placement.timestamp)(at));
        piece.records.push(timestamp, key, records.values.get(at), records.headers.get(at));
        piece.places.push(u32::try_from(at).unwrap_or(u32::MAX));
    }
    done.extend(open.into_iter().flatten());
    done
}

/// A part of a piece, for when the whole was too large.
pub(crate) fn part(piece: &Piece, range: std::ops::Range<usize>) -> Piece {
    let mut records = Columns::default();
    for at in range.clone() {
        records.push(
            piece.records.timestamps[at],
            piece.records.keys.get(at),
            piece.records.values.get(at),
            piece.records.headers.get(at),
        );
    }
    Piece { partition: piece.partition, records, places: piece.places[range].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hashes_are_kafkas() {
        // The cases of Kafka's own UtilsTest.testMurmur2.
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    proptest! {
        #[test]
        fn cutting_keeps_every_record_once_and_in_order(keys: Vec<Option<u8>>, partitions in 1..5i32, bytes_max in 0..12usize) {
            let mut records = Columns::default();
            for (at, key) in keys.iter().enumerate() {
                let value = [u8::try_from(at % 256).unwrap()];
                records.push(-1, key.as_ref().map(std::slice::from_ref), Some(&value), []);
            }
            let timestamp = |at: usize| i64::try_from(at).unwrap();
            let pieces = cut(&records, &Placement { partitions, keyless: 7, bytes_max, timestamp: &timestamp });
            let mut seen = vec![0; keys.len()];
            let mut last = vec![None; usize::try_from(partitions).unwrap()];
            for piece in &pieces {
                prop_assert!(piece.records.len() == 1 || piece.records.payload_bytes() <= bytes_max);
                for (at, place) in piece.places.iter().enumerate() {
                    seen[*place as usize] += 1;
                    prop_assert_eq!(piece.records.values.get(at), records.values.get(*place as usize));
                    prop_assert_eq!(piece.records.timestamps[at], i64::from(*place));
                    let last = &mut last[usize::try_from(piece.partition).unwrap()];
                    prop_assert!(last.is_none_or(|last| last < *place));
                    *last = Some(*place);
                }
            }
            prop_assert!(seen.iter().all(|count| *count == 1));
        }
    }

    #[test]
    fn records_without_a_key_follow_their_input_partition() {
        let mut records = Columns::default();
        records.push(5, None, Some(b"v"), []);
        let pieces = cut(&records, &Placement { partitions: 3, keyless: 4, bytes_max: 100, timestamp: &|_| 0 });
        assert_eq!((pieces.len(), pieces[0].partition, pieces[0].records.timestamps[0]), (1, 1, 5));
    }
}
