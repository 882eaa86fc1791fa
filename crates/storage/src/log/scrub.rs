//! Looking for damage: records that nobody reads go bad as well.

use super::Log;
use crate::error::Error;
use crate::pace::Pace;
use crate::segment::{Damage, Segment};
use millstream_types::Offset;
use std::sync::Arc;

/// What a look at a log's closed segments found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes that were read.
    pub bytes: u64,
    /// What is not what was written, in the order of the log.
    pub damages: Vec<Damage>,
}

impl Log {
    /// Reads the closed segments and checks each batch. Batches that are damaged are refused to readers from then on. Appends and reads go on
    /// beside it; a segment that is compacted or deleted meanwhile is passed over. None when the pace was told to stop.
    ///
    /// # Errors
    /// The disk's.
    pub async fn scrub(&self, pace: &Pace) -> Result<Option<Scrubbed>, Error> {
        let mut scrubbed = Scrubbed::default();
        let mut after = None;
        while let Some(segment) = self.closed_after(after) {
            after = Some(segment.base);
            let Some(damages) = segment.scrub(pace).await? else { return Ok(None) };
            scrubbed.bytes += segment.size();
            scrubbed.damages.extend(damages);
        }
        Ok(Some(scrubbed))
    }

    /// Whether there is anything that was not checked when the log was opened after a kill, nor since.
    #[must_use]
    pub fn has_unchecked(&self) -> bool {
        self.0.segments().iter().any(|segment| segment.unchecked().size > 0)
    }

    /// Reads what was not checked when the log was opened after a kill, and checks it. Until that is done it is checked at each read. None when
    /// the pace was told to stop.
    ///
    /// # Errors
    /// The disk's.
    pub async fn scrub_unchecked(&self, pace: &Pace) -> Result<Option<Scrubbed>, Error> {
        let mut scrubbed = Scrubbed::default();
        for segment in self.0.segments() {
            let size = segment.unchecked().size;
            if size > 0 {
                let Some(damages) = segment.scrub_unchecked(pace).await? else { return Ok(None) };
                scrubbed.bytes += size;
                scrubbed.damages.extend(damages);
            }
        }
        Ok(Some(scrubbed))
    }

    /// The first closed segment past the one that began at `base`.
    fn closed_after(&self, base: Option<Offset>) -> Option<Arc<Segment>> {
        let state = self.0.state.lock();
        let from = base.map_or(Offset::ZERO, |base| base + 1);
        let mut rest = state.segments.range(from..);
        let (_, segment) = rest.next()?;
        rest.next().map(|_| segment.clone())
    }
}
