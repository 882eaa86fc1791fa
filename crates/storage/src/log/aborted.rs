//! The transactions of the log that were aborted: kept in `.txnindex` files, looked up by readers of committed records.
//!
//! A producer snapshot says that every abort below it is in these files and synced, so that recovery reads only what follows it.

use super::{Log, Shared, Slice};
use crate::error::Error;
use crate::names::{self, Suffix};
use crate::txn_index::{self, AbortedTxn};
use bytes::Bytes;
use millstream_runtime::OpenMode;
use millstream_types::Offset;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

/// Which files there are.
#[derive(Default)]
pub(super) struct TxnIndexes {
    /// The bases of the segments that have one, whether the segment itself is still on this disk or not.
    pub(super) bases: BTreeSet<Offset>,
    unsynced: BTreeSet<Offset>,
}

impl TxnIndexes {
    pub(super) fn new(bases: BTreeSet<Offset>) -> Self {
        // What the process before wrote is perhaps not synced.
        Self { unsynced: bases.clone(), bases }
    }

    pub(super) fn forget(&mut self, base: Offset) {
        self.bases.remove(&base);
        self.unsynced.remove(&base);
    }
}

impl Log {
    /// Notes transactions that were aborted by markers at the log's end, in the order of their markers.
    ///
    /// # Errors
    /// The disk's; the log takes no more writes then, since readers of committed records may not go past the markers.
    pub async fn add_aborted(&self, aborted: &[AbortedTxn]) -> Result<(), Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        self.0.append_aborted(aborted).await.inspect_err(|error| self.0.fail(error))
    }

    /// The aborted transactions that have records from `from` to before `below`, in the order of their markers.
    ///
    /// # Errors
    /// The disk's; [`Error::Format`] for an index that is damaged.
    pub async fn aborted(&self, from: Offset, below: Offset) -> Result<Vec<AbortedTxn>, Error> {
        let bases: Vec<Offset> = {
            let indexes = self.0.txn_indexes.lock();
            let first = indexes.bases.range(..=from).next_back().copied().unwrap_or(Offset::ZERO);
            indexes.bases.range(first..).copied().collect()
        };
        let mut found = Vec::new();
        for base in bases {
            let (entries, is_whole) = self.0.read_txn_index(base).await?;
            if !is_whole {
                let problem = "its entries are damaged; delete it and the producer snapshots, and start again";
                return Err(Error::format(&self.0.txn_index(base), problem));
            }
            let is_settled = entries.iter().any(|entry| entry.last_stable >= below);
            found.extend(entries.into_iter().filter(|entry| entry.last_offset >= from && entry.first_offset < below));
            if is_settled {
                break;
            }
        }
        Ok(found)
    }

    /// [`Log::read`] for a reader of committed records: with the aborted transactions among what is read.
    ///
    /// # Errors
    /// As [`Log::read`] and [`Log::aborted`].
    pub async fn read_committed(
        &self,
        from: Offset,
        below: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<(Slice, Vec<AbortedTxn>), Error> {
        // An abort is noted before what it is of can be read; a compaction drops it together with its records.
        let has_aborted = !self.0.txn_indexes.lock().bases.is_empty();
        let _steady = if has_aborted { Some(self.0.swapping.read().await) } else { None };
        let slice = self.read(from, below, max_bytes, at_least_one).await?;
        let aborted = match has_aborted && slice.next_offset > from {
            true => self.aborted(from, slice.next_offset).await?,
            false => Vec::new(),
        };
        Ok((slice, aborted))
    }

    /// Notes the aborts of a segment that is in the object store only: its `.txnindex` file as it was copied there.
    ///
    /// # Errors
    /// [`Error::Format`] for what is no such file; the disk's, and the log takes no more writes then.
    pub async fn restore_aborted(&self, base: Offset, content: Bytes) -> Result<(), Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        if !txn_index::decode(content.clone()).1 {
            return Err(Error::format(
                &self.0.txn_index(base),
                "the copy in the object store is damaged; restore it from a copy of the bucket",
            ));
        }
        self.0.txn_indexes.lock().bases.insert(base);
        self.0.replace_txn_index(base, content).await.inspect_err(|error| self.0.fail(error))
    }

    /// Forgets aborts whose markers are at or after `from`: the caller reads the log again from there. Returns false, and forgets nothing, when a
    /// file is damaged before that: then the whole log has to be read again.
    ///
    /// # Errors
    /// The disk's.
    pub async fn forget_aborted_from(&self, from: Offset) -> Result<bool, Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        self.0.cut_aborted(from).await
    }
}

