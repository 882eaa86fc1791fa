//! Opening the segments that a stop may have left unfinished: checked, cut, indexes rebuilt.

use super::{Largest, Segment};
use crate::epochs::Epochs;
use crate::error::Error;
use crate::index::{OffsetEntry, TimeEntry};
use crate::scan::{Place, RECOVERY_CHUNK_BYTES, Scan};
use millstream_runtime::Runtime;
use millstream_types::{Offset, TopicConfig};
use std::path::Path;

/// What may be wrong with a segment after an unclean stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// Records below were synced: damage there is not of the stop.
    pub recovery_point: Offset,
    /// Records below were deleted: what is missing of them is not missed.
    pub log_start: Offset,
    /// The page cache survived: only the very end of the log can be unfinished.
    pub same_boot: bool,
    /// No segment follows.
    pub is_last: bool,
}

/// What was taken off a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The offset after the last good record.
    pub next: Offset,
    /// Bytes that were cut.
    pub bytes: u64,
    /// Why, where there were any.
    pub problem: Option<String>,
}

impl Segment {
    /// The active segment after a clean stop: only what lies after its last index entry is looked at. None where that is not as a
    /// clean stop leaves it.
    pub async fn open_clean(
        runtime: &Runtime,
        folder: &Path,
        base: Offset,
        jitter_ms: i64,
    ) -> Result<Option<Self>, Error> {
        let segment = Self::open(runtime, folder, base, jitter_ms).await?;
        let size = segment.size();
        let entries = segment.offsets.activate().await?;
        let times = segment.times.activate().await?;
        let ordered = entries.is_sorted_by(|a, b| a.relative < b.relative && a.position < b.position)
            && times.is_sorted_by(|a, b| a.timestamp < b.timestamp && a.relative <= b.relative);
        let start = entries.last().map_or(0, |entry| u64::from(entry.position));
        if !ordered || start > size {
            return Ok(None);
        }
        let mut scan = Scan::new(&segment.log, &segment.path, start, size, base);
        let (mut first_seen, mut last) = (None, None);
        while let Ok(place) = scan.next().await {
            let Some(place) = place else { break };
            first_seen.get_or_insert(place);
            last = Some(place);
        }
        if scan.position() != size || !segment.tail_is_good(&mut scan, first_seen, last).await? {
            return Ok(None);
        }
        segment.tail.lock().next = last.map_or(base, |place| place.next);
        segment.activate().await?;
        Ok(Some(segment))
    }

    async fn tail_is_good(
        &self,
        scan: &mut Scan<'_>,
        first: Option<Place>,
        last: Option<Place>,
    ) -> Result<bool, Error> {
        let indexed = self.offsets.last().await?;
        if let Some(entry) = indexed
            && first.map(|place| place.last()) != Some(self.base + i64::from(entry.relative))
        {
            return Ok(false);
        }
        let Some(last) = last else { return Ok(true) };
        match scan.check_crc(&last).await {
            Ok(()) => Ok(true),
            Err(Error::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A segment after an unclean stop: every batch is checked, what the stop left unfinished is cut off, both indexes are made anew,
    /// and leader epochs that the checkpoint lacks are added. The segment is active then.
    pub async fn recover(
        runtime: &Runtime,
        folder: &Path,
        (base, jitter_ms): (Offset, i64),
        (trust, config): (Trust, &TopicConfig),
        epochs: &mut Epochs,
    ) -> Result<(Self, Cut), Error> {
        let segment = Self::open(runtime, folder, base, jitter_ms).await?;
        let size = segment.size();
        segment.reset();
        let interval = u64::try_from(config.index_interval_bytes).unwrap_or(0);
        let mut scan = segment.scan(0, size).chunks(RECOVERY_CHUNK_BYTES);
        let mut valid = 0;
        let problem = loop {
            match segment.next_checked(&mut scan).await {
                Ok(None) => break None,
                Ok(Some(place)) => {
                    segment.grow([place].into_iter(), interval);
                    epochs.found(place.epoch, place.base);
                    valid = place.end();
                }
                Err(Error::Corrupt { problem, .. }) => break Some(problem),
                Err(error) => return Err(error),
            }
        };
        let next = segment.extent().next;
        if let Some(problem) = &problem {
            segment.judge(valid, size, problem, trust).await?;
            segment.cut_file(valid).await?;
        }
        {
            // What was recovered counts from here, as after any opening.
            let mut tail = segment.tail.lock();
            tail.bytes_since_entry = 0;
        }
        segment.store_indexes().await?;
        Ok((segment, Cut { next, bytes: size - valid, problem }))
    }

    fn reset(&self) {
        self.offsets.replace(Vec::<OffsetEntry>::new());
        self.times.replace(Vec::<TimeEntry>::new());
        let mut tail = self.tail.lock();
        tail.size = 0;
        tail.next = self.base;
        tail.largest = Some(Largest { timestamp: -1, offset: self.base });
    }

    async fn next_checked(&self, scan: &mut Scan<'_>) -> Result<Option<Place>, Error> {
        let Some(place) = scan.next().await? else { return Ok(None) };
        if place.last() - self.base > i64::from(i32::MAX) {
            return Err(Error::corrupt(
                &self.path,
                place.position,
                format!("offset {} is too far from the segment's base", place.last()),
            ));
        }
        scan.check_crc(&place).await?;
        Ok(Some(place))
    }

    /// Whether the damage at `valid` is what a stop leaves behind. If not it is an error: cutting would take away good records.
    async fn judge(&self, valid: u64, size: u64, problem: &str, trust: Trust) -> Result<(), Error> {
        if self.extent().next.max(trust.log_start) < trust.recovery_point {
            let detail = format!("{problem}; records below offset {} had been synced", trust.recovery_point);
            return Err(Error::corrupt(&self.path, valid, detail));
        }
        if trust.same_boot && (!trust.is_last || self.good_batch_follows(valid, size).await?) {
            return Err(Error::corrupt(&self.path, valid, format!("{problem}; good records follow")));
        }
        Ok(())
    }

    /// Whether a whole batch with a good CRC follows the broken one at `position`, if its length is to be believed.
    async fn good_batch_follows(&self, position: u64, size: u64) -> Result<bool, Error> {
        let mut scan = Scan::new(&self.log, &self.path, position, size, self.base);
        let broken = scan.next().await;
        if !matches!(broken, Ok(Some(_))) {
            return Ok(false);
        }
        let Ok(Some(place)) = scan.next().await else { return Ok(false) };
        match scan.check_crc(&place).await {
            Ok(()) => Ok(true),
            Err(Error::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
