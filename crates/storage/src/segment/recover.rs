//! Opening the segments that a stop may have left unfinished: checked, cut, indexes rebuilt.

use super::{Extent, Largest, Segment};
use crate::epochs::Epochs;
use crate::error::Error;
use crate::index::{OffsetEntry, TimeEntry};
use crate::scan::{Place, RECOVERY_CHUNK_BYTES, Scan};
use millstream_record::BATCH_HEADER_BYTES;
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
    /// After a kill: there are index files and epochs of what is below the recovery point.
    pub has_resumable: bool,
}

/// How far the batches of a segment are good.
struct Checked {
    valid: u64,
    problem: Option<String>,
    /// A batch ends where the recovery point is.
    meets_recovery_point: bool,
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

    /// A segment after an unclean stop: batches are checked, what the stop left unfinished is cut off, both indexes are made whole, and leader
    /// epochs that the checkpoint lacks are added. The segment is active then.
    ///
    /// After a power cut every batch is checked. After a kill of the process what was synced before it is as it was written, so that checking
    /// begins at the last indexed batch below the recovery point; what lies below is checked before it is read and by the scrubber. Where the
    /// recovery point or the index files don't fit the records, all of them are checked.
    pub async fn recover(
        runtime: &Runtime,
        folder: &Path,
        (base, jitter_ms): (Offset, i64),
        (trust, config): (Trust, &TopicConfig),
        epochs: &mut Epochs,
    ) -> Result<(Self, Cut), Error> {
        let segment = Self::open(runtime, folder, base, jitter_ms).await?;
        let known = if trust.has_resumable { segment.resume(trust.recovery_point).await? } else { None };
        if let Some(known) = known {
            let mut found = epochs.clone();
            let checked = segment.check_from(known.size, (trust, config), &mut found).await?;
            if checked.meets_recovery_point {
                *epochs = found;
                segment.set_unchecked(known);
                let cut = segment.cut_unfinished(checked, trust).await?;
                if !trust.is_last {
                    segment.store_indexes().await?;
                }
                return Ok((segment, cut));
            }
            tracing::warn!(file = %segment.path.display(), recovery_point = trust.recovery_point.0, "no batch ends at the recovery point; the whole segment is checked");
        }
        segment.reset();
        let checked = segment.check_from(0, (trust, config), epochs).await?;
        let cut = segment.cut_unfinished(checked, trust).await?;
        segment.store_indexes().await?;
        Ok((segment, cut))
    }

    /// Checks the batches from `valid` on, and takes note of the good ones.
    async fn check_from(
        &self,
        mut valid: u64,
        (trust, config): (Trust, &TopicConfig),
        epochs: &mut Epochs,
    ) -> Result<Checked, Error> {
        let interval = u64::try_from(config.index_interval_bytes).unwrap_or(0);
        let mut meets_recovery_point = false;
        let mut scan = self.scan(valid, self.log.len()).chunks(RECOVERY_CHUNK_BYTES);
        let problem = loop {
            match self.next_checked(&mut scan).await {
                Ok(None) => break None,
                Ok(Some(place)) => {
                    self.grow([place].into_iter(), interval);
                    epochs.found(place.epoch, place.base);
                    valid = place.end();
                    meets_recovery_point |= place.next == trust.recovery_point;
                }
                Err(Error::Corrupt { problem, .. }) => break Some(problem),
                Err(error) => return Err(error),
            }
        };
        Ok(Checked { valid, problem, meets_recovery_point })
    }

    async fn cut_unfinished(&self, checked: Checked, trust: Trust) -> Result<Cut, Error> {
        let (size, next) = (self.log.len(), self.extent().next);
        if let Some(problem) = &checked.problem {
            self.judge(checked.valid, size, problem, trust).await?;
            self.cut_file(checked.valid).await?;
        }
        // What was recovered counts from here, as after any opening.
        self.tail.lock().bytes_since_entry = 0;
        Ok(Cut { next, bytes: size - checked.valid, problem: checked.problem })
    }

    /// Takes over what the index files say of the batches below the recovery point: as of the last indexed one of them. Returns where that
    /// begins; none where the files don't fit the records.
    async fn resume(&self, recovery_point: Offset) -> Result<Option<Extent>, Error> {
        let (mut entries, mut times) = (self.offsets.activate().await?, self.times.activate().await?);
        let is_below = |entry: &OffsetEntry| self.base + i64::from(entry.relative) < recovery_point;
        entries.truncate(entries.iter().take_while(|entry| is_below(entry)).count());
        let Some(last) = entries.last().copied() else { return Ok(None) };
        times.truncate(times.iter().take_while(|entry| entry.relative <= last.relative).count());
        let is_sound = self.offsets.is_whole()
            && self.times.is_whole()
            && entries.is_sorted_by(|a, b| a.relative < b.relative && a.position < b.position)
            && times.is_sorted_by(|a, b| a.timestamp < b.timestamp && a.relative <= b.relative);
        let (first, indexed) = (self.header_at(0).await?, self.header_at(u64::from(last.position)).await?);
        let (Some(first), Some(indexed)) = (first, indexed) else { return Ok(None) };
        if !is_sound || self.relative(indexed.last()) != last.relative || !self.is_of(times.last(), &entries).await? {
            return Ok(None);
        }
        self.offsets.cut(|entry| entry.relative > last.relative);
        self.times.cut(|entry| entry.relative > last.relative);
        let known = Extent { size: indexed.position, next: indexed.base };
        let mut tail = self.tail.lock();
        (tail.size, tail.next) = (known.size, known.next);
        tail.first_timestamp = Some(first.max_timestamp.0);
        tail.largest = Some(times.last().map_or(Largest { timestamp: -1, offset: self.base }, |entry| Largest {
            timestamp: entry.timestamp,
            offset: self.base + i64::from(entry.relative),
        }));
        Ok(Some(known))
    }

    /// Whether the batch that an entry of the time index names has that timestamp.
    async fn is_of(&self, time: Option<&TimeEntry>, entries: &[OffsetEntry]) -> Result<bool, Error> {
        let Some(time) = time else { return Ok(true) };
        let near = entries.partition_point(|entry| entry.relative <= time.relative).checked_sub(1);
        let from = near.map_or(0, |at| u64::from(entries[at].position));
        let mut scan = self.scan(from, self.log.len()).chunks(BATCH_HEADER_BYTES);
        loop {
            match scan.next().await {
                Ok(Some(place)) if self.relative(place.last()) < time.relative => {}
                Ok(Some(place)) => {
                    return Ok(self.relative(place.last()) == time.relative && place.max_timestamp.0 == time.timestamp);
                }
                Ok(None) | Err(Error::Corrupt { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// What the header of the batch at `position` says; none where there is none.
    async fn header_at(&self, position: u64) -> Result<Option<Place>, Error> {
        match self.scan(position, self.log.len()).chunks(BATCH_HEADER_BYTES).next().await {
            Err(Error::Corrupt { .. }) => Ok(None),
            place => place,
        }
    }

    fn reset(&self) {
        self.offsets.replace(Vec::<OffsetEntry>::new());
        self.times.replace(Vec::<TimeEntry>::new());
        let mut tail = self.tail.lock();
        tail.size = 0;
        tail.next = self.base;
        tail.largest = Some(Largest { timestamp: -1, offset: self.base });
        tail.first_timestamp = None;
        tail.bytes_since_entry = 0;
        tail.recent.clear();
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
