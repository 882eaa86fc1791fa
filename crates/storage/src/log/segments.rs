//! What a log's segments hold, the one that is written included, for people.

use super::Log;
use crate::error::Error;
use millstream_types::{Offset, TimestampMs};

/// A segment on the local disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalSegment {
    /// Its first offset.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// Bytes of the `.log` file.
    pub size: u64,
    /// The largest timestamp in it; -1 where no record has one.
    pub max_timestamp: TimestampMs,
}

impl Log {
    /// The segments, oldest first; the last is the one that is written.
    ///
    /// # Errors
    /// The disk's.
    pub async fn local_segments(&self) -> Result<Vec<LocalSegment>, Error> {
        let mut found = Vec::new();
        for segment in self.0.segments() {
            let (extent, largest) = (segment.extent(), segment.largest().await?);
            found.push(LocalSegment {
                base: segment.base,
                next: extent.next,
                size: extent.size,
                max_timestamp: TimestampMs(largest.timestamp),
            });
        }
        Ok(found)
    }
}
