//! One segment: a `.log` file with its two indexes, and what is known of it in memory.

mod cleaned;
mod lookup;
mod recover;
mod roll;
mod scrub;

pub use recover::{Cut, Trust};
pub use roll::Next;
pub use scrub::Damage;

use crate::error::Error;
use crate::index::{Index, OffsetEntry, TimeEntry};
use crate::names::{self, Suffix};
use crate::scan::{Place, Scan};
use millstream_runtime::{DiskFile, OpenMode, Runtime};
use millstream_types::{Offset, TimestampMs};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Batches at the tail whose places are remembered, so that readers near the end need no scan.
const RECENT_PLACES: usize = 32;

pub struct Segment {
    pub base: Offset,
    /// Milliseconds by which this segment is closed early: see `segment.jitter.ms`.
    jitter_ms: i64,
    path: PathBuf,
    log: Arc<dyn DiskFile>,
    offsets: Index<OffsetEntry>,
    times: Index<TimeEntry>,
    tail: Mutex<Tail>,
    /// As the last look for damage found it, in the order of the file.
    damages: Mutex<Vec<Damage>>,
    /// What was taken as it was when the segment was opened, and not looked at since.
    unchecked: Mutex<Extent>,
}

/// The largest timestamp of a segment, and the last offset of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Largest {
    pub timestamp: i64,
    pub offset: Offset,
}

struct Tail {
    size: u64,
    next: Offset,
    /// Unknown of a closed segment until it is asked for.
    largest: Option<Largest>,
    /// The largest timestamp of the first batch: from it on the time to close is counted.
    first_timestamp: Option<i64>,
    created: TimestampMs,
    bytes_since_entry: u64,
    recent: VecDeque<Place>,
}

/// What readers of a segment may see at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub size: u64,
    pub next: Offset,
}

impl Segment {
    /// A new segment, with empty files.
    pub async fn create(runtime: &Runtime, folder: &Path, base: Offset, jitter_ms: i64) -> Result<Self, Error> {
        let segment = Self::open(runtime, folder, base, jitter_ms).await?;
        // Files of that name are leftovers of a roll that was cut short: the log has no record at or after `base`.
        if !segment.log.is_empty() {
            segment.log.truncate(0).await.map_err(Error::io("empty", &segment.path))?;
        }
        segment.offsets.create().await?;
        segment.times.create().await?;
        let mut tail = segment.tail.lock();
        tail.size = 0;
        tail.next = base;
        tail.largest = Some(Largest { timestamp: -1, offset: base });
        drop(tail);
        segment.offsets.replace(Vec::new());
        segment.times.replace(Vec::new());
        Ok(segment)
    }

    /// The segment as its files are, its indexes closed and its end unknown.
    async fn open(runtime: &Runtime, folder: &Path, base: Offset, jitter_ms: i64) -> Result<Self, Error> {
        let path = names::file(folder, base, Suffix::Log);
        let log = runtime.disk.open(&path, OpenMode::Append).await.map_err(Error::io("open", &path))?;
        let tail = Tail {
            size: log.len(),
            next: base,
            largest: None,
            first_timestamp: None,
            created: runtime.clock.now(),
            bytes_since_entry: 0,
            recent: VecDeque::new(),
        };
        Ok(Self {
            base,
            jitter_ms,
            path,
            log,
            offsets: Index::closed(runtime.disk.clone(), names::file(folder, base, Suffix::Index)),
            times: Index::closed(runtime.disk.clone(), names::file(folder, base, Suffix::TimeIndex)),
            tail: Mutex::new(tail),
            damages: Mutex::default(),
            unchecked: Mutex::new(Extent { size: 0, next: base }),
        })
    }

    /// A closed segment that the next one, at `next`, follows. Nothing is read.
    pub async fn open_closed(runtime: &Runtime, folder: &Path, base: Offset, next: Offset) -> Result<Self, Error> {
        let segment = Self::open(runtime, folder, base, 0).await?;
        segment.tail.lock().next = next;
        Ok(segment)
    }

    pub fn extent(&self) -> Extent {
        let tail = self.tail.lock();
        Extent { size: tail.size, next: tail.next }
    }

