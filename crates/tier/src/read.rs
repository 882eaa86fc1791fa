//! Reads below the local start of a log: whole batches from an offset, and the first record at a time.

use crate::chunks::ChunkIndex;
use crate::error::Error;
use crate::manifest::{Manifest, Segment};
use crate::state::Partition;
use crate::tier::Tier;
use bytes::{Bytes, BytesMut};
use millstream_record::{Batch, Limits, split};
use millstream_types::{LeaderEpoch, Offset, TimestampMs, TopicPartition};
use std::ops::Range;
use std::sync::Arc;

/// A record found by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: TimestampMs,
    /// The epoch of the leader that wrote it.
    pub leader_epoch: LeaderEpoch,
}

impl Tier {
    /// Whole batches as they were stored, of `max_bytes` at most but one at least; the first contains `from`, or is the first after it.
    /// None where nothing is cold at or after `from`. Moves `Config::read_bytes_max` bytes at most, and the segment's chunk index.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer; [`Error::Corrupt`] and [`Error::Missing`] name the object.
    pub async fn read(
        &self,
        partition: TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, Error> {
        let partition = self.0.partition(partition).ok_or(Error::Unregistered { partition })?;
        let manifest = self.0.manifest(&partition).await?;
        let outcome = match self.read_by((&partition, &manifest), from, max_bytes).await {
            Err(missing @ Error::Missing { .. }) => {
                let newer = self.newer((&partition, &manifest), missing).await?;
                self.read_by((&partition, &newer), from, max_bytes).await
            }
            outcome => outcome,
        };
        outcome.inspect_err(|_| self.0.instruments.fetch_failed(&partition.topic))
    }

    async fn read_by(
        &self,
        (partition, manifest): (&Partition, &Manifest),
        from: Offset,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, Error> {
        let from = from.max(manifest.log_start);
        for segment in &manifest.segments[manifest.place_of(from)..] {
            let records = self.read_segment((partition, segment), from, max_bytes).await?;
            if records.is_some() {
                return Ok(records);
            }
        }
        Ok(None)
    }

    /// The manifest that is in the store now, after an object of the known one was not there; the error, where it is the same.
    async fn newer(&self, (partition, known): (&Partition, &Manifest), missing: Error) -> Result<Arc<Manifest>, Error> {
        let found = self.0.reload(partition).await?;
        if known.number == found.number { Err(missing) } else { Ok(found) }
    }

    async fn read_segment(
        &self,
        (partition, segment): (&Partition, &Segment),
        from: Offset,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, Error> {
        let index = self.0.index(partition, segment).await?;
        let room = max_bytes.min(self.0.config.read_bytes_max);
        let mut out = Out { parts: Vec::new(), bytes: 0, room };
        for place in index.place_of(from)..index.chunks().len() {
            // A chunk that may not fit is left for the next read, which begins there.
            if !out.parts.is_empty() && index.chunks()[place].len as usize > out.room - out.bytes {
                break;
            }
            let run = self.run(segment, &index, place, room);
            let chunk = self.0.chunk((partition, segment), &index, run).await?;
            if !out.take(&chunk, from).map_err(|problem| Error::corrupt(&partition.name, problem))? {
                break;
            }
        }
        Ok(out.join())
    }

    /// The chunks worth fetching with the one at `place`: what the caller has room for; more where it reads on from the chunk before.
    fn run(&self, segment: &Segment, index: &ChunkIndex, place: usize, room: usize) -> Range<usize> {
        let reads_on = place > 0 && self.0.cache.contains(&crate::cache::Key { segment: segment.id, place: place - 1 });
        let most = if reads_on { self.0.config.read_bytes_max } else { room };
        run_of(index, place, most)
    }

    /// The first cold record at or after the log's start whose timestamp is at least `time`.
    ///
    /// # Errors
    /// As [`Tier::read`].
    pub async fn offset_for_time(&self, partition: TopicPartition, time: TimestampMs) -> Result<Option<Found>, Error> {
        let partition = self.0.partition(partition).ok_or(Error::Unregistered { partition })?;
        let manifest = self.0.manifest(&partition).await?;
        match self.find_by((&partition, &manifest), time).await {
            Err(missing @ Error::Missing { .. }) => {
                let newer = self.newer((&partition, &manifest), missing).await?;
                self.find_by((&partition, &newer), time).await
            }
            outcome => outcome,
        }
    }

    async fn find_by(
        &self,
        (partition, manifest): (&Partition, &Manifest),
        time: TimestampMs,
    ) -> Result<Option<Found>, Error> {
        for segment in
            manifest.segments.iter().filter(|segment| segment.max_timestamp >= time && segment.end > manifest.log_start)
        {
            let found = self.find_in((partition, segment), manifest.log_start, time).await?;
            if let Some((offset, timestamp)) = found {
                let leader_epoch = manifest.epoch_at(offset).unwrap_or(LeaderEpoch::NONE);
                return Ok(Some(Found { offset, timestamp, leader_epoch }));
            }
        }
        Ok(None)
    }

    async fn find_in(
        &self,
        (partition, segment): (&Partition, &Segment),
        start: Offset,
        time: TimestampMs,
    ) -> Result<Option<(Offset, TimestampMs)>, Error> {
        let index = self.0.index(partition, segment).await?;
        for (place, _) in index.chunks().iter().enumerate().filter(|(_, chunk)| chunk.max_timestamp >= time) {
            let chunk = self.0.chunk((partition, segment), &index, place..place + 1).await?;
            let found =
                first_at(chunk, start, time).map_err(|error| Error::corrupt(&partition.name, error.to_string()))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// The chunks from `place` on that `most` bytes hold; one at least.
fn run_of(index: &ChunkIndex, place: usize, most: usize) -> Range<usize> {
    let mut bytes = 0;
    let fits = index.chunks()[place..].iter().take_while(|chunk| {
        bytes += chunk.len as usize;
        bytes <= most
    });
    place..place + fits.count().max(1)
}

/// The first record of a chunk's batches at or after `start` and `time`.
fn first_at(
    chunk: Bytes,
    start: Offset,
    time: TimestampMs,
) -> Result<Option<(Offset, TimestampMs)>, millstream_record::Error> {
    for batch in split(chunk)?.iter().filter(|batch| batch.max_timestamp() >= time && batch.next_offset() > start) {
        let mut found = None;
        batch.each(&Limits::default(), |record| {
            if found.is_none() && record.offset >= start && record.timestamp >= time {
                found = Some((record.offset, record.timestamp));
            }
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// What a read has so far.
struct Out {
    parts: Vec<Bytes>,
    bytes: usize,
    room: usize,
}

impl Out {
    /// Takes the batches of a chunk from the one that has `from`. False when there is no more room.
    fn take(&mut self, chunk: &Bytes, from: Offset) -> Result<bool, String> {
        let batches = split(chunk.clone()).map_err(|error| error.to_string())?;
        let skipped: usize = batches.iter().take_while(|batch| batch.next_offset() <= from).map(Batch::size).sum();
        let mut end = skipped;
        for batch in batches.iter().filter(|batch| batch.next_offset() > from) {
            let has_one = self.bytes > 0;
            if has_one && self.bytes + batch.size() > self.room {
                self.push(chunk.slice(skipped..end));
                return Ok(false);
            }
            self.bytes += batch.size();
            end += batch.size();
        }
        self.push(chunk.slice(skipped..end));
        Ok(self.bytes < self.room)
    }

    fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    fn join(mut self) -> Option<Bytes> {
        match self.parts.as_mut_slice() {
            [] => None,
            [only] => Some(std::mem::take(only)),
            several => {
                let mut whole = BytesMut::with_capacity(self.bytes);
                several.iter().for_each(|part| whole.extend_from_slice(part));
                Some(whole.freeze())
            }
        }
    }
}
