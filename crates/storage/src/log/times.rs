//! From a time to an offset: what ListOffsets asks.

use super::{Log, Shared};
use crate::error::Error;
use crate::scan::Place;
use crate::segment::Segment;
use millstream_record::{Batch, Limits, RecordRef, split};
use millstream_types::{Offset, TimestampMs};

impl Log {
    /// The first record here whose timestamp is at least `timestamp`: its offset and timestamp. None where there is none.
    ///
    /// # Errors
    /// The disk's; [`Error::Corrupt`].
    pub async fn offset_for_time(&self, timestamp: TimestampMs) -> Result<Option<(Offset, TimestampMs)>, Error> {
        self.0.usable()?;
        let mut from = self.local_start();
        for segment in self.0.segments() {
            if segment.extent().next <= from || segment.largest().await?.timestamp < timestamp.0 {
                continue;
            }
            while let Some(place) = segment.place_of_time(timestamp.0, from).await? {
                let found = self
                    .0
                    .find_record(&segment, &place, |record| record.offset >= from && record.timestamp >= timestamp)
                    .await?;
                if found.is_some() {
                    return Ok(found);
                }
                from = place.next;
            }
        }
        Ok(None)
    }

    /// The record here with the largest timestamp: its offset and timestamp. None where no record has one.
    ///
    /// # Errors
    /// The disk's; [`Error::Corrupt`].
    pub async fn offset_of_max_timestamp(&self) -> Result<Option<(Offset, TimestampMs)>, Error> {
        self.0.usable()?;
        let start = self.local_start();
        let mut best: Option<(std::sync::Arc<Segment>, crate::segment::Largest)> = None;
        for segment in self.0.segments() {
            let largest = segment.largest().await?;
            if segment.extent().next > start && largest.timestamp > best.as_ref().map_or(-1, |(_, best)| best.timestamp)
            {
                best = Some((segment, largest));
            }
        }
        let Some((segment, largest)) = best else { return Ok(None) };
        let Some(place) = segment.place_of(largest.offset).await? else { return Ok(None) };
        self.0.find_record(&segment, &place, |record| record.timestamp.0 >= largest.timestamp).await
    }
}

impl Shared {
    /// The first record of the batch at `place` that fits.
    async fn find_record(
        &self,
        segment: &Segment,
        place: &Place,
        fits: impl Fn(&RecordRef<'_>) -> bool,
    ) -> Result<Option<(Offset, TimestampMs)>, Error> {
        let len = usize::try_from(place.size).unwrap_or(usize::MAX);
        let bytes = segment.log().read_at(place.position, len).await.map_err(Error::io("read", segment.path()))?;
        let corrupt =
            |error: millstream_record::Error| Error::corrupt(segment.path(), place.position, error.to_string());
        let batches = split(bytes).map_err(corrupt)?;
        let mut found = None;
        for batch in &batches {
            Batch::check_crc(batch).map_err(corrupt)?;
            batch
                .each(&Limits::default(), |record| {
                    if found.is_none() && fits(&record) {
                        found = Some((record.offset, record.timestamp));
                    }
                })
                .map_err(corrupt)?;
        }
        Ok(found)
    }
}
