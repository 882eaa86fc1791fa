//! One data folder: whose it is, how the last process that worked in it ended, and whether it can be used now.
//!
//! ```text
//! <folder>/
//!   meta.properties, .lock   whose it is; held while a process has it (of the first folder the quorum sees to both)
//!   .kafka_cleanshutdown     only after an orderly end: nothing has to be recovered
//!   boot-id                  the boot of the machine in which the folder was last opened
//!   *-checkpoint             of the logs in it
//!   <topic>-<partition>/     one log
//! ```

use crate::Error;
use bytes::Bytes;
use millstream_runtime::{Disk, DiskFile, Runtime, lock_folder};
use millstream_storage::Recovery;
use millstream_types::{DirectoryId, FolderIdentity};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use uuid::Builder;

const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const BOOT_ID: &str = "boot-id";

/// The running boot of this machine, where the operating system tells it.
#[must_use]
pub fn boot_id() -> Option<String> {
    // Not through the disk port: a file of /proc has no length, and it is the machine that is asked, not a disk.
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

/// A data folder.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Its number among the node's folders; 0 is the one that the metadata is in.
    pub(crate) place: usize,
    /// Held by whoever writes how far its logs are compacted.
    pub(crate) writing: tokio::sync::Mutex<()>,
    /// Held by whoever writes the checkpoints of its logs.
    pub(crate) checkpointing: tokio::sync::Mutex<()>,
    /// How many of its logs couldn't be written at the last look.
    pub(crate) offline: AtomicUsize,
    /// Something was not written: the next look tries whether it can be.
    pub(crate) is_suspect: AtomicBool,
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

struct State {
    id: Option<DirectoryId>,
    recovery: Recovery,
    /// Why it can't be used; none while it can.
    failure: Option<String>,
    lock: Option<Arc<dyn DiskFile>>,
}

impl Folder {
    pub(crate) fn new(runtime: &Runtime, path: &Path, place: usize) -> Self {
        let state =
            State { id: None, recovery: Recovery::POWER_LOST, failure: Some("it is not open".into()), lock: None };
        Self {
            path: path.to_owned(),
            place,
            writing: tokio::sync::Mutex::new(()),
            checkpointing: tokio::sync::Mutex::new(()),
            offline: AtomicUsize::new(0),
            is_suspect: AtomicBool::new(false),
            disk: runtime.disk.clone(),
            state: Mutex::new(state),
        }
    }

    /// Opens the first folder, making it where there is none. That it is this node's, and no other process's, the quorum has seen to.
    pub(crate) async fn open_first(&self, boot: Option<&str>) -> Result<(), Error> {
        self.disk.create_dir_durable(&self.path).await.map_err(|error| Error::io(&self.path, error))?;
        self.note_opened(boot).await
    }

    /// Opens another folder: takes it for this process, sees to it that it is `owner`'s, and takes note of how the last process left it. One
    /// that is not there or has nothing in it is made, unless replicas `are_there`: then its disk is missing.
    pub(crate) async fn open(
        &self,
        runtime: &Runtime,
        (owner, boot): (&FolderIdentity, Option<&str>),
        are_there: bool,
    ) -> Result<(), Error> {
        let meta = self.path.join(FolderIdentity::FILE);
        let failed = |error| Error::io(&meta, error);
        let is_new = !self.disk.exists(&meta).await.map_err(failed)?;
        if is_new && are_there {
            return Err(Error::FolderEmpty { path: self.path.clone() });
        }
        self.disk.create_dir_durable(&self.path).await.map_err(|error| Error::io(&self.path, error))?;
        self.unlock();
        let locked = lock_folder(&*self.disk, &self.path).await.map_err(|error| Error::io(&self.path, error))?;
        let lock = locked.ok_or_else(|| Error::FolderInUse { path: self.path.clone() })?;
        let found = match is_new {
            true => {
                let directory =
                    DirectoryId(Builder::from_random_bytes(runtime.random.next_u128().to_be_bytes()).into_uuid());
                let own = FolderIdentity { directory, ..*owner };
                self.disk.write_atomic(&meta, Bytes::from(own.text())).await.map_err(failed)?;
                own
            }
            false => self.read_identity().await?,
        };
        check(&self.path, &found, owner)?;
        if let Some(expected) = self.id().filter(|expected| are_there && *expected != found.directory) {
            return Err(Error::FolderReplaced { path: self.path.clone(), expected, found: found.directory });
        }
        {
            let mut state = self.state.lock();
            state.id = Some(found.directory);
            state.lock = Some(lock);
        }
        self.note_opened(boot).await
    }

    async fn read_identity(&self) -> Result<FolderIdentity, Error> {
        let meta = self.path.join(FolderIdentity::FILE);
        let content = self.disk.read(&meta).await.map_err(|error| Error::io(&meta, error))?;
        FolderIdentity::parse(&content).map_err(|error| Error::FolderIdentity { path: meta, source: error })
    }

    async fn note_opened(&self, boot: Option<&str>) -> Result<(), Error> {
        let clean = self.path.join(CLEAN_SHUTDOWN);
        let clean = self.disk.exists(&clean).await.map_err(|error| Error::io(&clean, error))?;
        let last_boot = read_small(&*self.disk, &self.path.join(BOOT_ID)).await?;
        let same_boot = boot.is_some() && last_boot.as_deref() == boot;
        if let Some(boot) = boot.filter(|_| !same_boot) {
            write_small(&*self.disk, &self.path.join(BOOT_ID), boot.to_owned()).await?;
        }
        let mut state = self.state.lock();
        state.recovery = Recovery { clean, same_boot };
        state.failure = None;
        Ok(())
    }

    /// Whether it is still what was opened: a folder that was deleted or whose disk was taken away would be written into the void.
    pub(crate) async fn check_present(&self) -> Result<(), String> {
        let expected = self.id();
        let Some(expected) = expected else {
            return match self.disk.exists(&self.path).await {
                Ok(true) => Ok(()),
                Ok(false) => Err("it is not there any more".into()),
                Err(error) => Err(error.to_string()),
            };
        };
        match self.read_identity().await {
            Ok(found) if found.directory == expected => Ok(()),
            Ok(found) => {
                Err(Error::FolderReplaced { path: self.path.clone(), expected, found: found.directory }.to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Its id among all data folders of the cluster; none where it was never seen. The first folder's is the quorum's to know.
    pub(crate) fn id(&self) -> Option<DirectoryId> {
        self.state.lock().id
    }

    /// Takes it for the folder of that id, though it can't be read.
    pub(crate) fn assume(&self, id: DirectoryId) {
        self.state.lock().id.get_or_insert(id);
    }

    /// How the last process ended: in order, or not, and whether what it wrote is still in the page cache.
    pub(crate) fn recovery(&self) -> Recovery {
        self.state.lock().recovery
    }

    /// Why it can't be used.
    pub(crate) fn failure(&self) -> Option<String> {
        self.state.lock().failure.clone()
    }

    pub(crate) fn is_online(&self) -> bool {
        self.state.lock().failure.is_none()
    }

    /// It can't be used from now on. Returns whether that, or the reason, is new.
    pub(crate) fn fail(&self, cause: String) -> bool {
        let mut state = self.state.lock();
        let is_new = state.failure.as_ref() != Some(&cause);
        state.failure = Some(cause);
        is_new
    }

    /// Leaves the folder to other processes.
    pub(crate) fn unlock(&self) {
        self.state.lock().lock = None;
    }

    /// Takes the marker of an orderly end away, before the first write: from now on an end is a crash until [`Folder::mark_clean`].
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

fn check(path: &Path, found: &FolderIdentity, owner: &FolderIdentity) -> Result<(), Error> {
    let wrong = |what: &'static str, stored: String, given: String| {
        Err(Error::WrongFolder { path: path.to_owned(), what, stored, given })
    };
    if found.cluster_id != owner.cluster_id {
        return wrong("cluster", found.cluster_id.to_string(), owner.cluster_id.to_string());
    }
    if found.node_id != owner.node_id {
        return wrong("node", found.node_id.to_string(), owner.node_id.to_string());
    }
    Ok(())
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

    async fn open(runtime: &Runtime, boot: Option<&str>) -> Folder {
        let folder = Folder::new(runtime, Path::new("data"), 0);
        folder.open_first(boot).await.unwrap();
        folder
    }

    #[tokio::test]
    async fn how_the_last_process_ended_is_known() {
        let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
        let first = open(&runtime, Some("boot-1")).await;
        assert_eq!(first.recovery(), Recovery::POWER_LOST, "nothing is known of a new folder");
        first.mark_clean().await.unwrap();
        let second = open(&runtime, Some("boot-1")).await;
        assert_eq!(second.recovery(), Recovery::CLEAN);
        second.clear_clean().await.unwrap();
        assert_eq!(open(&runtime, Some("boot-1")).await.recovery(), Recovery::KILLED);
        assert_eq!(open(&runtime, Some("boot-2")).await.recovery(), Recovery::POWER_LOST);
    }

    #[tokio::test]
    async fn without_a_boot_id_the_worst_is_assumed() {
        let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
        open(&runtime, Some("boot-1")).await;
        assert_eq!(open(&runtime, None).await.recovery(), Recovery::POWER_LOST);
    }
}
