//! A segment's sparse indexes: entries of one size in ascending order. The active segment's are in memory and written when it is
//! closed (after a crash they are rebuilt from the log); a closed one's are searched in their file.
//!
//! ```text
//! .index       relative last offset u32 | position of its batch u32
//! .timeindex   largest timestamp so far i64 | relative last offset of its batch u32
//! ```
//! Kafka gives an active segment's index its full size ahead and trims it on close; ours is as long as its entries.

use crate::error::Error;
use bytes::{BufMut, Bytes, BytesMut};
use millstream_runtime::{Disk, DiskFile, OpenMode};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::OnceCell;

/// Entries read at once at the end of a search.
const BLOCK_ENTRIES: usize = 512;

/// An entry of an index.
pub trait Entry: Copy + Send + Sync + 'static {
    const BYTES: usize;
    fn write(self, out: &mut BytesMut);
    /// Reads an entry from exactly [`Self::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// Where a batch lies: any offset at or after `relative` is at or after `position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetEntry {
    /// The batch's last offset less the segment's base.
    pub relative: u32,
    pub position: u32,
}

/// A record later than `timestamp` comes after the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    pub timestamp: i64,
    pub relative: u32,
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;

    fn write(self, out: &mut BytesMut) {
        out.put_u32(self.relative);
        out.put_u32(self.position);
    }

    fn read(bytes: &[u8]) -> Self {
        Self { relative: u32::from_be_bytes(array(bytes)), position: u32::from_be_bytes(array(&bytes[4..])) }
    }
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;

    fn write(self, out: &mut BytesMut) {
        out.put_i64(self.timestamp);
        out.put_u32(self.relative);
    }

    fn read(bytes: &[u8]) -> Self {
        Self { timestamp: i64::from_be_bytes(array(bytes)), relative: u32::from_be_bytes(array(&bytes[8..])) }
    }
}

pub struct Index<E> {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    file: OnceCell<Arc<dyn DiskFile>>,
    /// The entries of an active segment; none where they are only in the file.
    memory: Mutex<Option<Vec<E>>>,
    /// Held by whoever writes the file.
    writing: tokio::sync::Mutex<()>,
    /// The file may have entries that are not in memory any more.
    is_stale: AtomicBool,
}

impl<E: Entry> Index<E> {
    /// The index of a closed segment. The file is opened when it is first needed.
    pub fn closed(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self {
            path,
            disk,
            file: OnceCell::new(),
            memory: Mutex::new(None),
            writing: tokio::sync::Mutex::new(()),
            is_stale: AtomicBool::new(false),
        }
    }

    /// An empty index that is being written to `file`, which is to be at `path` later.
    pub fn writing(disk: Arc<dyn Disk>, path: PathBuf, file: Arc<dyn DiskFile>) -> Self {
        Self {
            path,
            disk,
            file: OnceCell::new_with(Some(file)),
            memory: Mutex::new(Some(Vec::new())),
            writing: tokio::sync::Mutex::new(()),
            is_stale: AtomicBool::new(false),
        }
    }

    /// Bytes of the file of a closed index. From now on the file is open, whatever takes its name.
    pub async fn stored_bytes(&self) -> Result<u64, Error> {
        Ok(self.file().await?.len())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a closed index, which stays open from the first look into it on.
    async fn file(&self) -> Result<&Arc<dyn DiskFile>, Error> {
        self.file.get_or_try_init(|| self.open()).await
    }

    /// The file for one use: an active index is in memory, and thousands of partitions would take two open files more each.
    async fn file_once(&self) -> Result<Arc<dyn DiskFile>, Error> {
        match self.file.get() {
            Some(file) => Ok(file.clone()),
            None => self.open().await,
        }
    }

    async fn open(&self) -> Result<Arc<dyn DiskFile>, Error> {
        self.disk.open(&self.path, OpenMode::Append).await.map_err(Error::io("open", &self.path))
    }

    /// Makes the (empty) file, as Kafka does when a segment begins.
    pub async fn create(&self) -> Result<(), Error> {
        let file = self.file_once().await?;
        if file.is_empty() { Ok(()) } else { file.truncate(0).await.map_err(Error::io("empty", &self.path)) }
    }

    /// Adds an entry to an active index.
    pub fn push(&self, entry: E) {
        if let Some(entries) = self.memory.lock().as_mut() {
            entries.push(entry);
        }
    }

    /// Adds an entry to an active index where `fits` says so of the last one.
    pub fn push_if(&self, entry: E, fits: impl Fn(Option<&E>) -> bool) {
        if let Some(entries) = self.memory.lock().as_mut()
            && fits(entries.last())
        {
            entries.push(entry);
        }
    }

    /// How many entries are in memory: of an active index all.
    pub fn active_len(&self) -> usize {
        self.memory.lock().as_ref().map_or(0, Vec::len)
    }

    pub async fn last(&self) -> Result<Option<E>, Error> {
        self.last_where(|_| true).await
    }

    /// The last entry for which `holds`, which must be true for a front part of the entries and false for the rest.
    pub async fn last_where(&self, holds: impl Fn(&E) -> bool + Send + Sync) -> Result<Option<E>, Error> {
        if let Some(entries) = self.memory.lock().as_ref() {
            return Ok(entries.partition_point(&holds).checked_sub(1).map(|last| entries[last]));
        }
        let file = self.file().await?;
        let (mut low, mut high) = (0, usize::try_from(file.len()).unwrap_or(usize::MAX) / E::BYTES);
        while high - low > BLOCK_ENTRIES {
            let middle = low + (high - low) / 2;
            match self.read(file, middle, 1).await?.first() {
                Some(entry) if holds(entry) => low = middle,
                _ => high = middle,
            }
        }
        let block = self.read(file, low, high - low).await?;
        Ok(block.partition_point(&holds).checked_sub(1).map(|last| block[last]))
    }

    async fn read(&self, file: &Arc<dyn DiskFile>, first: usize, count: usize) -> Result<Vec<E>, Error> {
        let bytes =
            file.read_at((first * E::BYTES) as u64, count * E::BYTES).await.map_err(Error::io("read", &self.path))?;
        Ok(bytes.chunks_exact(E::BYTES).map(E::read).collect())
    }

    /// Brings the file's entries into memory, so that more can be added.
    pub async fn activate(&self) -> Result<Vec<E>, Error> {
        let file = self.file_once().await?;
        let len = usize::try_from(file.len()).unwrap_or(usize::MAX);
        let entries = self.read(&file, 0, len / E::BYTES).await?;
        let mut memory = self.memory.lock();
        // What is left of an entry is no place to go on from.
        self.is_stale.store(!len.is_multiple_of(E::BYTES), Ordering::Release);
        *memory = Some(entries.clone());
        Ok(entries)
    }

    /// Replaces all entries, in memory.
    pub fn replace(&self, entries: Vec<E>) {
        self.is_stale.store(true, Ordering::Release);
        *self.memory.lock() = Some(entries);
    }

    /// Drops entries of an active index from the first on for which `gone`.
    pub fn cut(&self, gone: impl Fn(&E) -> bool) {
        if let Some(entries) = self.memory.lock().as_mut()
            && let Some(kept) = entries.iter().position(gone)
        {
            self.is_stale.store(true, Ordering::Release);
            entries.truncate(kept);
        }
    }

    /// Whether the file had whole entries only when it was read into memory, or has what memory holds.
    pub fn is_whole(&self) -> bool {
        !self.is_stale.load(Ordering::Acquire)
    }

    /// Makes the file what memory holds.
    pub async fn store(&self) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        self.store_all().await
    }

