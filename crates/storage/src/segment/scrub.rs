//! Looking for damage in a segment that nobody writes any more, and what is known of it.

use super::{Extent, Segment};
use crate::error::Error;
use crate::pace::Pace;
use crate::scan::{Place, RECOVERY_CHUNK_BYTES};
use millstream_types::{LeaderEpoch, Offset};
use std::ops::Range;
use std::path::PathBuf;

/// Batches of a segment that are not what was written. They are not served; what lies around them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The `.log` file.
    pub path: PathBuf,
    /// The bytes of it that can't be trusted.
    pub bytes: Range<u64>,
    /// The offsets that are, or were, in them.
    pub offsets: Range<Offset>,
    /// What is wrong.
    pub problem: String,
}

impl Damage {
    /// What a reader of these batches is told.
    #[must_use]
    pub fn error(&self) -> Error {
        Error::corrupt(&self.path, self.bytes.start, self.problem.clone())
    }
}

impl Segment {
    /// Checks every batch: its CRC, and, since that covers neither base offset nor leader epoch, that both go on from the batch before and
    /// stay within the segment. What is found is remembered in place of what was known. None when the pace was told to stop.
    ///
    /// # Errors
    /// The disk's.
    pub async fn scrub(&self, pace: &Pace) -> Result<Option<Vec<Damage>>, Error> {
        let extent = self.extent();
        let Some(found) = self.look((0, self.base), extent.size, extent, Some(pace)).await? else { return Ok(None) };
        self.damages.lock().clone_from(&found);
        self.set_unchecked(Extent { size: 0, next: self.base });
        Ok(Some(found))
    }

    /// The same for what was not checked when the segment was opened, and is checked at each read until this has been done.
    pub async fn scrub_unchecked(&self, pace: &Pace) -> Result<Option<Vec<Damage>>, Error> {
        let unchecked = self.unchecked();
        let Some(found) = self.look((0, self.base), unchecked.size, unchecked, Some(pace)).await? else {
            return Ok(None);
        };
        self.add_damages(&found);
        self.set_unchecked(Extent { size: 0, next: self.base });
        Ok(Some(found))
    }

    /// Checks what is about to be read from `start` on, as far as that was not done since the segment was opened. Returns how many bytes may be
    /// read at once: what is checked is checked while the reader waits.
    pub async fn check_before_read(&self, start: &Place, max_bytes: usize) -> Result<usize, Error> {
        let unchecked = self.unchecked();
        if start.position >= unchecked.size {
            return Ok(max_bytes);
        }
        let max_bytes = max_bytes.min(RECOVERY_CHUNK_BYTES);
        let limit = start.position.saturating_add(max_bytes as u64).max(start.end());
        let known = self.damage_from(start).map_or(unchecked.size, |known| known.bytes.start.min(unchecked.size));
        let until = known.min(limit);
        if start.position < until
            && let Some(found) = self.look((start.position, start.base), until, unchecked, None).await?
        {
            self.add_damages(&found);
        }
        Ok(max_bytes)
    }

    /// What was not checked when the segment was opened, nor since: its first bytes.
    pub fn unchecked(&self) -> Extent {
        *self.unchecked.lock()
    }

    pub fn set_unchecked(&self, extent: Extent) {
        *self.unchecked.lock() = extent;
    }

    fn add_damages(&self, found: &[Damage]) {
        let mut damages = self.damages.lock();
        for damage in found {
            let at = damages.partition_point(|known| known.bytes.start < damage.bytes.start);
            if damages.get(at).is_none_or(|known| known.bytes.start != damage.bytes.start) {
                damages.insert(at, damage.clone());
            }
        }
    }

    /// Looks at the batches from one on that begin before `until`, of those that lie in `extent`.
    async fn look(
        &self,
        (position, mut floor): (u64, Offset),
        until: u64,
        extent: Extent,
        pace: Option<&Pace>,
    ) -> Result<Option<Vec<Damage>>, Error> {
        let mut found: Vec<Damage> = Vec::new();
        let mut scan = self.scan(position, extent.size).chunks(RECOVERY_CHUNK_BYTES);
        let mut epoch = LeaderEpoch::NONE;
        while scan.position() < until {
            let at = scan.position();
            let place = match scan.next().await {
                Ok(Some(place)) => place,
                Ok(None) => break,
                // Without its header nobody knows where the next batch begins.
                Err(Error::Corrupt { problem, .. }) => {
                    found.push(self.damage(at..extent.size, floor..extent.next, problem));
                    break;
                }
                Err(error) => return Err(error),
            };
            match scan.check_crc(&place).await {
                Ok(()) => {}
                Err(Error::Corrupt { problem, .. }) => {
                    found.push(self.damage(place.position..place.end(), place.base..place.next, problem));
                }
                Err(error) => return Err(error),
            }
            if let Some(problem) = breaks_order(&place, extent.next, epoch) {
                found.push(self.damage(place.position..place.end(), floor..place.next.min(extent.next), problem));
            }
            (floor, epoch) = (place.next, epoch.max(place.epoch));
            if let Some(pace) = pace {
                pace.took(usize::try_from(place.size).unwrap_or(usize::MAX)).await;
                if pace.is_stopped() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(found))
    }

    fn damage(&self, bytes: Range<u64>, offsets: Range<Offset>, problem: String) -> Damage {
        Damage { path: self.path().to_owned(), bytes, offsets, problem }
    }

    /// The first damage at or after a batch; it may lie after the batch.
    pub fn damage_from(&self, place: &Place) -> Option<Damage> {
        self.damages.lock().iter().find(|damage| damage.bytes.end > place.position).cloned()
    }
}

fn breaks_order(place: &Place, segment_end: Offset, newest: LeaderEpoch) -> Option<String> {
    if place.next > segment_end {
        return Some(format!(
            "a batch has offsets up to {}; expected less than {segment_end}, where the next segment begins",
            place.last()
        ));
    }
    (place.epoch < newest).then(|| {
        format!("the batch at offset {} has leader epoch {}; expected {newest} or later", place.base, place.epoch)
    })
}
