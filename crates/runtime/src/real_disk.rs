//! The machine's files. Appends and reads of cached pages happen in place; what can block goes to tokio's blocking threads.

use crate::disk::{Disk, DiskFile, DiskWork, EntryKind, OpenMode};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags};
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Buffers of one vectored write: Linux takes at most 1,024.
const IOVECS_MAX: usize = 256;

/// The machine's disk.
#[derive(Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The machine's disk.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

thread_local! {
    /// Whether this thread is one of the disk pool's that runs a whole piece of work: see [`Disk::run`].
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Runs what may block: on the disk pool, or here where that is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    if MAY_BLOCK.get() { work() } else { on_pool(work).await }
}

#[expect(clippy::disallowed_methods, reason = "this is the disk pool that others must use instead")]
async fn on_pool<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Allows this thread to block until dropped, also by a panic.
struct MayBlock;

impl MayBlock {
    fn begin() -> Self {
        MAY_BLOCK.set(true);
        Self
    }
}

impl Drop for MayBlock {
    fn drop(&mut self) {
        MAY_BLOCK.set(false);
    }
}

#[async_trait]
impl Disk for RealDisk {
    async fn run(&self, work: DiskWork) -> io::Result<()> {
        if MAY_BLOCK.get() {
            work.await;
            return Ok(());
        }
        let runtime = tokio::runtime::Handle::current();
        on_pool(move || {
            let _here = MayBlock::begin();
            runtime.block_on(work);
            Ok(())
        })
        .await
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let path = path.to_owned();
        blocking(move || {
            let mut options = OpenOptions::new();
            match mode {
                OpenMode::Read => options.read(true),
                OpenMode::Append => options.read(true).write(true).create(true).truncate(false),
                OpenMode::CreateNew => options.read(true).write(true).create_new(true),
            };
            let file = options.open(&path)?;
            let len = AtomicU64::new(file.metadata()?.len());
            Ok(Arc::new(RealFile { file: Arc::new(file), len }) as Arc<dyn DiskFile>)
        })
        .await
    }

    async fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, EntryKind)>> {
        let path = path.to_owned();
        blocking(move || {
            let mut entries = Vec::new();
            for entry in std::fs::read_dir(path)? {
                let entry = entry?;
                let kind = if entry.file_type()?.is_dir() { EntryKind::Directory } else { EntryKind::File };
                if let Ok(name) = entry.file_name().into_string() {
                    entries.push((name, kind));
                }
            }
            entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            Ok(entries)
        })
        .await
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || std::fs::create_dir_all(path)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        blocking(move || std::fs::rename(from, to)).await
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || std::fs::remove_file(path)).await
    }

    async fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || std::fs::remove_dir_all(path)).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
        blocking(move || File::open(path)?.sync_all()).await
    }

    async fn sync_all(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || Ok(rustix::fs::syncfs(File::open(path)?)?)).await
    }

    async fn exists(&self, path: &Path) -> io::Result<bool> {
        let path = path.to_owned();
        blocking(move || path.try_exists()).await
    }

    async fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let path = path.to_owned();
        blocking(move || {
            let stat = rustix::fs::statvfs(&path)?;
            Ok((stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
        })
        .await
    }
}

struct RealFile {
    file: Arc<File>,
    len: AtomicU64,
}

impl RealFile {
    fn write_all(&self, buffers: &[Bytes], mut position: u64) -> io::Result<u64> {
        // A batch is a head and the rest: two need no list.
        let mut few = [IoSlice::new(&[]); 2];
        let mut many;
        let mut pending = match buffers.len() {
            len @ 0..=2 => {
                few.iter_mut().zip(buffers).for_each(|(slice, buffer)| *slice = IoSlice::new(buffer));
                &mut few[..len]
            }
            _ => {
                many = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect::<Vec<_>>();
                many.as_mut_slice()
            }
        };
        // Takes empty ones off the front.
        IoSlice::advance_slices(&mut pending, 0);
        while !pending.is_empty() {
            let at_once = &pending[..pending.len().min(IOVECS_MAX)];
            let written = match rustix::io::pwritev(&*self.file, at_once, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            position += written as u64;
            IoSlice::advance_slices(&mut pending, written);
        }
        Ok(position)
    }

    /// Reads only what the page cache holds; `None` where it holds not all of it or the file system can't tell.
    fn read_cached(&self, position: u64, buffer: &mut [u8]) -> Option<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let mut slices = [IoSliceMut::new(&mut buffer[filled..])];
            match rustix::io::preadv2(&*self.file, &mut slices, position + filled as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => return Some(filled),
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
        Some(filled)
    }
}

fn read_blocking(file: &File, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[async_trait]
impl DiskFile for RealFile {
    async fn append(&self, buffers: &[Bytes]) -> io::Result<u64> {
        let start = self.len.load(Ordering::Acquire);
        match self.write_all(buffers, start) {
            Ok(end) => {
                self.len.store(end, Ordering::Release);
                Ok(start)
            }
            Err(error) => {
                self.file.set_len(start)?;
                Err(error)
            }
        }
    }

    async fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let available = usize::try_from(self.len().saturating_sub(position)).unwrap_or(usize::MAX);
        let mut buffer = BytesMut::zeroed(len.min(available));
        if let Some(filled) = self.read_cached(position, &mut buffer) {
            buffer.truncate(filled);
            return Ok(buffer.freeze());
        }
        let file = self.file.clone();
        blocking(move || {
            let filled = read_blocking(&file, position, &mut buffer)?;
            buffer.truncate(filled);
            Ok(buffer.freeze())
        })
        .await
    }

    async fn write_at(&self, position: u64, content: Bytes) -> io::Result<()> {
        self.file.write_all_at(&content, position)?;
        self.len.fetch_max(position + content.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        let file = self.file.clone();
        blocking(move || file.sync_data()).await
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    async fn reserve(&self, len: u64) -> io::Result<()> {
        let (file, used) = (self.file.clone(), self.len());
        blocking(move || {
            use rustix::fs::{FallocateFlags, fallocate};
            if len == 0 {
                // Cut to the length it has, a file gives back what was set aside beyond.
                return file.set_len(used);
            }
            match fallocate(&*file, FallocateFlags::KEEP_SIZE, 0, len) {
                // Not every file system can; nothing depends on it.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
                reserved => Ok(reserved?),
            }
        })
        .await
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[tokio::test]
    async fn space_is_set_aside_and_given_back_and_no_byte_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = RealDisk::new().open(&path, OpenMode::Append).await.unwrap();
        let taken = || std::fs::metadata(&path).map(|file| (file.len(), file.blocks() * 512)).unwrap();
        file.reserve(1 << 20).await.unwrap();
        let (len, reserved) = taken();
        assert_eq!(len, 0, "it is as long as what was written");
        file.append(&[Bytes::from_static(b"batch")]).await.unwrap();
        file.reserve(0).await.unwrap();
        let (len, left) = taken();
        assert_eq!((len, file.read_at(0, 9).await.unwrap()), (5, Bytes::from_static(b"batch")));
        // A file system that can't set space aside takes no part in this.
        assert!(reserved == 0 || reserved >= 1 << 20 && left < reserved, "{reserved} {left}");
    }
}
