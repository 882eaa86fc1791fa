//! The data folder: how the last process that worked in it ended. Whose it is, and that only one process has it, is the quorum's to say.
//!
//! ```text
//! <data-dir>/
//!   .kafka_cleanshutdown     only after an orderly end: nothing has to be recovered
//!   boot-id                  the boot of the machine in which the folder was last opened
//!   <topic>-<partition>/     one log
//! ```

use crate::Error;
use bytes::Bytes;
use millstream_runtime::{Disk, Runtime};
use millstream_storage::Recovery;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const BOOT_ID: &str = "boot-id";

/// An open data folder.
#[derive(Clone)]
pub struct DataDir {
    path: PathBuf,
    recovery: Recovery,
    disk: Arc<dyn Disk>,
}

/// The running boot of this machine, where the operating system tells it.
#[must_use]
pub fn boot_id() -> Option<String> {
    // Not through the disk port: a file of /proc has no length, and it is the machine that is asked, not a disk.
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

impl DataDir {
    /// Opens the data folder, making it where there is none, and takes note of how the last process left it. `boot` is [`boot_id`].
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn open(runtime: &Runtime, path: &Path, boot: Option<&str>) -> Result<Self, Error> {
        let disk = runtime.disk.clone();
        disk.create_dir_durable(path).await.map_err(|error| Error::io(path, error))?;
        let clean = disk.exists(&path.join(CLEAN_SHUTDOWN)).await.map_err(|error| Error::io(path, error))?;
        let last_boot = read_small(&*disk, &path.join(BOOT_ID)).await?;
        let same_boot = boot.is_some() && last_boot.as_deref() == boot;
        if let Some(boot) = boot.filter(|_| !same_boot) {
            write_small(&*disk, &path.join(BOOT_ID), boot.to_owned()).await?;
        }
        Ok(Self { path: path.to_owned(), recovery: Recovery { clean, same_boot }, disk })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the last process ended: in order, or not, and whether what it wrote is still in the page cache.
    #[must_use]
    pub const fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// Takes the marker of an orderly end away, before the first write: from now on an end is a crash until [`DataDir::mark_clean`].
    pub(crate) async fn clear_clean(&self) -> Result<(), Error> {
        let marker = self.path.join(CLEAN_SHUTDOWN);
        let failed = |error| Error::io(&marker, error);
        if self.disk.exists(&marker).await.map_err(failed)? {
            self.disk.remove_file(&marker).await.map_err(failed)?;
            self.disk.sync_dir(&self.path).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Says that everything is synced and nothing will be written any more.
    pub(crate) async fn mark_clean(&self) -> Result<(), Error> {
        // Kafka's content: the broker epoch of the shutdown, -1 where none is kept.
        let content = r#"{"version":0,"brokerEpoch":-1}"#;
        write_small(&*self.disk, &self.path.join(CLEAN_SHUTDOWN), content.to_owned()).await
    }
}

async fn read_small(disk: &dyn Disk, path: &Path) -> Result<Option<String>, Error> {
    if !disk.exists(path).await.map_err(|error| Error::io(path, error))? {
        return Ok(None);
    }
    let content = disk.read(path).await.map_err(|error| Error::io(path, error))?;
    Ok(Some(String::from_utf8_lossy(&content).into_owned()))
}

async fn write_small(disk: &dyn Disk, path: &Path, content: String) -> Result<(), Error> {
    disk.write_atomic(path, Bytes::from(content)).await.map_err(|error| Error::io(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_runtime::SimDisk;

    async fn open(runtime: &Runtime, boot: &str) -> DataDir {
        DataDir::open(runtime, Path::new("data"), Some(boot)).await.unwrap()
    }

    #[tokio::test]
    async fn how_the_last_process_ended_is_known() {
        let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
        let first = open(&runtime, "boot-1").await;
        assert_eq!(first.recovery(), Recovery::POWER_LOST, "nothing is known of a new folder");
        first.mark_clean().await.unwrap();
        let second = open(&runtime, "boot-1").await;
        assert_eq!(second.recovery(), Recovery::CLEAN);
        second.clear_clean().await.unwrap();
        assert_eq!(open(&runtime, "boot-1").await.recovery(), Recovery::KILLED);
        assert_eq!(open(&runtime, "boot-2").await.recovery(), Recovery::POWER_LOST);
    }

    #[tokio::test]
    async fn without_a_boot_id_the_worst_is_assumed() {
        let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
        open(&runtime, "boot-1").await;
        let unknown = DataDir::open(&runtime, Path::new("data"), None).await.unwrap();
        assert_eq!(unknown.recovery(), Recovery::POWER_LOST);
    }
}
