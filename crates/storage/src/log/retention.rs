//! Taking records off the start: by age, by size, and by request.

use super::{Log, Shared};
use crate::error::Error;
use crate::names::{self, Suffix};
use crate::segment::Segment;
use millstream_types::{Offset, TimestampMs};
use std::sync::Arc;

impl Log {
    /// Deletes segments that are older or more than the topic keeps, if all their records are below `below` (the high watermark). Of a topic
    /// that is copied to remote storage only what is below the log's start goes: the rest is the tier's to say ([`Log::delete_local_before`]).
    /// Returns how many segments went.
    ///
    /// # Errors
    /// The disk's.
    pub async fn retain(&self, now: TimestampMs, below: Offset) -> Result<usize, Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        let config = self.config();
        let mut start = self.log_start();
        if config.delete && (!config.remote_storage_enable || config.remote_log_copy_disable) {
            let segments = self.0.segments();
            let kept = kept_from(&segments, now, below, (config.retention_ms, config.retention_bytes)).await?;
            start = start.max(kept);
        }
        self.0.start_at(start).await
    }

    /// Moves the log's start to `start`: records below can't be read any more, and segments wholly below go. Nothing happens where it
    /// starts later already. Returns the log's start.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] past the log's end; the disk's.
    pub async fn delete_before(&self, start: Offset) -> Result<Offset, Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        let (log_start, end) = (self.log_start(), self.log_end());
        if start > end {
            return Err(Error::OutOfRange { offset: start, start: log_start, end });
        }
        self.0.start_at(start.max(log_start)).await?;
        Ok(self.log_start())
    }

    /// Deletes closed segments wholly below `offset` from this disk; the log's start stays, since they are in the object store.
    /// Returns how many went.
    ///
    /// # Errors
    /// The disk's.
    pub async fn delete_local_before(&self, offset: Offset) -> Result<usize, Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        self.0.drop_below(offset, true).await
    }
}

/// The base of the first segment that stays, or where the last one ends.
async fn kept_from(
    segments: &[Arc<Segment>],
    now: TimestampMs,
    below: Offset,
    (retention_ms, retention_bytes): (i64, i64),
) -> Result<Offset, Error> {
    let total: u64 = segments.iter().map(|segment| segment.size()).sum();
    let mut excess = u64::try_from(retention_bytes).map_or(0, |limit| total.saturating_sub(limit));
    let mut kept = Offset::ZERO;
    for (place, segment) in segments.iter().enumerate() {
        let extent = segment.extent();
        kept = segment.base;
        // An empty one that others follow was emptied by a compaction.
        let is_unused = extent.size == 0 && place + 1 == segments.len();
        if is_unused || extent.next > below {
            return Ok(kept);
        }
        let largest = segment.largest().await?.timestamp;
        let is_old = retention_ms >= 0 && largest >= 0 && now.0.saturating_sub(largest) > retention_ms;
        let is_excess = excess >= extent.size;
        if !is_old && !is_excess {
            return Ok(kept);
        }
        excess = excess.saturating_sub(extent.size);
        kept = extent.next;
    }
    Ok(kept)
}

impl Shared {
    /// Called by the writer. The new start is stored before any file goes, so that a segment that a crash brings back is below it.
    async fn start_at(self: &Arc<Self>, start: Offset) -> Result<usize, Error> {
        let moved = {
            let mut state = self.state.lock();
            let moved = start > state.log_start;
            state.log_start = state.log_start.max(start);
            moved
        };
        if moved {
            self.store_checkpoint().await?;
            self.change_epochs(|epochs| epochs.truncate_start(start)).await?;
        }
        let active = self.active()?;
        if active.size() > 0 && active.extent().next <= start {
            self.roll_to(&active, active.extent().next).await?;
        }
        let dropped = self.drop_below(start, false).await?;
        self.drop_aborted_below(start).await?;
        Ok(dropped)
    }

    /// Drops closed segments whose records are all below `offset`, oldest first, so that a crash leaves no gap. What `stays_remote` can still be
    /// read from the object store, and its aborts are looked up here.
    async fn drop_below(&self, offset: Offset, stays_remote: bool) -> Result<usize, Error> {
        let _sweeper = self.sweeper.lock().await;
        let segments = self.segments();
        let bases: Vec<Offset> =
            segments.windows(2).take_while(|pair| pair[1].base <= offset).map(|pair| pair[0].base).collect();
        for base in &bases {
            self.state.lock().segments.remove(base);
            match stays_remote {
                true => self.remove_log_files(*base).await?,
                false => self.remove_files(*base).await?,
            }
            let snapshot = names::file(&self.folder, *base, Suffix::Snapshot);
            match self.runtime.disk.remove_file(&snapshot).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &snapshot)(error));
                }
                _ => {}
            }
        }
        Ok(bases.len())
    }
}
