//! A disk in memory that loses what was not synced when its power is cut, and fails as it is told to.

mod content;
mod file;
mod tree;

use crate::disk::{Disk, DiskFile, EntryKind, OpenMode};
use async_trait::async_trait;
use file::{Nature, SimFile};
use parking_lot::Mutex;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tree::{Node, Tree, not_found};

/// What goes wrong on a simulated disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No room: appends fail with `StorageFull`.
    Full,
    /// Every write and sync fails.
    WriteError,
    /// The folder's disk was taken away: there is nothing of that name. Files that are open go on, as if into the void.
    Missing,
}

/// A disk in memory, as bad as POSIX allows: a power cut takes what was not synced ([`SimDisk::after_power_cut`]).
///
/// - Of a file, bytes written since its last sync: all of them, none, all but the first ones, or some of the sectors in any order; one
///   sector may be torn. A truncation may be undone as well.
/// - Of a folder, names made, renamed and removed since its last sync: a later change never outlives an earlier one of the same folder.
///   A file that was synced in a folder that was not may be gone, and a folder with all that is in it.
#[derive(Default)]
pub struct SimDisk {
    tree: Mutex<Tree>,
    nature: Arc<Nature>,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk on which a sync takes long enough for other tasks to have their turn: a crash can come while one is on its way.
    #[must_use]
    pub fn slow() -> Self {
        Self { nature: Arc::new(Nature { slow: true, ..Nature::default() }), ..Self::default() }
    }

    /// The disk that a power cut leaves now; `draw(n)` picks from `0..=n`. Whoever has this one goes on in a world that is lost.
    #[must_use]
    pub fn after_power_cut(&self, draw: impl FnMut(u64) -> u64) -> Self {
        let nature = Arc::new(Nature { slow: self.nature.slow, ..Nature::default() });
        Self { tree: Mutex::new(self.tree.lock().after_crash(&nature, draw)), nature }
    }

    /// The same in place, where nobody uses the disk any more; only files that are still open keep the lost world.
    pub fn crash(&self, draw: impl FnMut(u64) -> u64) {
        *self.nature.fault.lock() = None;
        self.nature.faults_in.lock().clear();
        let mut tree = self.tree.lock();
        *tree = tree.after_crash(&self.nature, draw);
    }

    /// Makes every write fail from now on, or work again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *self.nature.fault.lock() = fault;
    }

    /// The same for what is in a folder: a disk of its own that fails while others go on. Files have the disk of the folder they were made in.
    pub fn set_fault_in(&self, folder: &Path, fault: Option<Fault>) {
        let mut faults = self.nature.faults_in.lock();
        match fault {
            Some(fault) => drop(faults.insert(folder.to_owned(), fault)),
            None => drop(faults.remove(folder)),
        }
    }

    /// Flips bits of a stored byte, as a failing disk does. Returns whether there was such a byte.
    pub fn flip(&self, path: &Path, position: usize, mask: u8) -> bool {
        match self.tree.lock().get(path) {
            Some(Node::File(file)) => file.flip(position, mask),
            Some(Node::Folder(_)) | None => false,
        }
    }

    /// Takes note of what is read from now on.
    pub fn watch_reads(&self) {
        *self.nature.reads.lock() = Some(Vec::new());
    }

    /// What was read of which files since [`SimDisk::watch_reads`], in order. A file has the name it was made with.
    #[must_use]
    pub fn take_reads(&self) -> Vec<(PathBuf, Range<u64>)> {
        self.nature.reads.lock().take().unwrap_or_default()
    }

    /// Every file's path and length, sorted: what a trace may hash.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.tree.lock().files().into_iter().map(|(path, file)| (path, file.len())).collect()
    }
}

#[async_trait]
impl Disk for SimDisk {
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.nature.check_there(path)?;
        let mut tree = self.tree.lock();
        match (tree.get(path), mode) {
            (Some(Node::File(_)), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(file)), OpenMode::Read | OpenMode::Append) => return Ok(file),
            (Some(Node::Folder(_)), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (None, OpenMode::Read) => return Err(not_found(path)),
            (None, OpenMode::Append | OpenMode::CreateNew) => {}
        }
        if self.nature.fault_at(path) == Some(Fault::Full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = Arc::new(SimFile::new(self.nature.clone(), path));
        tree.add_file(path, file.clone())?;
        Ok(file)
    }

