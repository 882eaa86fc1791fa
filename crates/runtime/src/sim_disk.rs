//! A disk in memory that loses what was not synced when it crashes, and fails as it is told to.

use crate::disk::{Disk, DiskFile, EntryKind, OpenMode};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What goes wrong on a simulated disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No room: appends fail with `StorageFull`.
    Full,
    /// Every write and sync fails.
    WriteError,
}

/// A disk in memory. [`SimDisk::crash`] takes away what was not made durable.
///
/// Deliberately simple in one respect: names (made, renamed, removed) are durable at once, as on a journalled file system whose
/// metadata has been committed; contents are not until they are synced.
#[derive(Default)]
pub struct SimDisk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Arc<SimFile>>,
    folders: BTreeMap<PathBuf, ()>,
    fault: Option<Fault>,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A power cut: of every file's unsynced tail, only a prefix remains, whose length `draw(bytes)` picks from `0..=bytes`; its last
    /// remaining bytes may be torn (zeroed) where `draw(2)` says 1. Handles opened before keep the lost world to themselves.
    pub fn crash(&self, mut draw: impl FnMut(u64) -> u64) {
        let mut state = self.state.lock();
        for file in state.files.values_mut() {
            let survivor = {
                let content = file.content.lock();
                let unsynced = content.bytes.len() - content.synced.len().min(content.bytes.len());
                let kept = usize::try_from(draw(unsynced as u64)).unwrap_or(0).min(unsynced);
                let torn = kept > 0 && draw(2) == 1;
                content.after_crash(kept, torn)
            };
            *file = Arc::new(SimFile { content: Mutex::new(survivor), fault: Mutex::new(None) });
        }
    }

    /// Makes every write fail from now on, or work again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state.lock();
        state.fault = fault;
        for file in state.files.values() {
            *file.fault.lock() = fault;
        }
    }

    /// Flips bits of a stored byte, as a failing disk does. Returns whether there was such a byte.
    pub fn flip(&self, path: &Path, position: usize, mask: u8) -> bool {
        let state = self.state.lock();
        let Some(file) = state.files.get(path) else { return false };
        let mut content = file.content.lock();
        let Content { bytes, synced } = &mut *content;
        for copy in [bytes, synced] {
            if let Some(byte) = copy.get_mut(position) {
                *byte ^= mask;
            }
        }
        position < content.bytes.len()
    }

    /// Every file's path and length, sorted: what a trace may hash.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state.lock();
        state.files.iter().map(|(path, file)| (path.clone(), file.len())).collect()
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file or folder", path.display()))
}

#[async_trait]
impl Disk for SimDisk {
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        if let Some(file) = state.files.get(path) {
            return match mode {
                OpenMode::CreateNew => Err(io::ErrorKind::AlreadyExists.into()),
                OpenMode::Read | OpenMode::Append => Ok(file.clone()),
            };
        }
        if mode == OpenMode::Read {
            return Err(not_found(path));
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        if !parent.as_os_str().is_empty() && !state.folders.contains_key(parent) {
            return Err(not_found(parent));
        }
        if state.fault == Some(Fault::Full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = Arc::new(SimFile { content: Mutex::default(), fault: Mutex::new(state.fault) });
        state.files.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    async fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, EntryKind)>> {
        let state = self.state.lock();
        if !state.folders.contains_key(path) {
            return Err(not_found(path));
        }
        let folders = state.folders.keys().map(|folder| (folder, EntryKind::Directory));
        let files = state.files.keys().map(|file| (file, EntryKind::File));
        let mut entries: Vec<(String, EntryKind)> = folders
            .chain(files)
            .filter(|(entry, _)| entry.parent() == Some(path))
            .filter_map(|(entry, kind)| Some((entry.file_name()?.to_str()?.to_owned(), kind)))
            .collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        for folder in path.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
            state.folders.insert(folder.to_owned(), ());
        }
        Ok(())
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Some(file) = state.files.remove(from) {
            state.files.insert(to.to_owned(), file);
            return Ok(());
        }
        if !state.folders.contains_key(from) {
            return Err(not_found(from));
        }
        let moved = |path: &Path| {
            path.strip_prefix(from)
                .ok()
                .map(|rest| if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) })
        };
        let files = std::mem::take(&mut state.files);
        state.files = files.into_iter().map(|(path, file)| (moved(&path).unwrap_or(path), file)).collect();
        let folders = std::mem::take(&mut state.folders);
        state.folders = folders.into_keys().map(|path| (moved(&path).unwrap_or(path), ())).collect();
        Ok(())
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state.lock().files.remove(path).map(|_| ()).ok_or_else(|| not_found(path))
    }

    async fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.folders.contains_key(path) {
            return Err(not_found(path));
        }
        state.files.retain(|file, _| !file.starts_with(path));
        state.folders.retain(|folder, ()| !folder.starts_with(path));
        Ok(())
    }

    async fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state.lock();
        Ok(state.files.contains_key(path) || state.folders.contains_key(path))
    }

    async fn space(&self, _path: &Path) -> io::Result<(u64, u64)> {
        let full = self.state.lock().fault == Some(Fault::Full);
        Ok((if full { 0 } else { 1 << 40 }, 1 << 40))
    }
}

struct SimFile {
    content: Mutex<Content>,
    fault: Mutex<Option<Fault>>,
}

/// What the file holds, and what of it a power cut can't take.
#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

impl Content {
    fn after_crash(&self, kept: usize, torn: bool) -> Self {
        let mut bytes = self.synced.clone();
        let from = bytes.len().min(self.bytes.len());
        bytes.extend_from_slice(&self.bytes[from..from + kept]);
        if torn {
            let half = from + kept / 2;
            bytes[half..].fill(0);
        }
        Self { synced: bytes.clone(), bytes }
    }
}

impl SimFile {
    fn writable(&self) -> io::Result<()> {
        match *self.fault.lock() {
            None => Ok(()),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::WriteError) => Err(io::Error::other("simulated input/output error")),
        }
    }
}

#[async_trait]
impl DiskFile for SimFile {
    async fn append(&self, buffers: &[Bytes]) -> io::Result<u64> {
        self.writable()?;
        let mut content = self.content.lock();
        let position = content.bytes.len() as u64;
        for buffer in buffers {
            content.bytes.extend_from_slice(buffer);
        }
        Ok(position)
    }

    async fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let content = self.content.lock();
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(content.bytes.len());
        let to = from.saturating_add(len).min(content.bytes.len());
        Ok(Bytes::copy_from_slice(&content.bytes[from..to]))
    }

    async fn write_at(&self, position: u64, new: Bytes) -> io::Result<()> {
        self.writable()?;
        let mut content = self.content.lock();
        let from = usize::try_from(position).map_err(io::Error::other)?;
        let to = from + new.len();
        if content.bytes.len() < to {
            content.bytes.resize(to, 0);
        }
        content.bytes[from..to].copy_from_slice(&new);
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        // A full disk syncs what it has taken; one that fails to write does not.
        self.writable()
            .or_else(|error| if error.kind() == io::ErrorKind::StorageFull { Ok(()) } else { Err(error) })?;
        let mut content = self.content.lock();
        content.synced = content.bytes.clone();
        Ok(())
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        let mut content = self.content.lock();
        let len = usize::try_from(len).map_err(io::Error::other)?;
        content.bytes.resize(len, 0);
        content.synced.truncate(len);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.content.lock().bytes.len() as u64
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