impl Shared {
    async fn append_aborted(&self, aborted: &[AbortedTxn]) -> Result<(), Error> {
        let mut by_segment: BTreeMap<Offset, Vec<AbortedTxn>> = BTreeMap::new();
        for entry in aborted {
            let base = self.state.lock().segments.range(..=entry.last_offset).next_back().map(|(base, _)| *base);
            by_segment.entry(base.unwrap_or(Offset::ZERO)).or_default().push(*entry);
        }
        for (base, entries) in by_segment {
            let path = self.txn_index(base);
            {
                let mut indexes = self.txn_indexes.lock();
                indexes.bases.insert(base);
                indexes.unsynced.insert(base);
            }
            let file = self.runtime.disk.open(&path, OpenMode::Append).await.map_err(Error::io("open", &path))?;
            file.append(&[txn_index::encode(&entries)]).await.map_err(Error::io("append to", &path))?;
        }
        Ok(())
    }

    fn txn_index(&self, base: Offset) -> PathBuf {
        names::file(&self.folder, base, Suffix::TxnIndex)
    }

    async fn read_txn_index(&self, base: Offset) -> Result<(Vec<AbortedTxn>, bool), Error> {
        let path = self.txn_index(base);
        match self.runtime.disk.read(&path).await {
            Ok(content) => Ok(txn_index::decode(content)),
            // A segment went meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), true)),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// Called by the writer. A torn file is cut where the tear may be of a marker at or after `from`; false says that it may be of an earlier one.
    pub(super) async fn cut_aborted(&self, from: Offset) -> Result<bool, Error> {
        let bases: Vec<Offset> = self.txn_indexes.lock().bases.iter().copied().collect();
        let mut cut = Vec::new();
        for (place, &base) in bases.iter().enumerate() {
            let (entries, is_whole) = self.read_txn_index(base).await?;
            let kept = entries.partition_point(|entry| entry.last_offset < from);
            let ends_before = bases.get(place + 1).is_some_and(|next| *next <= from);
            let may_be_earlier = base < from && (ends_before || kept == entries.len());
            if !is_whole && may_be_earlier {
                return Ok(false);
            }
            if kept < entries.len() || !is_whole {
                cut.push((base, txn_index::encode(&entries[..kept])));
            }
        }
        for (base, content) in cut {
            self.replace_txn_index(base, content).await?;
        }
        Ok(true)
    }

    async fn replace_txn_index(&self, base: Offset, content: Bytes) -> Result<(), Error> {
        if content.is_empty() {
            return self.remove_txn_index(base).await;
        }
        let path = self.txn_index(base);
        self.runtime.disk.write_atomic(&path, content).await.map_err(Error::io("write", &path))
    }

    pub(super) async fn remove_txn_index(&self, base: Offset) -> Result<(), Error> {
        {
            let mut indexes = self.txn_indexes.lock();
            indexes.unsynced.remove(&base);
            if !indexes.bases.remove(&base) {
                return Ok(());
            }
        }
        let path = self.txn_index(base);
        match self.runtime.disk.remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Removes what is left of segments that are in the object store only, where all of theirs is below the log's start.
    pub(super) async fn drop_aborted_below(&self, start: Offset) -> Result<(), Error> {
        let bases: Vec<Offset> = self.txn_indexes.lock().bases.iter().copied().collect();
        for (place, base) in bases.iter().enumerate() {
            let (is_here, local_start) = {
                let state = self.state.lock();
                (state.segments.contains_key(base), state.segments.keys().next().copied().unwrap_or(state.log_start))
            };
            let next = bases.get(place + 1).copied().unwrap_or(local_start);
            if !is_here && next <= start {
                self.remove_txn_index(*base).await?;
            }
        }
        Ok(())
    }

    /// Removes every index from `base` on, or all.
    pub(super) async fn remove_txn_indexes(&self) -> Result<(), Error> {
        let bases: Vec<Offset> = self.txn_indexes.lock().bases.iter().copied().collect();
        for base in bases {
            self.remove_txn_index(base).await?;
        }
        Ok(())
    }

    /// Makes every abort that was noted survive a power cut.
    pub(super) async fn sync_aborted(&self) -> Result<(), Error> {
        let unsynced: Vec<Offset> = std::mem::take(&mut self.txn_indexes.lock().unsynced).into_iter().collect();
        if unsynced.is_empty() {
            return Ok(());
        }
        let synced = self.sync_txn_indexes(&unsynced).await;
        if synced.is_err() {
            self.txn_indexes.lock().unsynced.extend(unsynced);
        }
        synced
    }

    async fn sync_txn_indexes(&self, bases: &[Offset]) -> Result<(), Error> {
        for base in bases {
            let path = self.txn_index(*base);
            match self.runtime.disk.open(&path, OpenMode::Read).await {
                Ok(file) => file.sync().await.map_err(Error::io("sync", &path))?,
                // A segment went meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("open", &path)(error)),
            }
        }
        self.runtime.disk.sync_dir(&self.folder).await.map_err(Error::io("sync", &self.folder))
    }
}