    pub fn size(&self) -> u64 {
        self.tail.lock().size
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn index_paths(&self) -> [&Path; 2] {
        [self.offsets.path(), self.times.path()]
    }

    pub const fn log(&self) -> &Arc<dyn DiskFile> {
        &self.log
    }

    /// The largest timestamp; -1 where no record has one.
    pub async fn largest(&self) -> Result<Largest, Error> {
        if let Some(largest) = self.tail.lock().largest {
            return Ok(largest);
        }
        // Closing a segment put its largest timestamp last into the time index.
        let last = self.times.last().await?;
        let largest = last.map_or(Largest { timestamp: -1, offset: self.base }, |entry| Largest {
            timestamp: entry.timestamp,
            offset: self.base + i64::from(entry.relative),
        });
        self.tail.lock().largest = Some(largest);
        Ok(largest)
    }

    /// Takes note of batches that were appended to the file, and adds index entries where Kafka does.
    pub fn grow(&self, places: impl Iterator<Item = Place>, index_interval_bytes: u64) {
        let mut tail = self.tail.lock();
        for place in places {
            tail.first_timestamp.get_or_insert(place.max_timestamp.0);
            let mut largest = tail.largest.unwrap_or(Largest { timestamp: -1, offset: self.base });
            if place.max_timestamp.0 > largest.timestamp {
                largest = Largest { timestamp: place.max_timestamp.0, offset: place.last() };
            }
            tail.largest = Some(largest);
            if tail.bytes_since_entry > index_interval_bytes {
                self.offsets.push(OffsetEntry {
                    relative: self.relative(place.last()),
                    position: u32::try_from(place.position).unwrap_or(u32::MAX),
                });
                self.add_time(largest);
                tail.bytes_since_entry = 0;
            }
            tail.bytes_since_entry += place.size;
            tail.size = place.end();
            tail.next = place.next;
            if tail.recent.len() == RECENT_PLACES {
                tail.recent.pop_front();
            }
            tail.recent.push_back(place);
        }
    }

    fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset - self.base).unwrap_or(u32::MAX)
    }

    /// Kafka's rule: only a timestamp that is larger than the last entry's is added.
    fn add_time(&self, largest: Largest) {
        let entry = TimeEntry { timestamp: largest.timestamp, relative: self.relative(largest.offset) };
        self.times.push_if(entry, |last| entry.timestamp > last.map_or(-1, |last| last.timestamp));
    }

    /// Takes a recovered segment for closed, where another one follows at `next`.
    pub fn close_before(&self, next: Offset) {
        self.close();
        self.tail.lock().next = next;
    }

    /// Lets go of what only an active segment needs. The indexes must have been stored.
    pub fn close(&self) {
        self.offsets.close();
        self.times.close();
        self.tail.lock().recent.clear();
    }

    /// Makes the index files what they are after a close or a clean stop: the largest timestamp is the time index's last entry.
    pub async fn store_indexes(&self) -> Result<(), Error> {
        let largest = self.largest().await?;
        self.add_time(largest);
        self.offsets.store().await?;
        self.times.store().await
    }

    /// Brings the index files of an active segment up to date: a recovery after a kill begins where they end.
    pub async fn extend_indexes(&self) -> Result<(), Error> {
        self.offsets.extend_file().await?;
        self.times.extend_file().await
    }

    /// Cuts the file for good: what a power cut brought back would be taken for records.
    async fn cut_file(&self, len: u64) -> Result<(), Error> {
        self.log.truncate(len).await.map_err(Error::io("cut", &self.path))?;
        self.sync_log().await
    }

    pub async fn sync_log(&self) -> Result<(), Error> {
        self.log.sync().await.map_err(Error::io("sync", &self.path))
    }

    pub async fn sync_indexes(&self) -> Result<(), Error> {
        self.offsets.sync().await?;
        self.times.sync().await
    }

    /// Makes a closed segment active again: its indexes come into memory.
    pub async fn activate(&self) -> Result<(), Error> {
        let largest = self.largest().await?;
        self.offsets.activate().await?;
        self.times.activate().await?;
        let extent = self.extent();
        let first = self.scan(0, extent.size).next().await?;
        let mut tail = self.tail.lock();
        tail.largest = Some(largest);
        tail.first_timestamp = first.map(|place| place.max_timestamp.0);
        tail.bytes_since_entry = 0;
        Ok(())
    }

    /// Cuts off the batch that has `offset` and all after it. The segment must be active. Returns where it ends then.
    pub async fn truncate(&self, offset: Offset) -> Result<Offset, Error> {
        let Some(place) = self.place_of(offset).await? else {
            // Compaction took what was last in it: it ends before the offset.
            let mut tail = self.tail.lock();
            tail.next = tail.next.min(offset.max(self.base));
            return Ok(tail.next);
        };
        let next = place.base.min(offset);
        let relative = self.relative(place.base);
        self.offsets.cut(|entry| entry.relative >= relative);
        self.times.cut(|entry| entry.relative >= relative);
        self.cut_file(place.position).await?;
        {
            let mut tail = self.tail.lock();
            tail.size = place.position;
            tail.next = next;
            let mut unchecked = self.unchecked.lock();
            if unchecked.size > place.position {
                *unchecked = Extent { size: place.position, next };
            }
            tail.recent.retain(|recent| recent.position < place.position);
            tail.bytes_since_entry = 0;
            if place.position == 0 {
                tail.first_timestamp = None;
            }
        }
        let largest = self.rescan_largest().await?;
        self.tail.lock().largest = Some(largest);
        Ok(next)
    }

    /// The largest timestamp by the time index and the batches after its last entry.
    async fn rescan_largest(&self) -> Result<Largest, Error> {
        let mut largest = self.times.last().await?.map_or(Largest { timestamp: -1, offset: self.base }, |entry| {
            Largest { timestamp: entry.timestamp, offset: self.base + i64::from(entry.relative) }
        });
        let from = self.place_of(largest.offset).await?.map_or(0, |place| place.position);
        let mut scan = self.scan(from, self.extent().size);
        while let Some(place) = scan.next().await? {
            if place.max_timestamp.0 > largest.timestamp {
                largest = Largest { timestamp: place.max_timestamp.0, offset: place.last() };
            }
        }
        Ok(largest)
    }

    fn scan(&self, from: u64, end: u64) -> Scan<'_> {
        Scan::new(&self.log, &self.path, from, end, self.base)
    }
}
