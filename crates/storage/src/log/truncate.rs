//! Taking records off the end: what a follower does that had more than its new leader.

use super::{Log, Shared};
use crate::epochs::Epochs;
use crate::error::Error;
use crate::names::{self, Suffix};
use crate::segment::Segment;
use millstream_types::Offset;
use std::sync::Arc;

impl Log {
    /// Cuts the log so that it ends at `end`, or before the batch that `end` lies in. Nothing happens where it ends there already.
    /// Returns the log's end.
    ///
    /// # Errors
    /// The disk's; the log takes no more writes then, since how much was cut is unknown.
    pub async fn truncate_to(&self, end: Offset) -> Result<Offset, Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        if end < self.local_start() {
            self.0.restart_at(end).await.inspect_err(|error| self.0.fail(error))?;
        } else if end < self.log_end() {
            self.0.cut_to(end).await.inspect_err(|error| self.0.fail(error))?;
        }
        self.0.forget_kept_producers().await?;
        self.remove_producer_snapshots(|offset| offset > self.log_end()).await?;
        Ok(self.log_end())
    }

    /// Drops every record and begins anew at `start`: what a follower does whose leader has nothing of what it has.
    ///
    /// # Errors
    /// The disk's; the log takes no more writes then.
    pub async fn reset(&self, start: Offset) -> Result<(), Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        self.0.restart_at(start).await.inspect_err(|error| self.0.fail(error))?;
        self.0.forget_kept_producers().await?;
        self.remove_producer_snapshots(|_| true).await
    }

    /// Begins anew as the log of a partition that was recovered from the object store, in which `start` to `end` is: nothing is here, and the
    /// next record gets `end`. Whatever was here is dropped. The topic must have remote storage, or the next opening moves the start.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] where `start` is past `end`; the disk's, and the log takes no more writes then.
    pub async fn restore(&self, start: Offset, end: Offset, epochs: &Epochs) -> Result<(), Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        if start > end {
            return Err(Error::OutOfRange { offset: start, start: Offset::ZERO, end });
        }
        let restored = async {
            self.0.restart_between(start, end).await?;
            self.0
                .change_epochs(|known| {
                    known.clone_from(epochs);
                    known.truncate_end(end);
                    true
                })
                .await
        };
        restored.await.inspect_err(|error| self.0.fail(error))?;
        self.0.forget_kept_producers().await?;
        self.remove_producer_snapshots(|_| true).await
    }
}

impl Shared {
    /// Called by the writer.
    pub(super) async fn cut_to(&self, end: Offset) -> Result<(), Error> {
        let _sweeper = self.sweeper.lock().await;
        self.forget_synced_from(end).await?;
        let gone: Vec<Arc<Segment>> = {
            let mut state = self.state.lock();
            let floor = state.segments.range(..=end).next_back().map(|(base, _)| *base);
            let later: Vec<Offset> =
                state.segments.keys().copied().filter(|base| floor.is_some_and(|floor| *base > floor)).collect();
            later.iter().rev().filter_map(|base| state.segments.remove(base)).collect()
        };
        // From the newest down, so that a crash leaves no gap.
        for segment in &gone {
            self.remove_files(segment.base).await?;
        }
        if !gone.is_empty() {
            // Before the cut, or a power cut that brought them back would leave a gap before them.
            self.runtime.disk.sync_dir(&self.folder).await.map_err(Error::io("sync", &self.folder))?;
        }
        let active = self.active()?;
        if !gone.is_empty() {
            active.activate().await?;
        }
        // The cut may begin lower, at its batch; and a flush may have come between.
        let end = active.truncate(end).await?;
        if !self.cut_aborted(end).await? {
            tracing::warn!(folder = %self.folder.display(), "an index of aborted transactions is damaged; the next start makes it anew");
        }
        self.forget_synced_from(end).await?;
        self.change_epochs(|epochs| epochs.truncate_end(end)).await
    }

    pub(super) async fn restart_at(&self, start: Offset) -> Result<(), Error> {
        self.restart_between(start, start).await
    }

    /// Drops every record. The log starts at `log_start`, and the next record gets `start`.
    async fn restart_between(&self, log_start: Offset, start: Offset) -> Result<(), Error> {
        let _sweeper = self.sweeper.lock().await;
        self.forget_synced_from(Offset::ZERO).await?;
        let gone = self.segments();
        for segment in gone.iter().rev() {
            self.remove_files(segment.base).await?;
        }
        self.remove_txn_indexes().await?;
        let segment = Segment::create(&self.runtime, &self.folder, start, self.jitter_ms()).await?;
        // Before anything is appended: a power cut that brought old records back would put new ones after them.
        self.runtime.disk.sync_dir(&self.folder).await.map_err(Error::io("sync", &self.folder))?;
        {
            let mut state = self.state.lock();
            state.segments.clear();
            state.segments.insert(start, Arc::new(segment));
            state.log_start = log_start;
            state.recovery_point = start;
            state.folder_unsynced = true;
        }
        self.change_epochs(|epochs| epochs.truncate_end(Offset::ZERO)).await?;
        self.store_checkpoint().await
    }

    /// What comes to lie from `end` on is not synced. This is stored before anything is appended there: a checkpoint that said more would
    /// make the next recovery take an unfinished append for corruption.
    async fn forget_synced_from(&self, end: Offset) -> Result<(), Error> {
        {
            let mut state = self.state.lock();
            state.truncations += 1;
            state.recovery_point = state.recovery_point.min(end);
            state.cleaned_to = state.cleaned_to.map(|to| to.min(end));
        }
        if self.state.lock().stored.recovery_point > end { self.store_checkpoint().await } else { Ok(()) }
    }

    /// Removes a segment's files, the log first. Handles that are open (a fetch on its way) keep what they read.
    pub(super) async fn remove_files(&self, base: Offset) -> Result<(), Error> {
        self.remove_txn_index(base).await?;
        self.remove_log_files(base).await
    }

    /// The same, but the segment's aborts stay: it is in the object store.
    pub(super) async fn remove_log_files(&self, base: Offset) -> Result<(), Error> {
        for suffix in [Suffix::Log, Suffix::Index, Suffix::TimeIndex] {
            let path = names::file(&self.folder, base, suffix);
            match self.runtime.disk.remove_file(&path).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
