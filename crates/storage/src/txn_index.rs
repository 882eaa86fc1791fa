//! Kafka's transaction index, `<base>.txnindex`: the transactions that were aborted by a marker in that segment. There is none beside a
//! segment without such a marker.
//!
//! ```text
//! (version i16 = 0 | producerId i64 | firstOffset i64 | lastOffset i64 | lastStableOffset i64)*   in the order of lastOffset
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_types::{Offset, ProducerId};

const VERSION: i16 = 0;
const ENTRY_BYTES: usize = 34;

/// A transaction whose records readers of committed records skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose it was.
    pub producer: ProducerId,
    /// Its first record.
    pub first_offset: Offset,
    /// Its marker.
    pub last_offset: Offset,
    /// Where readers of committed records could read to just after the marker: no later entry is about what is below.
    pub last_stable: Offset,
}

/// The bytes of entries.
pub fn encode(entries: &[AbortedTxn]) -> Bytes {
    let mut out = BytesMut::with_capacity(entries.len() * ENTRY_BYTES);
    for entry in entries {
        out.put_i16(VERSION);
        out.put_i64(entry.producer.0);
        out.put_i64(entry.first_offset.0);
        out.put_i64(entry.last_offset.0);
        out.put_i64(entry.last_stable.0);
    }
    out.freeze()
}

/// The entries of a file, and whether they are all of it: what an unclean stop left torn, or was never an entry, ends them.
pub fn decode(mut content: Bytes) -> (Vec<AbortedTxn>, bool) {
    let mut entries: Vec<AbortedTxn> = Vec::with_capacity(content.len() / ENTRY_BYTES);
    while content.len() >= ENTRY_BYTES {
        let version = content.get_i16();
        let entry = AbortedTxn {
            producer: ProducerId(content.get_i64()),
            first_offset: Offset(content.get_i64()),
            last_offset: Offset(content.get_i64()),
            last_stable: Offset(content.get_i64()),
        };
        let is_ordered = entries.last().is_none_or(|before| before.last_offset < entry.last_offset);
        let is_sound = version == VERSION
            && entry.producer.0 >= 0
            && (0..entry.last_offset.0).contains(&entry.first_offset.0)
            && entry.last_stable.0 >= 0;
        if !is_ordered || !is_sound {
            return (entries, false);
        }
        entries.push(entry);
    }
    (entries, content.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(last: i64) -> AbortedTxn {
        AbortedTxn {
            producer: ProducerId(7),
            first_offset: Offset(last - 3),
            last_offset: Offset(last),
            last_stable: Offset(last + 1),
        }
    }

    #[test]
    fn bytes_are_kafkas_and_round_trip() {
        let bytes = encode(&[entry(10)]);
        #[rustfmt::skip]
        let expected = [
            0, 0,
            0, 0, 0, 0, 0, 0, 0, 7,
            0, 0, 0, 0, 0, 0, 0, 7,
            0, 0, 0, 0, 0, 0, 0, 10,
            0, 0, 0, 0, 0, 0, 0, 11,
        ];
        assert_eq!(bytes.as_ref(), expected);
        let many: Vec<AbortedTxn> = (1..5).map(|index| entry(index * 10)).collect();
        assert_eq!(decode(encode(&many)), (many, true));
    }

    #[test]
    fn what_is_torn_ends_the_entries() {
        let many = [entry(10), entry(20)];
        let bytes = encode(&many);
        for len in 0..bytes.len() {
            let (read, is_whole) = decode(bytes.slice(..len));
            assert_eq!(read, many[..len / ENTRY_BYTES]);
            assert_eq!(is_whole, len % ENTRY_BYTES == 0, "{len}");
        }
        let mut zeroed = bytes.to_vec();
        zeroed[ENTRY_BYTES..].fill(0);
        assert_eq!(decode(zeroed.into()), (vec![entry(10)], false));
        assert_eq!(decode(encode(&[entry(20), entry(10)])), (vec![entry(20)], false), "out of order");
    }
}
