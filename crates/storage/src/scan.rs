//! Stepping through the batches of a `.log` file by their headers, with or without checking what is in them.

use crate::error::Error;
use bytes::Bytes;
use millstream_record::{BATCH_HEADER_BYTES, Batch, CRC_COVERS_FROM, Crc32c, split};
use millstream_runtime::DiskFile;
use millstream_types::{LeaderEpoch, Offset, TimestampMs};
use std::path::Path;
use std::sync::Arc;

/// Bytes read at once where a few batches are stepped over.
pub const LOOKUP_CHUNK_BYTES: usize = 8 << 10;
/// Bytes read at once where a whole segment is gone through.
pub const RECOVERY_CHUNK_BYTES: usize = 1 << 20;

/// Where a batch lies in its file, and what of its header lookups need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub position: u64,
    pub size: u64,
    pub base: Offset,
    /// The offset after its last record.
    pub next: Offset,
    pub max_timestamp: TimestampMs,
    pub epoch: LeaderEpoch,
}

impl Place {
    pub fn of(batch: &Batch, position: u64) -> Self {
        Self {
            position,
            size: batch.size() as u64,
            base: batch.base_offset(),
            next: batch.next_offset(),
            max_timestamp: batch.max_timestamp(),
            epoch: batch.partition_leader_epoch(),
        }
    }

    pub const fn end(&self) -> u64 {
        self.position + self.size
    }

    pub fn last(&self) -> Offset {
        self.next + -1
    }
}

/// Steps over batch headers from a batch's position up to `end`.
pub struct Scan<'a> {
    file: &'a Arc<dyn DiskFile>,
    path: &'a Path,
    position: u64,
    end: u64,
    /// The lowest offset the next batch may begin with.
    floor: Offset,
    chunk_bytes: usize,
    chunk: Bytes,
    chunk_at: u64,
}

impl<'a> Scan<'a> {
    pub fn new(file: &'a Arc<dyn DiskFile>, path: &'a Path, position: u64, end: u64, floor: Offset) -> Self {
        Self { file, path, position, end, floor, chunk_bytes: LOOKUP_CHUNK_BYTES, chunk: Bytes::new(), chunk_at: 0 }
    }

    pub fn chunks(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes;
        self
    }

    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The next batch; none at the end.
    pub async fn next(&mut self) -> Result<Option<Place>, Error> {
        if self.position >= self.end {
            return Ok(None);
        }
        let header = self.bytes(self.position, BATCH_HEADER_BYTES).await?;
        let place = self.parse(&header).map_err(|problem| Error::corrupt(self.path, self.position, problem))?;
        self.position = place.end();
        self.floor = place.next;
        Ok(Some(place))
    }

    fn parse(&self, header: &Bytes) -> Result<Place, String> {
        let batch = Batch::header(header).map_err(|error| error.to_string())?;
        let place = Place::of(&batch, self.position);
        if place.end() > self.end {
            return Err(format!(
                "a batch of {} bytes does not fit in the {} bytes that are left",
                place.size,
                self.end - self.position
            ));
        }
        if place.base < self.floor {
            return Err(format!("a batch begins at offset {}; expected {} or later", place.base, self.floor));
        }
        if batch.last_offset_delta() < 0 || place.next.0 == i64::MAX {
            return Err(format!(
                "a batch at offset {} has a last offset delta of {}",
                place.base,
                batch.last_offset_delta()
            ));
        }
        Ok(place)
    }

    /// `len` bytes at `position`, from the chunk where it has them.
    async fn bytes(&mut self, position: u64, len: usize) -> Result<Bytes, Error> {
        if let Some(bytes) = self.in_chunk(position, len) {
            return Ok(bytes);
        }
        let available = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        let wanted = self.chunk_bytes.max(len).min(available);
        self.chunk = self.file.read_at(position, wanted).await.map_err(Error::io("read", self.path))?;
        self.chunk_at = position;
        Ok(self.chunk.slice(..len.min(self.chunk.len())))
    }

    fn in_chunk(&self, position: u64, len: usize) -> Option<Bytes> {
        let start = usize::try_from(position.checked_sub(self.chunk_at)?).ok()?;
        let end = start.checked_add(len)?;
        (end <= self.chunk.len()).then(|| self.chunk.slice(start..end))
    }

    /// The whole batch at `place`, its CRC checked.
    pub async fn batch(&mut self, place: &Place) -> Result<Batch, Error> {
        let corrupt = |problem: String| Error::corrupt(self.path, place.position, problem);
        let bytes = self.bytes(place.position, usize::try_from(place.size).unwrap_or(usize::MAX)).await?;
        let batches = split(bytes).map_err(|error| corrupt(error.to_string()))?;
        let batch = batches.into_iter().next().ok_or_else(|| corrupt("the file ends within a batch".to_owned()))?;
        batch.check_crc().map_err(|error| corrupt(error.to_string()))?;
        Ok(batch)
    }

    /// Whether the CRC of the batch at `place` fits its bytes. Memory is bounded however long the batch says it is.
    pub async fn check_crc(&mut self, place: &Place) -> Result<(), Error> {
        let header = self.bytes(place.position, BATCH_HEADER_BYTES).await?;
        let stored =
            Batch::header(&header).map_err(|error| Error::corrupt(self.path, place.position, error.to_string()))?.crc();
        let mut crc = Crc32c::new();
        let mut position = place.position + CRC_COVERS_FROM as u64;
        while position < place.end() {
            let len = usize::try_from(place.end() - position).unwrap_or(usize::MAX).min(RECOVERY_CHUNK_BYTES);
            let piece = self.bytes(position, len).await?;
            if piece.is_empty() {
                return Err(Error::corrupt(self.path, position, "the file ends within a batch"));
            }
            crc.update(&piece);
            position += piece.len() as u64;
        }
        let computed = crc.finish();
        if stored == computed {
            return Ok(());
        }
        let problem =
            format!("the batch at offset {} has CRC {computed:#010x}, its header says {stored:#010x}", place.base);
        Err(Error::corrupt(self.path, place.position, problem))
    }
}
