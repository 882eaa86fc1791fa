//! Producer snapshots: bytes that the owner of the producers' state gives, kept beside the segment that begins there.

use super::Log;
use crate::error::Error;
use crate::names::{self, Suffix};
use bytes::Bytes;
use millstream_types::Offset;

impl Log {
    /// Stores what producers had written below `at`, after the aborts below it. To be called at [`Log::rolls_before`], and at a clean close.
    ///
    /// # Errors
    /// The disk's.
    pub async fn write_producer_snapshot(&self, at: Offset, content: Bytes) -> Result<(), Error> {
        self.0.usable()?;
        self.0.sync_aborted().await?;
        let path = names::file(&self.0.folder, at, Suffix::Snapshot);
        self.0.runtime.disk.write_atomic(&path, content).await.map_err(Error::io("write", &path))
    }

    /// The newest snapshot at or below `at`, with its offset. One that does not parse is the caller's to remove, and to ask again.
    ///
    /// # Errors
    /// The disk's.
    pub async fn producer_snapshot(&self, at: Offset) -> Result<Option<(Offset, Bytes)>, Error> {
        self.0.usable()?;
        let Some(offset) = self.producer_snapshots().await?.into_iter().rev().find(|offset| *offset <= at) else {
            return Ok(None);
        };
        let path = names::file(&self.0.folder, offset, Suffix::Snapshot);
        let content = self.0.runtime.disk.read(&path).await.map_err(Error::io("read", &path))?;
        Ok(Some((offset, content)))
    }

    /// The offsets of all snapshots, in order.
    ///
    /// # Errors
    /// The disk's.
    pub async fn producer_snapshots(&self) -> Result<Vec<Offset>, Error> {
        let entries = self.0.runtime.disk.read_dir(&self.0.folder).await.map_err(Error::io("list", &self.0.folder))?;
        Ok(entries
            .iter()
            .filter_map(|(name, _)| names::parse(name))
            .filter(|(_, suffix)| *suffix == Suffix::Snapshot)
            .map(|(offset, _)| offset)
            .collect())
    }

    /// Removes the snapshots for which `gone`.
    ///
    /// # Errors
    /// The disk's.
    pub async fn remove_producer_snapshots(&self, gone: impl Fn(Offset) -> bool) -> Result<(), Error> {
        for offset in self.producer_snapshots().await?.into_iter().filter(|offset| gone(*offset)) {
            let path = names::file(&self.0.folder, offset, Suffix::Snapshot);
            self.0.runtime.disk.remove_file(&path).await.map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }
}
