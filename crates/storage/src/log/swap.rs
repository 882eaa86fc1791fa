//! A compacted segment takes the place of those it was made of, by renames that a stop at any point leaves finished or undone.
//!
//! ```text
//!   1. B.log.cleaned, B.index.cleaned, ...     written and synced; a stop leaves nothing of them
//!   2. millstream.swap                         says: B.log.swap replaces B..U, and whether there is a B.txnindex.swap
//!   3. B.index.swap, ..., at last B.log.swap   from here on a stop is followed by the rest at the next opening
//!   4. files of segments after B and below U go, B's indexes are replaced
//!   5. B.log
//! ```
//! The names are Kafka's, and Kafka finishes what it finds in the same way, and we what it left. It knows U only from the swapped segment's last
//! record, so that old segments after that would stay: hence step 2.

use super::Shared;
use crate::error::Error;
use crate::names::{self, CLEANED, SWAP, Suffix};
use crate::scan::Scan;
use crate::segment::Segment;
use crate::txn_index::{self, AbortedTxn};
use bytes::Bytes;
use millstream_runtime::{Disk, OpenMode};
use millstream_types::Offset;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of step 2.
const NAME: &str = "millstream.swap";
const VERSION: &str = "0";
/// What a segment has beside its `.log`.
const INDEXES: [Suffix; 3] = [Suffix::TxnIndex, Suffix::Index, Suffix::TimeIndex];

/// Which segments another one replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Swap {
    base: Offset,
    /// The first offset after them.
    until: Offset,
    has_txn_index: bool,
}

/// What a compaction made of a group of segments.
pub(super) struct Replacement<'a> {
    pub segment: Segment,
    pub old: &'a [Arc<Segment>],
    /// Where the segment after them begins.
    pub until: Offset,
    pub aborted: Vec<AbortedTxn>,
    /// How often the log had been truncated when the compaction began.
    pub truncations: u64,
}

impl Shared {
    /// Swaps a compacted segment in. False when the log was cut or deleted from meanwhile: then it is dropped.
    pub(super) async fn swap_in(&self, replacement: Replacement<'_>) -> Result<bool, Error> {
        let Replacement { segment, old, until, aborted, truncations } = replacement;
        let base = segment.base;
        let swap = Swap { base, until, has_txn_index: !aborted.is_empty() };
        let _sweeper = self.sweeper.lock().await;
        if !self.is_as_it_was(old, truncations) {
            self.drop_cleaned(base).await?;
            return Ok(false);
        }
        if let Err(error) = self.prepare(&swap, &aborted).await {
            self.drop_cleaned(base).await?;
            return Err(error);
        }
        let settled = async {
            let (disk, folder) = (&*self.runtime.disk, &self.folder);
            rename(disk, folder, base, Suffix::Log, [CLEANED, SWAP]).await?;
            sync(disk, folder).await?;
            // Who reads committed records needs a segment and the aborts of the same moment.
            let _swapping = self.swapping.write().await;
            self.take_over(segment, old, swap.has_txn_index);
            finish(disk, folder, &swap).await
        };
        settled.await.inspect_err(|error| self.fail(error))?;
        Ok(true)
    }

    fn take_over(&self, segment: Segment, old: &[Arc<Segment>], has_txn_index: bool) {
        let base = segment.base;
        let mut state = self.state.lock();
        old.iter().for_each(|segment| drop(state.segments.remove(&segment.base)));
        state.segments.insert(base, Arc::new(segment));
        let mut indexes = self.txn_indexes.lock();
        old.iter().for_each(|segment| indexes.forget(segment.base));
        if has_txn_index {
            indexes.bases.insert(base);
        }
    }

    fn is_as_it_was(&self, old: &[Arc<Segment>], truncations: u64) -> bool {
        let state = self.state.lock();
        let is_there =
            |segment: &Arc<Segment>| state.segments.get(&segment.base).is_some_and(|known| Arc::ptr_eq(known, segment));
        !state.deleted && state.failed.is_none() && state.truncations == truncations && old.iter().all(is_there)
    }

    /// Step 2, and step 3 but for the log. Until that gets its name nothing has changed.
    async fn prepare(&self, swap: &Swap, aborted: &[AbortedTxn]) -> Result<(), Error> {
        let (disk, folder) = (&*self.runtime.disk, &self.folder);
        if swap.has_txn_index {
            let path = names::file_ending(folder, swap.base, Suffix::TxnIndex, CLEANED);
            let file = disk.open(&path, OpenMode::Append).await.map_err(Error::io("make", &path))?;
            file.truncate(0).await.map_err(Error::io("empty", &path))?;
            file.append(&[txn_index::encode(aborted)]).await.map_err(Error::io("write", &path))?;
            file.sync().await.map_err(Error::io("sync", &path))?;
        }
        swap.write(disk, folder).await?;
        for suffix in INDEXES.into_iter().filter(|suffix| swap.has_txn_index || *suffix != Suffix::TxnIndex) {
            rename(disk, folder, swap.base, suffix, [CLEANED, SWAP]).await?;
        }
        sync(disk, folder).await
    }

