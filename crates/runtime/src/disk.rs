//! The disk port: what the log, the quorum and the caches need of files, as futures.

use async_trait::async_trait;
use bytes::Bytes;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; it is read only.
    Read,
    /// It is made when it does not exist; it is read and appended to.
    Append,
    /// It must not exist yet; it is read and appended to.
    CreateNew,
}

/// What a folder's entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Directory,
}

/// Work for [`Disk::run`].
pub type DiskWork = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Files and folders.
#[async_trait]
pub trait Disk: Send + Sync + 'static {
    /// Runs `work` where file operations may block: each of them is then one system call in place and no trip to another thread. For work
    /// of many small operations, as opening a log is. Safe to drop: what has begun is finished.
    ///
    /// # Errors
    /// When `work` panicked.
    async fn run(&self, work: DiskWork) -> io::Result<()> {
        work.await;
        Ok(())
    }

    /// Opens a file.
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// A folder's entries, sorted by name.
    async fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, EntryKind)>>;

    /// Makes a folder and its parents; nothing happens where they exist. Durable after `sync_dir` of the parent of each that was made.
    async fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The same, durable when it returns.
    async fn create_dir_durable(&self, path: &Path) -> io::Result<()> {
        let mut parents = Vec::new();
        for folder in path.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
            if self.exists(folder).await? {
                break;
            }
            parents.extend(folder.parent());
        }
        self.create_dir_all(path).await?;
        for parent in parents {
            self.sync_dir(parent).await?;
        }
        Ok(())
    }

    /// Renames a file or folder over whatever has the new name. Durable after `sync_dir` of the parent.
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    async fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Deletes a folder and all in it.
    async fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the folder's entries (files made, renamed, deleted in it) survive a power cut.
    async fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Whether there is a file or folder of that name.
    async fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Bytes free for us, and bytes in all, on the disk that holds `path`.
    async fn space(&self, path: &Path) -> io::Result<(u64, u64)>;

    /// The whole of a small file.
    async fn read(&self, path: &Path) -> io::Result<Bytes> {
        let file = self.open(path, OpenMode::Read).await?;
        let len = usize::try_from(file.len()).map_err(io::Error::other)?;
        file.read_at(0, len).await
    }

    /// Makes everything on the file system of `path` survive a power cut: for hundreds of files cheaper than a sync of each.
    async fn sync_all(&self, path: &Path) -> io::Result<()>;

    /// Replaces a small file as a whole: after a crash it is the old one or the new one.
    async fn write_atomic(&self, path: &Path, content: Bytes) -> io::Result<()> {
        let temporary = self.write_beside(path, content).await?;
        self.open(&temporary, OpenMode::Read).await?.sync().await?;
        self.rename(&temporary, path).await?;
        self.sync_dir(path.parent().unwrap_or(Path::new("."))).await
    }

    /// The first half of [`Disk::write_atomic`]: a file that is to be synced and then renamed to `path`. Returns its own path.
    async fn write_beside(&self, path: &Path, content: Bytes) -> io::Result<PathBuf> {
        let mut temporary = PathBuf::from(path).into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        if self.exists(&temporary).await? {
            self.remove_file(&temporary).await?;
        }
        let file = self.open(&temporary, OpenMode::CreateNew).await?;
        file.append(&[content]).await?;
        Ok(temporary)
    }
}

/// An open file that grows at its end. Every call may come from several tasks at once, but appends and truncations are the caller's to order.
#[async_trait]
pub trait DiskFile: Send + Sync + 'static {
    /// Writes the buffers one after another at the end, into the page cache, in place (no thread hop). Returns the position of the
    /// first byte. On an error the file is cut back to where it was.
    async fn append(&self, buffers: &[Bytes]) -> io::Result<u64>;

    /// `len` bytes from `position`; fewer only where the file ends. What is not in the page cache is read by the disk pool.
    async fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes>;

    /// Overwrites bytes that exist already (a checkpoint within an index). Not for logs.
    async fn write_at(&self, position: u64, content: Bytes) -> io::Result<()>;

    /// Makes what was appended survive a power cut (fdatasync, on the disk pool).
    async fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    async fn truncate(&self, len: u64) -> io::Result<()>;

    /// Sets disk space aside for a file that is to have `len` bytes, so that appends find it in one piece; 0 gives back what was not used.
    async fn reserve(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }

    /// Bytes in the file.
    fn len(&self) -> u64;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file descriptor for `sendfile`; none where the disk is simulated.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// Part of a file, on its way to a socket without passing through memory of ours.
#[derive(Clone)]
pub struct FileRange {
    /// The file; kept open by this range even if it is deleted meanwhile.
    pub file: Arc<dyn DiskFile>,
    /// The first byte.
    pub position: u64,
    /// How many bytes.
    pub len: usize,
}

impl FileRange {
    /// Reads the range into memory.
    ///
    /// # Errors
    /// The disk's; `UnexpectedEof` when the file has been cut below the range's end.
    pub async fn read(&self) -> io::Result<Bytes> {
        let content = self.file.read_at(self.position, self.len).await?;
        if content.len() < self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(content)
    }
}

impl std::fmt::Debug for FileRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileRange({}..+{})", self.position, self.len)
    }
}
