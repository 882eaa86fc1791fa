//! Reading: from an offset to a range of one file, never to bytes in memory.

use super::Log;
use crate::error::Error;
use crate::segment::{Extent, Segment};
use millstream_runtime::FileRange;
use millstream_types::Offset;
use std::sync::Arc;

/// Whole batches of one segment.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The batches' bytes; none where there is nothing to read yet, or nothing that fits.
    pub records: Option<FileRange>,
    /// The offset of the first record in `records`: that of the batch that has the offset asked for, so it may be lower.
    pub first_offset: Offset,
    /// The offset to go on from: after the last record in `records`.
    pub next_offset: Offset,
}

impl Slice {
    const fn empty(at: Offset) -> Self {
        Self { records: None, first_offset: at, next_offset: at }
    }

    /// Bytes of the batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.as_ref().map_or(0, |range| range.len)
    }

    /// Whether there is no batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Log {
    /// Whole batches from the one that has `from`, up to `below` (the high watermark or the last stable offset) and `max_bytes`. With `at_least_one` a first batch that
    /// is larger than `max_bytes` is returned all the same. A slice ends with its segment: go on from [`Slice::next_offset`].
    ///
    /// # Errors
    /// [`Error::OutOfRange`] below the log's start or past its end; [`Error::NotLocal`] for what only the object store has;
    /// [`Error::Corrupt`]; the disk's.
    pub async fn read(
        &self,
        from: Offset,
        below: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Slice, Error> {
        let mut from = from;
        loop {
            let Some((segment, extent)) = self.segment_for(from, below)? else { return Ok(Slice::empty(from)) };
            match slice_of(&segment, extent, (from, below), max_bytes, at_least_one).await? {
                Some(slice) => return Ok(slice),
                // Compaction may have left nothing from `from` to the segment's end: the next segment has what follows.
                None if extent.next > from => from = extent.next,
                None => return Ok(Slice::empty(from)),
            }
        }
    }

    /// The segment that has `from` or what follows it; none where nothing below `below` does.
    fn segment_for(&self, from: Offset, below: Offset) -> Result<Option<(Arc<Segment>, Extent)>, Error> {
        self.0.usable()?;
        let state = self.0.state.lock();
        let (start, end) = (state.log_start, state.log_end());
        if from < start || from > end {
            return Err(Error::OutOfRange { offset: from, start, end });
        }
        if from < state.local_start() {
            return Err(Error::NotLocal { offset: from, local_start: state.local_start() });
        }
        if from >= below.min(end) {
            return Ok(None);
        }
        let found = state.segments.range(..=from).next_back().map(|(_, segment)| (segment.clone(), segment.extent()));
        Ok(found)
    }
}

async fn slice_of(
    segment: &Arc<Segment>,
    extent: Extent,
    (from, below): (Offset, Offset),
    max_bytes: usize,
    at_least_one: bool,
) -> Result<Option<Slice>, Error> {
    let Some(start) = segment.place_of(from).await? else { return Ok(None) };
    let visible = if below >= extent.next {
        extent
    } else {
        match segment.place_of(below).await? {
            Some(hidden) => Extent { size: hidden.position, next: hidden.base },
            None => extent,
        }
    };
    if start.end() > visible.size || (!at_least_one && start.size > max_bytes as u64) {
        return Ok(Some(Slice::empty(from)));
    }
    let max_bytes = segment.check_before_read(&start, max_bytes).await?;
    let visible = match segment.damage_from(&start) {
        Some(damage) if damage.bytes.start <= start.position => return Err(damage.error()),
        Some(damage) if damage.bytes.start < visible.size => {
            Extent { size: damage.bytes.start, next: damage.offsets.start }
        }
        _ => visible,
    };
    let limit = start.position.saturating_add((max_bytes as u64).max(start.size));
    let (end, next_offset) = segment.boundary(&start, limit, visible).await?;
    let len = usize::try_from(end - start.position).unwrap_or(usize::MAX);
    let records = FileRange { file: segment.log().clone(), position: start.position, len };
    Ok(Some(Slice { records: Some(records), first_offset: start.base, next_offset }))
}
