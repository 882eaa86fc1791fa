//! Deleting a partition: the folder gets Kafka's `-delete` name at once, its files go afterwards.

use super::Log;
use crate::error::Error;
use crate::names;
use millstream_runtime::{EntryKind, Runtime};
use std::path::Path;

impl Log {
    /// Deletes the log. When this returns its name is free, and what remains is removed in the background (or at the next start, by
    /// [`remove_deleted`]). Reads that are on their way end in peace.
    ///
    /// # Errors
    /// The disk's.
    pub async fn delete(&self) -> Result<(), Error> {
        let _writer = self.0.writer.lock().await;
        let _sweeper = self.0.sweeper.lock().await;
        self.0.usable()?;
        let id = &self.0.id;
        let target = id.dir.join(names::deleted_folder_name(
            &id.topic,
            id.partition.partition,
            self.0.runtime.random.next_u128(),
        ));
        let disk = self.0.runtime.disk.clone();
        disk.rename(&self.0.folder, &target).await.map_err(Error::io("rename", &self.0.folder))?;
        {
            let mut state = self.0.state.lock();
            state.deleted = true;
            state.segments.clear();
        }
        disk.sync_dir(&id.dir).await.map_err(Error::io("sync", &id.dir))?;
        self.0.runtime.tasks.spawn("remove a deleted log", async move {
            if let Err(error) = disk.remove_dir_all(&target).await {
                tracing::warn!(folder = %target.display(), %error, "a deleted log's folder was not removed; it is tried again at the next start");
            }
        });
        Ok(())
    }
}

/// Removes folders of logs whose deletion an earlier run did not finish. Returns how many.
///
/// # Errors
/// The disk's.
pub async fn remove_deleted(runtime: &Runtime, dir: &Path) -> Result<usize, Error> {
    let entries = runtime.disk.read_dir(dir).await.map_err(Error::io("list", dir))?;
    let deleted: Vec<_> =
        entries.iter().filter(|(name, kind)| *kind == EntryKind::Directory && names::is_deleted_folder(name)).collect();
    for (name, _) in &deleted {
        let folder = dir.join(name);
        runtime.disk.remove_dir_all(&folder).await.map_err(Error::io("remove", &folder))?;
    }
    Ok(deleted.len())
}