    async fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, EntryKind)>> {
        self.nature.check_there(path)?;
        self.tree.lock().entries(path)
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.nature.check_there(path)?;
        self.tree.lock().add_folders(path)
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.nature.check_there(from)?;
        self.tree.lock().rename(from, to)
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.nature.check_there(path)?;
        self.tree.lock().remove_file(path)
    }

    async fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.nature.check_there(path)?;
        self.tree.lock().remove_folder(path)
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.nature.check_there(path)?;
        self.nature.wait().await;
        self.tree.lock().sync(path)
    }

    async fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.nature.check_there(path)?;
        match self.nature.fault_at(path) {
            Some(Fault::WriteError) => Err(io::Error::other("simulated input/output error")),
            Some(Fault::Full | Fault::Missing) | None => {
                self.tree.lock().sync_all();
                Ok(())
            }
        }
    }

    async fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.nature.check_there(path).is_ok() && self.tree.lock().get(path).is_some())
    }

    async fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        self.nature.check_there(path)?;
        let full = self.nature.fault_at(path) == Some(Fault::Full);
        Ok((if full { 0 } else { 1 << 40 }, 1 << 40))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    async fn write(disk: &SimDisk, path: &str, content: &'static str, sync: bool) {
        let file = disk.open(Path::new(path), OpenMode::Append).await.unwrap();
        file.append(&[Bytes::from_static(content.as_bytes())]).await.unwrap();
        if sync {
            file.sync().await.unwrap();
        }
    }

    async fn text(disk: &SimDisk, path: &str) -> Option<String> {
        disk.read(Path::new(path)).await.ok().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// The worst cut: nothing that was not synced is left.
    fn worst(disk: &SimDisk) -> SimDisk {
        disk.after_power_cut(|_| 0)
    }

    #[tokio::test]
    async fn what_was_synced_is_left_and_nothing_else() {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("a/b")).await.unwrap();
        disk.sync_dir(Path::new("")).await.unwrap();
        disk.sync_dir(Path::new("a")).await.unwrap();
        write(&disk, "a/b/kept", "1", true).await;
        disk.sync_dir(Path::new("a/b")).await.unwrap();
        write(&disk, "a/b/kept", "2", false).await;
        write(&disk, "a/b/nameless", "3", true).await;
        let left = worst(&disk);
        assert_eq!(text(&left, "a/b/kept").await.as_deref(), Some("1"));
        assert_eq!(text(&left, "a/b/nameless").await, None, "its folder was not synced");
        assert_eq!(text(&disk, "a/b/kept").await.as_deref(), Some("12"), "the lost world goes on");
    }

    #[tokio::test]
    async fn a_folder_whose_parent_was_not_synced_goes_with_all_in_it() {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("a")).await.unwrap();
        write(&disk, "a/file", "1", true).await;
        disk.sync_dir(Path::new("a")).await.unwrap();
        assert_eq!(worst(&disk).files(), []);
        disk.sync_dir(Path::new("")).await.unwrap();
        assert_eq!(worst(&disk).files(), [(PathBuf::from("a/file"), 1)]);
    }

    #[tokio::test]
    async fn a_durable_folder_needs_no_other_sync() {
        for path in ["a/b", "/a/b"] {
            let disk = SimDisk::new();
            disk.create_dir_durable(Path::new(path)).await.unwrap();
            assert!(worst(&disk).exists(Path::new(path)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_rename_and_a_removal_are_undone_unless_the_folder_was_synced() {
        let disk = SimDisk::new();
        write(&disk, "old", "1", true).await;
        write(&disk, "gone", "2", true).await;
        disk.sync_dir(Path::new("")).await.unwrap();
        disk.rename(Path::new("old"), Path::new("new")).await.unwrap();
        disk.remove_file(Path::new("gone")).await.unwrap();
        assert_eq!(text(&worst(&disk), "old").await.as_deref(), Some("1"));
        assert_eq!(text(&worst(&disk), "gone").await.as_deref(), Some("2"));
        let first_only = disk.after_power_cut(|most| most.min(1));
        assert_eq!(text(&first_only, "new").await.as_deref(), Some("1"), "changes are lost from the last one on");
        assert_eq!(text(&first_only, "gone").await.as_deref(), Some("2"));
        disk.sync_dir(Path::new("")).await.unwrap();
        assert_eq!(worst(&disk).files(), [(PathBuf::from("new"), 1)]);
    }

    #[tokio::test]
    async fn an_atomic_write_is_old_or_new_after_any_power_cut() {
        for kept in 0..6 {
            let disk = SimDisk::new();
            disk.write_atomic(Path::new("f"), Bytes::from_static(b"old")).await.unwrap();
            disk.write_atomic(Path::new("f"), Bytes::from_static(b"new")).await.unwrap();
            let left = disk.after_power_cut(|most| most.min(kept));
            assert_eq!(text(&left, "f").await.as_deref(), Some("new"), "its folder is synced with it");
        }
    }

    #[tokio::test]
    async fn faults_and_flips_are_seen() {
        let disk = SimDisk::new();
        write(&disk, "f", "a", true).await;
        assert!(
            disk.flip(Path::new("f"), 0, 3) && !disk.flip(Path::new("f"), 1, 3) && !disk.flip(Path::new("g"), 0, 3)
        );
        assert_eq!(text(&disk, "f").await.as_deref(), Some("b"));
        disk.set_fault(Some(Fault::Full));
        assert_eq!(disk.open(Path::new("g"), OpenMode::Append).await.err().unwrap().kind(), io::ErrorKind::StorageFull);
        let file = disk.open(Path::new("f"), OpenMode::Append).await.unwrap();
        assert!(file.append(&[Bytes::from_static(b"x")]).await.is_err());
        disk.set_fault(None);
        file.append(&[Bytes::from_static(b"x")]).await.unwrap();
        assert_eq!(text(&disk, "f").await.as_deref(), Some("bx"));
    }
}
