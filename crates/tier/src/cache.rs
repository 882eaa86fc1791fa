//! The local cache: chunks of cold logs as files, bounded in bytes, each checked against its checksum whenever it is read.
//!
//! ```text
//! <cache dir>/<segment, 32 hex digits>-<chunk>-<bytes>.chunk
//! ```
//! Files are neither synced nor written atomically: one that a crash tore fails its check and is fetched again.

use crate::chunks::Chunk;
use crate::lru::Lru;
use bytes::Bytes;
use millstream_runtime::{Disk, EntryKind, OpenMode};
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// Which chunk: the segment and the place in its chunk index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub segment: Uuid,
    pub place: usize,
}

pub struct Cache {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limit: u64,
    /// Bytes of each file.
    files: Mutex<Lru<Key, u64>>,
    ready: tokio::sync::OnceCell<()>,
}

impl Cache {
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, limit: u64) -> Self {
        Self { disk, dir, limit, files: Mutex::new(Lru::new(limit)), ready: tokio::sync::OnceCell::new() }
    }

    /// Bytes on disk.
    pub fn used(&self) -> u64 {
        self.files.lock().used()
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.files.lock().contains(key)
    }

    /// Takes over what an earlier run left.
    async fn ready(&self) -> bool {
        if self.limit == 0 {
            return false;
        }
        let scanned = self.ready.get_or_try_init(|| self.scan()).await;
        if let Err(error) = &scanned {
            tracing::warn!(folder = %self.dir.display(), %error, "the cache of cold data can't be used; every read goes to the object store");
        }
        scanned.is_ok()
    }

    async fn scan(&self) -> io::Result<()> {
        self.disk.create_dir_all(&self.dir).await?;
        for (name, kind) in self.disk.read_dir(&self.dir).await? {
            match parse(&name) {
                Some((key, bytes)) if kind == EntryKind::File => self.enter(key, bytes).await,
                _ => {}
            }
        }
        Ok(())
    }

    /// The chunk, if it is here and what it should be.
    pub async fn get(&self, key: Key, chunk: &Chunk) -> Option<Bytes> {
        if !self.ready().await {
            return None;
        }
        let bytes = self.files.lock().get(&key)?;
        let path = self.path(key, bytes);
        let found = self.disk.read(&path).await;
        let problem = match &found {
            Ok(content) => chunk.problem(content),
            Err(error) => Some(error.to_string()),
        };
        match (found, problem) {
            (Ok(content), None) => Some(content),
            (_, problem) => {
                tracing::warn!(file = %path.display(), problem = problem.as_deref(), "a cached chunk is unusable and is fetched again");
                self.files.lock().remove(&key);
                let _ = self.disk.remove_file(&path).await;
                None
            }
        }
    }

    /// Keeps a chunk. A disk that refuses costs only another fetch.
    pub async fn put(&self, key: Key, content: &Bytes) {
        if !self.ready().await || content.len() as u64 > self.limit {
            return;
        }
        let path = self.path(key, content.len() as u64);
        if let Err(error) = self.write(&path, content).await {
            tracing::debug!(file = %path.display(), %error, "a chunk was not cached");
            let _ = self.disk.remove_file(&path).await;
            return;
        }
        self.enter(key, content.len() as u64).await;
    }

    async fn write(&self, path: &std::path::Path, content: &Bytes) -> io::Result<()> {
        if self.disk.exists(path).await? {
            self.disk.remove_file(path).await?;
        }
        self.disk.open(path, OpenMode::CreateNew).await?.append(std::slice::from_ref(content)).await?;
        Ok(())
    }

    async fn enter(&self, key: Key, bytes: u64) {
        let gone = self.files.lock().insert(key, bytes, bytes);
        self.remove(gone).await;
    }

    /// Drops the chunks of segments that have gone from the store.
    pub async fn forget(&self, segments: &[Uuid]) {
        let gone = self.files.lock().remove_where(|key| segments.contains(&key.segment));
        self.remove(gone).await;
    }

    async fn remove(&self, gone: Vec<(Key, u64)>) {
        for (key, bytes) in gone {
            let path = self.path(key, bytes);
            match self.disk.remove_file(&path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(file = %path.display(), %error, "a cached chunk was not removed; the cache takes more than its limit");
                }
                _ => {}
            }
        }
    }

    fn path(&self, key: Key, bytes: u64) -> PathBuf {
        self.dir.join(format!("{}-{}-{bytes}.chunk", key.segment.simple(), key.place))
    }
}

fn parse(name: &str) -> Option<(Key, u64)> {
    let mut parts = name.strip_suffix(".chunk")?.splitn(3, '-');
    let segment = Uuid::try_parse(parts.next()?).ok()?;
    let place = parts.next()?.parse().ok()?;
    Some((Key { segment, place }, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_record::crc32c;
    use millstream_runtime::RealDisk;
    use millstream_types::{Offset, TimestampMs};

    fn chunk(content: &[u8]) -> Chunk {
        let len = u32::try_from(content.len()).unwrap();
        Chunk { first: Offset(0), position: 0, len, max_timestamp: TimestampMs(0), crc32c: crc32c(&[content]) }
    }

    fn key(place: usize) -> Key {
        Key { segment: Uuid::from_u128(7), place }
    }

    fn cache(dir: &std::path::Path, limit: u64) -> Cache {
        Cache::new(Arc::new(RealDisk::new()), dir.to_owned(), limit)
    }

    #[tokio::test]
    async fn chunks_outlive_the_process_and_stay_within_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let first = cache(dir.path(), 10);
        for place in 0..3 {
            first.put(key(place), &Bytes::from_static(b"abcd")).await;
        }
        assert_eq!((first.used(), first.contains(&key(0))), (8, false));
        let second = cache(dir.path(), 10);
        assert_eq!(second.get(key(0), &chunk(b"abcd")).await, None);
        assert_eq!(second.get(key(2), &chunk(b"abcd")).await.unwrap(), "abcd");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        second.forget(&[Uuid::from_u128(7)]).await;
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_changed_file_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(dir.path(), 10);
        cache.put(key(0), &Bytes::from_static(b"abcd")).await;
        std::fs::write(cache.path(key(0), 4), b"abXd").unwrap();
        assert_eq!(cache.get(key(0), &chunk(b"abcd")).await, None);
        assert_eq!((cache.used(), std::fs::read_dir(dir.path()).unwrap().count()), (0, 0));
    }

    #[tokio::test]
    async fn no_room_keeps_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let none = cache(dir.path(), 0);
        none.put(key(0), &Bytes::from_static(b"a")).await;
        assert_eq!(none.get(key(0), &chunk(b"a")).await, None);
        let small = cache(dir.path(), 3);
        small.put(key(0), &Bytes::from_static(b"abcd")).await;
        assert!(!small.contains(&key(0)));
    }
}
