//! The batches of what was read, by their headers alone: the records stay in their files.
//!
//! A header costs a copy of its bytes; those of batches that lie close together are read by one call.

use bytes::Bytes;
use millstream_partition::{AbortedTxn, Chunk};
use millstream_record::{BATCH_HEADER_BYTES, Batch};
use millstream_runtime::FileRange;
use millstream_types::{Offset, ProducerId};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

/// Bytes of a file that are read at once in search of headers.
const WINDOW_BYTES: usize = 8 << 10;

/// One batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    first: i64,
    end: i64,
    /// Where it is in what was read, in bytes.
    position: usize,
    size: usize,
    producer: ProducerId,
    is_transactional: bool,
    is_control: bool,
}

/// What was read, cut into batches.
#[derive(Debug, Clone, Default)]
pub(super) struct Scanned {
    chunks: Vec<Chunk>,
    batches: Vec<Seen>,
}

impl Scanned {
    /// Looks through `chunks`, which hold whole batches one after another.
    pub(super) async fn new(chunks: Vec<Chunk>) -> io::Result<Self> {
        let (mut batches, mut position) = (Vec::new(), 0);
        for chunk in &chunks {
            let mut headers = Headers { chunk, window: Bytes::new(), from: 0 };
            let mut at = 0;
            while at + BATCH_HEADER_BYTES <= chunk.len() {
                let header = Batch::header(&headers.at(at).await?).map_err(io::Error::other)?;
                let seen = Seen {
                    first: header.base_offset().0,
                    end: header.next_offset().0,
                    position: position + at,
                    size: header.size(),
                    producer: header.producer_id(),
                    is_transactional: header.is_transactional(),
                    is_control: header.is_control(),
                };
                at += seen.size;
                if at > chunk.len() {
                    break;
                }
                batches.push(seen);
            }
            position += chunk.len();
        }
        Ok(Self { chunks, batches })
    }

    /// The offsets of the batches.
    pub(super) fn ranges(&self) -> Vec<Range<i64>> {
        self.batches.iter().map(|seen| seen.first..seen.end).collect()
    }

    /// The offsets among them that belong to `transactions`, which were aborted; their markers are none of them.
    pub(super) fn aborted(&self, transactions: &[AbortedTxn]) -> Vec<Range<i64>> {
        let mut begins: BTreeMap<ProducerId, Vec<(Offset, Offset)>> = BTreeMap::new();
        for transaction in transactions {
            let of = begins.entry(transaction.producer).or_default();
            of.push((transaction.first_offset, transaction.last_offset));
        }
        let is_aborted = |seen: &&Seen| {
            let of = begins.get(&seen.producer);
            let within = |(first, last): &(Offset, Offset)| first.0 <= seen.first && seen.first <= last.0;
            seen.is_transactional && !seen.is_control && of.is_some_and(|of| of.iter().any(within))
        };
        self.batches.iter().filter(is_aborted).map(|seen| seen.first..seen.end).collect()
    }

    /// The batches that have offsets from `first` to `last`, where they are, and their bytes.
    pub(super) fn slice(&self, first: i64, last: i64) -> (Vec<Chunk>, usize) {
        let mut meant = self.batches.iter().filter(|seen| seen.end > first && seen.first <= last);
        let Some(begin) = meant.next() else { return (Vec::new(), 0) };
        let end = meant.next_back().unwrap_or(begin);
        let bytes = begin.position..end.position + end.size;
        (self.cut(&bytes), bytes.len())
    }

    fn cut(&self, bytes: &Range<usize>) -> Vec<Chunk> {
        let (mut cut, mut position) = (Vec::with_capacity(self.chunks.len()), 0);
        for chunk in &self.chunks {
            let within = bytes.start.max(position)..bytes.end.min(position + chunk.len());
            if within.start < within.end {
                cut.push(part(chunk, &(within.start - position..within.end - position)));
            }
            position += chunk.len();
        }
        cut
    }
}

