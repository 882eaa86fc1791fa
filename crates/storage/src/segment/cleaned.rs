//! A segment that a compaction writes beside the ones it replaces, and what it asks of those.

use super::{Extent, Largest, Segment, Tail};
use crate::error::Error;
use crate::index::Index;
use crate::names::{self, CLEANED, Suffix};
use crate::scan::{Place, Scan};
use bytes::Bytes;
use millstream_runtime::{DiskFile, OpenMode, Runtime};
use millstream_types::Offset;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

impl Segment {
    /// An empty segment whose files end in `.cleaned` until they are swapped in.
    pub async fn create_cleaned(runtime: &Runtime, folder: &Path, base: Offset) -> Result<Self, Error> {
        let create = |suffix| async move {
            let path = names::file_ending(folder, base, suffix, CLEANED);
            let file = runtime.disk.open(&path, OpenMode::Append).await.map_err(Error::io("make", &path))?;
            if !file.is_empty() {
                // Of a compaction that was given up.
                file.truncate(0).await.map_err(Error::io("empty", &path))?;
            }
            Ok::<Arc<dyn DiskFile>, Error>(file)
        };
        let tail = Tail {
            size: 0,
            next: base,
            largest: Some(Largest { timestamp: -1, offset: base }),
            first_timestamp: None,
            created: runtime.clock.now(),
            bytes_since_entry: 0,
            recent: VecDeque::new(),
        };
        let index = |suffix| names::file(folder, base, suffix);
        Ok(Self {
            base,
            jitter_ms: 0,
            path: names::file(folder, base, Suffix::Log),
            log: create(Suffix::Log).await?,
            offsets: Index::writing(runtime.disk.clone(), index(Suffix::Index), create(Suffix::Index).await?),
            times: Index::writing(runtime.disk.clone(), index(Suffix::TimeIndex), create(Suffix::TimeIndex).await?),
            tail: Mutex::new(tail),
            damages: Mutex::default(),
            unchecked: Mutex::new(Extent { size: 0, next: base }),
        })
    }

    /// Appends what stays of the segments that this one replaces; `places` are counted from the first of the bytes.
    pub async fn append_cleaned(&self, bytes: Vec<Bytes>, places: &[Place], index_interval: u64) -> Result<(), Error> {
        let at = self.log.append(&bytes).await.map_err(Error::io("append to", &self.path))?;
        let places = places.iter().map(|place| Place { position: place.position + at, ..*place });
        self.grow(places, index_interval);
        Ok(())
    }

    /// Ends the writing: all of it is on the disk, and the next segment begins at `next`.
    pub async fn finish_cleaned(&self, next: Offset) -> Result<(), Error> {
        self.store_indexes().await?;
        self.sync_log().await?;
        self.sync_indexes().await?;
        self.close_before(next);
        Ok(())
    }

    /// Bytes of both indexes of a closed segment. From now on their files are open: readers of this segment go on with them when a compaction
    /// gives their names to others.
    pub async fn index_bytes(&self) -> Result<[u64; 2], Error> {
        Ok([self.offsets.stored_bytes().await?, self.times.stored_bytes().await?])
    }

    /// The largest timestamp of the first batch; -1 where there is none.
    pub async fn first_timestamp(&self) -> Result<i64, Error> {
        if let Some(first) = self.tail.lock().first_timestamp {
            return Ok(first);
        }
        let first = self.scan(0, self.size()).next().await?.map_or(-1, |place| place.max_timestamp.0);
        self.tail.lock().first_timestamp = Some(first);
        Ok(first)
    }

    /// Steps through all batches of a closed segment, or those from the one that has `from` on, in reads of `chunk_bytes`.
    pub async fn batches_from(&self, from: Offset, chunk_bytes: usize) -> Result<Scan<'_>, Error> {
        let start = match from > self.base {
            true => self.place_of(from).await?,
            false => None,
        };
        let end = self.size();
        let position = match start {
            Some(start) => start.position,
            None if from > self.base => end,
            None => 0,
        };
        Ok(self.scan(position, end).chunks(chunk_bytes))
    }
}
