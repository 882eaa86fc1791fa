//! When a segment is full: Kafka's rules.

use super::Segment;
use crate::error::Error;
use crate::index::{Entry, OffsetEntry, TimeEntry};
use millstream_types::{Offset, TimestampMs, TopicConfig};

/// What is about to be appended.
#[derive(Debug, Clone, Copy)]
pub struct Next {
    /// Bytes that will have been written to the segment before it, by the same append.
    pub pending: u64,
    /// The largest timestamp of the first of those.
    pub pending_timestamp: Option<i64>,
    /// Its own.
    pub bytes: u64,
    pub max_timestamp: TimestampMs,
    pub last_offset: Offset,
}

impl Segment {
    /// Whether this segment must be closed before `next` is appended.
    pub fn is_full_for(&self, next: &Next, config: &TopicConfig, now: TimestampMs) -> bool {
        let tail = self.tail.lock();
        let size = tail.size + next.pending;
        let waited = match tail.first_timestamp.or(next.pending_timestamp) {
            Some(first) if first >= 0 => next.max_timestamp.0.saturating_sub(first),
            _ => now.0.saturating_sub(tail.created.0),
        };
        let bytes_max = u64::try_from(config.segment_bytes).unwrap_or(0);
        // Only closed segments are compacted: one that is must be closed in time for that.
        let segment_ms =
            if config.compact { config.segment_ms.min(config.max_compaction_lag_ms) } else { config.segment_ms };
        size > 0 && (size.saturating_add(next.bytes) > bytes_max || waited > segment_ms - self.jitter_ms)
            || self.indexes_are_full(config)
            || next.last_offset - self.base > i64::from(i32::MAX)
    }

    /// Sets the disk space of a whole segment aside, where the topic asks for it.
    pub async fn preallocate(&self, config: &TopicConfig) -> Result<(), Error> {
        match u64::try_from(config.segment_bytes) {
            Ok(bytes) if config.preallocate => {
                self.log.reserve(bytes).await.map_err(Error::io("set space aside for", &self.path))
            }
            _ => Ok(()),
        }
    }

    /// Gives back what of that was not used.
    pub async fn give_back(&self, config: &TopicConfig) {
        if config.preallocate
            && let Err(error) = self.log.reserve(0).await
        {
            tracing::warn!(file = %self.path.display(), %error, "disk space that was set aside for a segment was not given back");
        }
    }

    fn indexes_are_full(&self, config: &TopicConfig) -> bool {
        let bytes = usize::try_from(config.segment_index_bytes).unwrap_or(0);
        let (offsets_max, times_max) = (bytes / OffsetEntry::BYTES, bytes / TimeEntry::BYTES);
        let (offsets, times) = (self.offsets.active_len(), self.times.active_len());
        // One entry of the time index is kept free for the closing of the segment.
        offsets > 0 && (offsets >= offsets_max || times + 1 >= times_max)
    }
}
