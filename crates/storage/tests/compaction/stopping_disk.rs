//! A disk on which everything stops at a given change: what a kill in the midst of something leaves.

use async_trait::async_trait;
use bytes::Bytes;
use millstream_runtime::{Disk, DiskFile, EntryKind, OpenMode, SimDisk};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::Notify;

/// What is common to a disk and its files.
pub struct Fuse {
    /// Changes that are still made; a negative number means all.
    left: AtomicI64,
    pub blown: Notify,
}

impl Fuse {
    /// Returns when the next change may be made: never, once the fuse has blown.
    async fn pass(&self) {
        if self.left.load(Ordering::SeqCst) < 0 {
            return;
        }
        let before =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some((left - 1).max(0))).unwrap();
        if before == 0 {
            self.blown.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

pub struct StoppingDisk {
    disk: Arc<SimDisk>,
    pub fuse: Arc<Fuse>,
}

impl StoppingDisk {
    pub fn new(disk: Arc<SimDisk>) -> Self {
        Self { disk, fuse: Arc::new(Fuse { left: AtomicI64::new(-1), blown: Notify::new() }) }
    }

    /// Everything stops before the change after so many.
    pub fn stop_after(&self, changes: i64) {
        self.fuse.left.store(changes, Ordering::SeqCst);
    }

    pub fn stop_no_more(&self) {
        self.fuse.left.store(-1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Disk for StoppingDisk {
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        if mode != OpenMode::Read && !self.disk.exists(path).await? {
            self.fuse.pass().await;
        }
        let file = self.disk.open(path, mode).await?;
        Ok(Arc::new(StoppingFile { file, fuse: self.fuse.clone() }))
    }

    async fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, EntryKind)>> {
        self.disk.read_dir(path).await
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.fuse.pass().await;
        self.disk.create_dir_all(path).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fuse.pass().await;
        self.disk.rename(from, to).await
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        if self.disk.exists(path).await? {
            self.fuse.pass().await;
        }
        self.disk.remove_file(path).await
    }

    async fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.fuse.pass().await;
        self.disk.remove_dir_all(path).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.fuse.pass().await;
        self.disk.sync_dir(path).await
    }

    async fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.fuse.pass().await;
        self.disk.sync_all(path).await
    }

    async fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path).await
    }

    async fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        self.disk.space(path).await
    }
}

struct StoppingFile {
    file: Arc<dyn DiskFile>,
    fuse: Arc<Fuse>,
}

#[async_trait]
impl DiskFile for StoppingFile {
    async fn append(&self, buffers: &[Bytes]) -> io::Result<u64> {
        self.fuse.pass().await;
        self.file.append(buffers).await
    }

    async fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        self.file.read_at(position, len).await
    }

    async fn write_at(&self, position: u64, content: Bytes) -> io::Result<()> {
        self.fuse.pass().await;
        self.file.write_at(position, content).await
    }

    async fn sync(&self) -> io::Result<()> {
        self.fuse.pass().await;
        self.file.sync().await
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.fuse.pass().await;
        self.file.truncate(len).await
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.fd()
    }
}