    /// Removes what a compaction that was given up has written.
    pub(super) async fn drop_cleaned(&self, base: Offset) -> Result<(), Error> {
        for suffix in [Suffix::Log, Suffix::Index, Suffix::TimeIndex, Suffix::TxnIndex] {
            for ending in [CLEANED, SWAP] {
                remove(&*self.runtime.disk, &names::file_ending(&self.folder, base, suffix, ending)).await?;
            }
        }
        Ok(())
    }
}

impl Swap {
    fn text(self) -> String {
        format!("{VERSION}\n{} {} {}\n", self.base, self.until, self.has_txn_index)
    }

    fn parse(content: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(content).ok()?.lines();
        let mut words = (lines.next()? == VERSION).then(|| lines.next())??.split(' ');
        let mut offset = || words.next()?.parse().ok().map(Offset);
        let (base, until) = (offset()?, offset()?);
        Some(Self { base, until, has_txn_index: words.next()?.parse().ok()? })
    }

    async fn write(self, disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
        let path = folder.join(NAME);
        disk.write_atomic(&path, Bytes::from(self.text())).await.map_err(Error::io("write", &path))
    }
}

/// Finishes the swaps that a stop interrupted after they were settled. `names` are the folder's files. Returns whether there were any.
pub(super) async fn recover(disk: &dyn Disk, folder: &Path, names: &BTreeSet<String>) -> Result<bool, Error> {
    let is_log = |name: &&String| name.ends_with(".log.swap");
    let bases: Vec<Offset> = names
        .iter()
        .filter(is_log)
        .filter_map(|name| names::parse(name.strip_suffix(SWAP)?))
        .map(|(base, _)| base)
        .collect();
    for &base in &bases {
        let path = folder.join(NAME);
        let stored = match names.contains(NAME) {
            true => Swap::parse(&disk.read(&path).await.map_err(Error::io("read", &path))?),
            false => None,
        };
        let swap = match stored.filter(|swap| swap.base == base) {
            Some(swap) => swap,
            None => {
                // Kafka's: it is known once, before anything is renamed.
                let swap = of_kafka(disk, folder, base, names).await?;
                swap.write(disk, folder).await?;
                swap
            }
        };
        tracing::info!(folder = %folder.display(), base = base.0, until = swap.until.0, "finishing a compaction that a stop interrupted");
        finish(disk, folder, &swap).await?;
    }
    Ok(!bases.is_empty())
}

/// By Kafka's rule a swapped segment replaces those that begin before its end.
async fn of_kafka(disk: &dyn Disk, folder: &Path, base: Offset, names: &BTreeSet<String>) -> Result<Swap, Error> {
    let path = names::file_ending(folder, base, Suffix::Log, SWAP);
    let file = disk.open(&path, OpenMode::Read).await.map_err(Error::io("open", &path))?;
    let mut scan = Scan::new(&file, &path, 0, file.len(), base);
    let mut until = base + 1;
    while let Some(place) = scan.next().await? {
        until = place.next;
    }
    let txn_index = names::file_ending(folder, base, Suffix::TxnIndex, SWAP);
    let name = txn_index.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok(Swap { base, until, has_txn_index: names.contains(name) })
}

/// Steps 4 and 5. What was done before is not there to be done again.
async fn finish(disk: &dyn Disk, folder: &Path, swap: &Swap) -> Result<(), Error> {
    let entries = disk.read_dir(folder).await.map_err(Error::io("list", folder))?;
    let files: Vec<(Offset, Suffix)> = entries.iter().filter_map(|(name, _)| names::parse(name)).collect();
    let has_later_snapshot = files.iter().any(|(at, suffix)| *suffix == Suffix::Snapshot && *at >= swap.until);
    for (at, suffix) in files.into_iter().filter(|(at, _)| *at > swap.base && *at < swap.until) {
        // Without a later one the producers are known from this one.
        if suffix != Suffix::Snapshot || has_later_snapshot {
            remove(disk, &names::file(folder, at, suffix)).await?;
        }
    }
    if !swap.has_txn_index {
        remove(disk, &names::file(folder, swap.base, Suffix::TxnIndex)).await?;
    }
    for suffix in INDEXES {
        match rename(disk, folder, swap.base, suffix, [SWAP, ""]).await {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    // Before the log gets its name: it must never have the indexes of the one before.
    sync(disk, folder).await?;
    rename(disk, folder, swap.base, Suffix::Log, [SWAP, ""]).await?;
    sync(disk, folder).await?;
    remove(disk, &folder.join(NAME)).await
}

async fn rename(disk: &dyn Disk, folder: &Path, base: Offset, suffix: Suffix, endings: [&str; 2]) -> Result<(), Error> {
    let [from, to]: [PathBuf; 2] = endings.map(|ending| names::file_ending(folder, base, suffix, ending));
    disk.rename(&from, &to).await.map_err(Error::io("rename", &from))
}

async fn remove(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    match disk.remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

async fn sync(disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
    disk.sync_dir(folder).await.map_err(Error::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read() {
        for has_txn_index in [true, false] {
            let swap = Swap { base: Offset(7), until: Offset(900), has_txn_index };
            assert_eq!(Swap::parse(swap.text().as_bytes()), Some(swap));
        }
        for wrong in ["", "0\n", "1\n7 900 true\n", "0\n7 900\n", "0\n7 x true\n", "0\n7 900 1\n"] {
            assert_eq!(Swap::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