fn part(chunk: &Chunk, bytes: &Range<usize>) -> Chunk {
    match chunk {
        Chunk::Bytes(whole) => Chunk::Bytes(whole.slice(bytes.clone())),
        Chunk::File(FileRange { file, position, .. }) => {
            let position = position.saturating_add(u64::try_from(bytes.start).unwrap_or(u64::MAX));
            Chunk::File(FileRange { file: file.clone(), position, len: bytes.len() })
        }
    }
}

/// Headers of one chunk.
struct Headers<'a> {
    chunk: &'a Chunk,
    window: Bytes,
    /// Where the window is in the chunk.
    from: usize,
}

impl Headers<'_> {
    /// The header at `at`, which the chunk has room for.
    async fn at(&mut self, at: usize) -> io::Result<Bytes> {
        let end = at + BATCH_HEADER_BYTES;
        let range = match self.chunk {
            Chunk::Bytes(whole) => return Ok(whole.slice(at..end)),
            Chunk::File(range) => range,
        };
        if at < self.from || end > self.from + self.window.len() {
            let len = WINDOW_BYTES.min(range.len - at);
            let position = range.position.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
            (self.window, self.from) = (range.file.read_at(position, len).await?, at);
        }
        if end > self.from + self.window.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.window.slice(at - self.from..end - self.from))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use millstream_record::{BatchBuilder, Codec};
    use millstream_types::{LeaderEpoch, ProducerEpoch, TimestampMs};

    fn batch(base: i64, records: usize, producer: Option<i64>) -> Bytes {
        let mut builder = BatchBuilder::new(Codec::None);
        if let Some(producer) = producer {
            builder = builder.producer(ProducerId(producer), ProducerEpoch(0), 0).transactional();
        }
        for _ in 0..records {
            builder.push(TimestampMs(0), None, Some(b"value"), []);
        }
        builder.build(Offset(base), LeaderEpoch(0)).unwrap().into_bytes()
    }

    async fn scanned() -> (Scanned, Vec<usize>) {
        let batches = [batch(5, 5, None), batch(12, 3, Some(9)), batch(15, 5, Some(8)), batch(20, 2, Some(9))];
        let sizes = batches.iter().map(Bytes::len).collect();
        let first = [batches[0].clone(), batches[1].clone()].concat();
        let chunks = vec![Chunk::Bytes(first.into()), Chunk::Bytes([&*batches[2], &*batches[3]].concat().into())];
        (Scanned::new(chunks).await.unwrap(), sizes)
    }

    #[tokio::test]
    async fn batches_are_found_by_their_headers() {
        let (scanned, _) = scanned().await;
        assert_eq!(scanned.ranges(), [5..10, 12..15, 15..20, 20..22]);
    }

    #[tokio::test]
    async fn only_what_was_acquired_is_sent() {
        let (scanned, sizes) = scanned().await;
        let (chunks, len) = scanned.slice(13, 15);
        assert_eq!(len, sizes[1] + sizes[2]);
        assert_eq!(chunks.iter().map(Chunk::len).collect::<Vec<_>>(), [sizes[1], sizes[2]]);
        let bytes = chunks[0].read().await.unwrap();
        assert_eq!(Batch::header(&bytes).unwrap().base_offset(), Offset(12));
        assert_eq!(scanned.slice(10, 11).1, 0, "compacted away");
    }

    #[tokio::test]
    async fn aborted_records_are_those_of_the_producer_up_to_its_marker() {
        let (scanned, _) = scanned().await;
        let aborted = |first, last| AbortedTxn {
            producer: ProducerId(9),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable: Offset(last + 1),
        };
        assert_eq!(scanned.aborted(&[aborted(12, 18)]), std::slice::from_ref(&(12..15)));
        assert_eq!(scanned.aborted(&[aborted(12, 18), aborted(20, 30)]), [12..15, 20..22]);
    }
}
