//! What survives a power cut: syncing, the recovery point, and a clean close.

use super::{Log, Shared};
use crate::error::Error;
use crate::segment::Segment;
use bytes::Bytes;
use millstream_types::Offset;
use std::sync::Arc;
use std::time::Duration;

impl Log {
    /// Makes every record that is in the log now survive a power cut. Many callers share one sync.
    ///
    /// # Errors
    /// The disk's. After a sync that failed nobody knows what the disk holds, so that the log takes no more writes.
    pub async fn flush(&self) -> Result<(), Error> {
        self.0.flush_below(self.log_end()).await
    }

    /// Records that a power cut would take.
    #[must_use]
    pub fn unflushed_records(&self) -> i64 {
        let state = self.0.state.lock();
        (state.log_end() - state.recovery_point).max(0)
    }

    /// Whether `flush.messages` or `flush.ms` says that it is time for [`Log::flush`].
    #[must_use]
    pub fn flush_due(&self) -> bool {
        let unflushed = self.unflushed_records();
        let config = self.config();
        let waited = self.0.runtime.clock.elapsed().saturating_sub(self.0.state.lock().last_flush);
        let limit = Duration::from_millis(u64::try_from(config.flush_ms).unwrap_or(0));
        unflushed > 0 && (unflushed >= config.flush_messages || waited >= limit)
    }

    /// Writes down the recovery point, so that the next recovery begins there. Called now and then; a roll does it too.
    ///
    /// # Errors
    /// The disk's.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        self.0.usable()?;
        self.0.store_checkpoint().await
    }

    /// Closes the log so that it can be opened as clean: everything is synced, the indexes are complete. `producers` are written as the
    /// snapshot at the log's end. The log takes no more writes afterwards.
    ///
    /// # Errors
    /// The disk's; the next opening is not a clean one then.
    pub async fn close(&self, producers: Option<Bytes>) -> Result<(), Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        if let Some(producers) = producers {
            self.write_producer_snapshot(self.log_end(), producers).await?;
        }
        let active = self.0.active()?;
        active.store_indexes().await?;
        self.0.flush_below(self.log_end()).await?;
        self.0.store_epochs().await?;
        active.sync_indexes().await?;
        self.0.store_checkpoint().await?;
        self.0.state.lock().close();
        Ok(())
    }
}

impl Shared {
    pub(super) async fn flush_below(&self, end: Offset) -> Result<(), Error> {
        let _flusher = self.flusher.lock().await;
        self.writable()?;
        let (truncations, recovery_point, end, segments, folder) = {
            let state = self.state.lock();
            if state.recovery_point >= end && !state.folder_unsynced {
                return Ok(());
            }
            let unsynced: Vec<Arc<Segment>> = state
                .segments
                .values()
                .filter(|segment| segment.extent().next >= state.recovery_point)
                .cloned()
                .collect();
            (state.truncations, state.recovery_point, state.log_end(), unsynced, state.folder_unsynced)
        };
        let result = self.sync_all(&segments, folder).await;
        if let Err(error) = &result {
            // A deletion or truncation may have taken a file away meanwhile; what failed otherwise is the disk.
            if !self.state.lock().deleted {
                self.fail(error);
            }
        }
        result?;
        let mut state = self.state.lock();
        if state.truncations == truncations && state.recovery_point >= recovery_point {
            state.recovery_point = state.recovery_point.max(end);
            state.folder_unsynced = false;
            state.last_flush = self.runtime.clock.elapsed();
        }
        Ok(())
    }

    async fn sync_all(&self, segments: &[Arc<Segment>], folder: bool) -> Result<(), Error> {
        for (place, segment) in segments.iter().enumerate() {
            segment.sync_log().await?;
            if place + 1 < segments.len() {
                segment.sync_indexes().await?;
            }
        }
        self.store_epochs().await?;
        if folder {
            // The folder may be new: then its own name is not on the disk either.
            self.sync_claim().await?;
            for path in [&self.folder, &self.id.dir] {
                self.runtime.disk.sync_dir(path).await.map_err(Error::io("sync", path))?;
            }
        }
        Ok(())
    }

    /// Syncs what was closed, beside the writers, as Kafka does after a roll.
    pub(super) fn flush_soon(self: &Arc<Self>) {
        let shared = self.clone();
        self.runtime.tasks.spawn_until_stopped("flush after roll", async move {
            let end = shared.state.lock().log_end();
            let done = async {
                shared.flush_below(end).await?;
                shared.store_checkpoint().await
            };
            if let Err(error) = done.await {
                tracing::warn!(folder = %shared.folder.display(), %error, "a closed segment was not synced; it is tried again at the next flush");
            }
        });
    }
}
