//! Reading the metadata log's files at start: what was torn by a crash is cut off, what is damaged is reported and never skipped.

use crate::Error;
use crate::entry_codec::{Body, decode};
use crate::error::DiskContext;
use crate::frame::{FRAME_HEAD_LEN, HEADER_LEN, body_at, read_header, readable_after};
use crate::hard_state::Stored;
use crate::raft_types::{Entry, LogId};
use bytes::Bytes;
use millstream_runtime::{Disk, DiskFile, OpenMode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a file of the log begins. Stored: never change.
pub(crate) const MAGIC: [u8; 8] = *b"MILLMETA";

/// One file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Counts the log's files, from 1.
    pub number: u64,
    /// The highest index of an entry in it, void ones among them.
    pub last_index: Option<u64>,
}

/// What the files hold.
#[derive(Default)]
pub(crate) struct Recovered {
    /// Entries that are not purged, by index.
    pub entries: BTreeMap<u64, Entry>,
    /// The newest entry known to be committed.
    pub committed: Option<LogId>,
    /// The files, oldest first.
    pub segments: Vec<Segment>,
    /// The last file, open to be appended to.
    pub active: Option<Arc<dyn DiskFile>>,
}

/// The path of the log's file `number`.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.log"))
}

/// Reads the log in `dir`.
pub(crate) async fn recover(disk: &dyn Disk, dir: &Path, stored: &Stored) -> Result<Recovered, Error> {
    let mut replay = Replay { next: None, purged: stored.purged, found: Recovered::default() };
    let numbers = numbers(disk, dir).await?;
    for (place, number) in numbers.iter().enumerate() {
        let path = segment_path(dir, *number);
        if place > 0 && numbers[place - 1] + 1 != *number {
            return Err(corrupt(&path, 0, format!("file {} of the log before it is missing", number - 1)));
        }
        let is_last = place + 1 == numbers.len();
        let file = disk.open(&path, OpenMode::Append).await.while_at("open", &path)?;
        let content =
            file.read_at(0, usize::try_from(file.len()).unwrap_or(usize::MAX)).await.while_at("read", &path)?;
        if is_last && stored.clean_end.is_none() && is_unborn(&path, &content) {
            disk.remove_file(&path).await.while_at("remove", &path)?;
            disk.sync_dir(dir).await.while_at("sync", dir)?;
            continue;
        }
        let end = replay.file(&path, *number, &content)?;
        check_end(&path, is_last, &content, (end, *number), stored)?;
        if end < content.len() {
            tracing::warn!(path = %path.display(), at = end, bytes = content.len() - end, "a write that a crash had torn was cut off");
            file.truncate(end as u64).await.while_at("cut", &path)?;
            file.sync().await.while_at("sync", &path)?;
        }
        replay.found.active = Some(file);
    }
    replay.finish(dir)
}

async fn numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, Error> {
    let names = disk.read_dir(dir).await.while_at("list", dir)?;
    let number = |name: &str| name.strip_suffix(".log")?.parse().ok();
    // Names have leading zeros: their order is the numbers'.
    Ok(names.iter().filter_map(|(name, _)| number(name)).collect())
}

/// Whether a crash took the file before its header was on the disk; no entry can have been in it.
fn is_unborn(path: &Path, content: &Bytes) -> bool {
    match read_header(path, content, MAGIC) {
        Ok(_) | Err(Error::NewerFormat { .. }) => false,
        Err(_) => body_at(content, HEADER_LEN).is_none() && !readable_after(content, 0),
    }
}

/// Checks that a file read up to `end` may end there.
fn check_end(
    path: &Path,
    is_last: bool,
    content: &Bytes,
    (end, number): (usize, u64),
    stored: &Stored,
) -> Result<(), Error> {
    let position = end as u64;
    if end < content.len() && (!is_last || readable_after(content, end)) {
        return Err(corrupt(path, position, "a frame can't be read, but what follows it can".into()));
    }
    match stored.clean_end {
        Some(clean) if is_last && (clean.file, clean.len) != (number, position) => {
            let reason =
                format!("the log was closed at byte {} of file {}, but reads only to here", clean.len, clean.file);
            Err(corrupt(path, position, reason))
        }
        _ => Ok(()),
    }
}

fn corrupt(path: &Path, position: u64, reason: String) -> Error {
    Error::Corrupt { path: path.to_owned(), position, reason }
}

struct Replay {
    /// The index that the next entry must have.
    next: Option<u64>,
    purged: Option<LogId>,
    found: Recovered,
}

impl Replay {
    /// Takes in a file; answers up to which byte it can be read.
    fn file(&mut self, path: &Path, number: u64, content: &Bytes) -> Result<usize, Error> {
        if read_header(path, content, MAGIC)? != number {
            return Err(corrupt(path, 0, "its header has another number than its name".into()));
        }
        let mut segment = Segment { number, last_index: None };
        let mut position = HEADER_LEN;
        while let Some(body) = body_at(content, position) {
            let wrong = |reason: String| corrupt(path, position as u64, reason);
            match decode(&body).map_err(|error| wrong(error.to_string()))? {
                Body::Entries { committed, entries } => {
                    self.found.committed = self.found.committed.max(committed);
                    for entry in entries {
                        segment.last_index = segment.last_index.max(Some(entry.log_id.index));
                        self.entry(entry).map_err(wrong)?;
                    }
                }
                Body::Truncate { kept } => {
                    self.next = Some(kept.map_or(0, |kept| kept + 1));
                    self.found.entries.retain(|index, _| Some(*index) <= kept);
                }
            }
            position += FRAME_HEAD_LEN + body.len();
        }
        self.found.segments.push(segment);
        Ok(position)
    }

    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        let index = entry.log_id.index;
        let first_kept = self.purged.map_or(0, |purged| purged.index + 1);
        // A gap is right only where a snapshot stands in for what is missing.
        let follows = self.next == Some(index) || (self.next.is_none_or(|next| next < index) && index <= first_kept);
        if !follows {
            return Err(format!("entry {index} follows where {} was expected", self.next.unwrap_or(first_kept)));
        }
        self.next = Some(index + 1);
        if index >= first_kept {
            self.found.entries.insert(index, entry);
        }
        Ok(())
    }

    fn finish(self, dir: &Path) -> Result<Recovered, Error> {
        let last = self.found.entries.keys().next_back().copied().max(self.purged.map(|purged| purged.index));
        let committed = self.found.committed.map(|committed| committed.index);
        if committed > last {
            let path =
                self.found.segments.last().map_or_else(|| dir.to_owned(), |segment| segment_path(dir, segment.number));
            let reason = format!("entry {committed:?} was committed, but the log ends at {last:?}");
            return Err(corrupt(&path, 0, reason));
        }
        Ok(self.found)
    }
}
