//! A log whose disk failed: what it says of itself, its end, and what makes sure that the disk holds what the next one has of it.

use super::Log;
use crate::error::Error;
use crate::scan::RECOVERY_CHUNK_BYTES;
use bytes::Bytes;
use millstream_runtime::{Disk, OpenMode};
use std::path::Path;

/// Bytes that a disk must take before a log on it is opened again.
const PROBE_BYTES: usize = 256 << 10;
const PROBE: &str = "probe.tmp";

impl Log {
    /// Why the log takes no writes: what failed first. None where it takes some, or was closed in order.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let state = self.0.state.lock();
        if state.deleted || state.closed { None } else { state.failed.clone() }
    }

    /// Takes no more writes until it is opened anew: the folder that it is in can't be used, whatever its own files say. What can be read of
    /// it is read on.
    pub fn take_offline(&self, cause: &str) {
        let mut state = self.0.state.lock();
        if !state.closed {
            state.failed = Some(cause.to_owned());
        }
    }

    /// Ends this log without a word to the disk, so that its folder can be opened anew. Returns when nothing is at work in it; reads that are
    /// on their way end in peace.
    pub async fn retire(&self) {
        let _writer = self.0.writer.lock().await;
        let _sweeper = self.0.sweeper.lock().await;
        let _flusher = self.0.flusher.lock().await;
        let _checkpointer = self.0.checkpointer.lock().await;
        self.0.state.lock().deleted = true;
    }

    /// Whether the disk takes writes in this log's folder again.
    pub async fn disk_takes_writes(&self) -> bool {
        probe_folder(&*self.0.runtime.disk, &self.0.folder).await.is_ok()
    }

    /// Writes what was not synced once more, and syncs it. After a sync that failed the operating system takes pages for written that are not:
    /// another sync alone would not write them.
    ///
    /// # Errors
    /// The disk's; the log takes no writes then.
    pub async fn write_again(&self) -> Result<(), Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        let rewritten = async {
            for segment in self.0.segments() {
                if segment.extent().next < self.recovery_point() {
                    continue;
                }
                let (file, path) = (segment.log(), segment.path());
                let unsynced = segment.place_of(self.recovery_point().max(segment.base)).await?;
                let mut at = unsynced.map_or(file.len(), |place| place.position);
                while at < file.len() {
                    let bytes = file.read_at(at, RECOVERY_CHUNK_BYTES).await.map_err(Error::io("read", path))?;
                    if bytes.is_empty() {
                        break;
                    }
                    let len = bytes.len() as u64;
                    file.write_at(at, bytes).await.map_err(Error::io("write", path))?;
                    at += len;
                }
            }
            Ok(())
        };
        rewritten.await.inspect_err(|error| self.0.fail(error))?;
        self.0.flush_below(self.log_end()).await?;
        self.0.store_checkpoint().await.inspect_err(|error| self.0.fail(error))
    }
}

/// Whether the disk takes writes in a folder: a small file is written, synced, and deleted.
///
/// # Errors
/// The disk's.
pub async fn probe_folder(disk: &dyn Disk, folder: &Path) -> std::io::Result<()> {
    let path = folder.join(PROBE);
    if disk.exists(&path).await? {
        disk.remove_file(&path).await?;
    }
    let file = disk.open(&path, OpenMode::CreateNew).await?;
    let written = match file.append(&[Bytes::from_static(&[0; PROBE_BYTES])]).await {
        Ok(_) => file.sync().await,
        Err(error) => Err(error),
    };
    disk.remove_file(&path).await?;
    written
}