    async fn store_all(&self) -> Result<(), Error> {
        // Before memory is looked at: what changes it later says so again.
        self.is_stale.store(false, Ordering::Release);
        self.rewrite().await.inspect_err(|_| self.is_stale.store(true, Ordering::Release))
    }

    async fn rewrite(&self) -> Result<(), Error> {
        let Some(out) = self.entries_from(0) else { return Ok(()) };
        let file = self.file_once().await?;
        file.truncate(0).await.map_err(Error::io("empty", &self.path))?;
        file.append(&[out]).await.map_err(Error::io("write", &self.path))?;
        Ok(())
    }

    /// Adds to the file what it lacks of an active index, so that a recovery finds its way by it.
    pub async fn extend_file(&self) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        if self.is_stale.load(Ordering::Acquire) {
            return self.store_all().await;
        }
        let file = self.file_once().await?;
        let stored = usize::try_from(file.len()).unwrap_or(usize::MAX) / E::BYTES;
        match self.entries_from(stored) {
            Some(out) if !out.is_empty() => {
                file.append(&[out]).await.map_err(Error::io("append to", &self.path))?;
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The entries of an active index from that one on, as they are stored.
    fn entries_from(&self, first: usize) -> Option<Bytes> {
        let memory = self.memory.lock();
        let mut out = BytesMut::new();
        memory.as_ref()?.iter().skip(first).for_each(|entry| entry.write(&mut out));
        Some(out.freeze())
    }

    /// Lets go of memory: from now on the file is searched. It must have been stored.
    pub fn close(&self) {
        *self.memory.lock() = None;
    }

    pub async fn sync(&self) -> Result<(), Error> {
        self.file_once().await?.sync().await.map_err(Error::io("sync", &self.path))
    }

    /// The entries as they are stored, for who copies a closed segment elsewhere.
    #[cfg(test)]
    pub async fn bytes(&self) -> Result<bytes::Bytes, Error> {
        let file = self.file().await?;
        file.read_at(0, usize::try_from(file.len()).unwrap_or(usize::MAX)).await.map_err(Error::io("read", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_runtime::SimDisk;

    #[tokio::test]
    async fn a_stored_index_is_searched_as_one_in_memory() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let index = Index::closed(disk.clone(), PathBuf::from("i"));
        index.replace(Vec::new());
        for number in 0..2000u32 {
            index.push(OffsetEntry { relative: number * 3, position: number * 100 });
        }
        index.store().await.unwrap();
        let closed = Index::<OffsetEntry>::closed(disk, PathBuf::from("i"));
        for goal in 0..6010u32 {
            let expected = index.last_where(|entry| entry.relative <= goal).await.unwrap();
            assert_eq!(expected.unwrap().relative, (goal - goal % 3).min(5997));
            assert_eq!(closed.last_where(|entry| entry.relative <= goal).await.unwrap(), expected);
        }
        assert_eq!(closed.last_where(|_| false).await.unwrap(), None);
        assert_eq!(closed.bytes().await.unwrap().len(), 16_000);
    }
}
