//! From an offset, a position or a time to a batch of a segment. Indexes are hints: what they say is checked against the log.

use super::{Extent, Segment};
use crate::error::Error;
use crate::scan::{Place, Scan};
use millstream_types::Offset;

impl Segment {
    /// The first batch that has `offset` or a later one; none past the segment's end.
    pub async fn place_of(&self, offset: Offset) -> Result<Option<Place>, Error> {
        let extent = {
            let tail = self.tail.lock();
            if offset >= tail.next || tail.size == 0 {
                return Ok(None);
            }
            if tail.recent.front().is_some_and(|oldest| oldest.base <= offset) {
                let at = tail.recent.partition_point(|place| place.next <= offset);
                return Ok(tail.recent.get(at).copied());
            }
            Extent { size: tail.size, next: tail.next }
        };
        let mut scan = self.scan_near(offset, extent).await?;
        while let Some(place) = scan.next().await? {
            if place.next > offset {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Where the last batch ends that ends at or before `limit`, seen from the batch `start`; and the offset after it.
    pub async fn boundary(&self, start: &Place, limit: u64, extent: Extent) -> Result<(u64, Offset), Error> {
        if limit >= extent.size {
            return Ok((extent.size, extent.next));
        }
        let mut best = (start.end(), start.next);
        {
            let tail = self.tail.lock();
            if tail.recent.front().is_some_and(|oldest| oldest.position <= limit) {
                let fits = tail.recent.iter().rev().find(|place| place.end() <= limit && place.end() >= best.0);
                let before = tail.recent.front().filter(|oldest| oldest.position >= best.0 && oldest.end() > limit);
                if let Some(end) = fits
                    .map(|place| (place.end(), place.next))
                    .or_else(|| before.map(|oldest| (oldest.position, oldest.base)))
                {
                    return Ok(end);
                }
            }
        }
        let entry = self.offsets.last_where(|entry| u64::from(entry.position) <= limit).await?;
        let mut scan = match entry {
            Some(entry) if u64::from(entry.position) > best.0 => {
                self.scan_near(self.base + i64::from(entry.relative), extent).await?
            }
            _ => Scan::new(self.log(), self.path(), best.0, extent.size, best.1),
        };
        while let Some(place) = scan.next().await? {
            if place.end() > limit {
                return Ok(if place.position > best.0 { (place.position, place.base) } else { best });
            }
            best = (place.end().max(best.0), place.next.max(best.1));
        }
        Ok(best)
    }

    /// A scan that begins at or before the batch with `offset`: at the index's nearest entry, or at the start where the index lies.
    async fn scan_near(&self, offset: Offset, extent: Extent) -> Result<Scan<'_>, Error> {
        let entry = self.offsets.last_where(|entry| self.base + i64::from(entry.relative) <= offset).await?;
        let Some(entry) = entry else { return Ok(self.scan(0, extent.size)) };
        let (position, last) = (u64::from(entry.position), self.base + i64::from(entry.relative));
        let first = self.scan(position, extent.size).next().await;
        if matches!(first, Ok(Some(place)) if place.last() == last) {
            return Ok(self.scan(position, extent.size));
        }
        tracing::warn!(file = %self.offsets.path().display(), position, offset = last.0, "the index does not fit its log; reading the log from the segment's start");
        Ok(self.scan(0, extent.size))
    }

    /// The first batch with a timestamp of at least `timestamp` and an offset of at least `from`.
    pub async fn place_of_time(&self, timestamp: i64, from: Offset) -> Result<Option<Place>, Error> {
        let entry = self.times.last_where(|entry| entry.timestamp < timestamp).await?;
        let near = entry.map_or(self.base, |entry| self.base + i64::from(entry.relative)).max(from);
        let Some(start) = self.place_of(near).await? else { return Ok(None) };
        let mut scan = Scan::new(self.log(), self.path(), start.position, self.extent().size, start.base);
        while let Some(place) = scan.next().await? {
            if place.max_timestamp.0 >= timestamp && place.next > from {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}
