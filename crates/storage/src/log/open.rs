//! Opening a partition's folder: a new one, one that was closed cleanly, one that was not, and one that Kafka wrote.

use super::aborted::TxnIndexes;
use super::listing::Listing;
use super::{Log, LogId, Shared, State, kept, swap};
use crate::checkpoint::{self, Checkpoint};
use crate::epochs::{self, Epochs};
use crate::error::Error;
use crate::names::{self, Suffix};
use crate::partition_metadata::{self, Claim};
use crate::segment::{Cut, Segment, Trust};
use millstream_runtime::Runtime;
use millstream_types::{Offset, TopicConfig};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// How the node that had the folder last ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// It closed every log: nothing is scanned.
    pub clean: bool,
    /// The operating system has not been started since: what was written is in the page cache, synced or not.
    pub same_boot: bool,
}

impl Recovery {
    /// After a clean stop, or for a new folder.
    pub const CLEAN: Self = Self { clean: true, same_boot: true };
    /// After the process was killed.
    pub const KILLED: Self = Self { clean: false, same_boot: true };
    /// After a power cut.
    pub const POWER_LOST: Self = Self { clean: false, same_boot: false };
}

/// What was found when a log was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// Segments whose every batch was checked.
    pub segments_checked: usize,
    /// Bytes that were cut off the end: an append that the stop interrupted, or what a power cut took.
    pub bytes_cut: u64,
    /// Why, in words, where bytes were cut.
    pub problem: Option<String>,
}

impl Log {
    /// Opens the log, making its folder where there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for damage that a stop can't have done; [`Error::WrongTopic`]; [`Error::Format`]; the disk's.
    pub async fn open(
        runtime: Runtime,
        id: LogId,
        config: Arc<TopicConfig>,
        recovery: Recovery,
    ) -> Result<Self, Error> {
        let folder = id.folder();
        runtime.disk.create_dir_all(&folder).await.map_err(Error::io("make", &folder))?;
        let mut listing = Listing::of(&*runtime.disk, &folder).await?;
        if swap::recover(&*runtime.disk, &folder, listing.names()).await? {
            listing = Listing::of(&*runtime.disk, &folder).await?;
        }
        let stored = match listing.has(checkpoint::NAME) {
            true => Some(Checkpoint::read(&*runtime.disk, &folder).await?),
            false => None,
        };
        let claim = match listing.has(partition_metadata::NAME) {
            false => Claim::New,
            // It is synced before the first checkpoint is stored.
            true if !recovery.same_boot && stored.is_none() => Claim::Unsure,
            true => Claim::Settled,
        };
        partition_metadata::claim(&*runtime.disk, &folder, id.partition.topic, claim).await?;
        let has_remote = config.remote_storage_enable;
        let bases = listing.tidy(&runtime, &folder, has_remote).await?;
        let epochs = match listing.has(epochs::NAME) {
            true => Epochs::read(&*runtime.disk, &folder).await?,
            false => Epochs::default(),
        };
        let mut opener = Opener {
            runtime: &runtime,
            folder: &folder,
            config: &config,
            recovery,
            recovery_point: stored.map_or(Offset::ZERO, |stored| stored.recovery_point),
            log_start: stored.map_or(Offset::ZERO, |stored| stored.log_start),
            is_ours: stored.is_some(),
            epochs,
            listing: &listing,
            opening: Opening::default(),
            segments: BTreeMap::new(),
        };
        let epochs_before = opener.epochs.clone();
        opener.open_all(&bases).await?;
        let Opener { epochs, opening, segments, .. } = opener;
        let unstored = epochs != epochs_before;
        let log = Self::assemble((runtime.clone(), id, config), recovery, (stored, segments), (epochs, opening));
        log.0.state.lock().epochs_unstored = unstored;
        *log.0.txn_indexes.lock() = TxnIndexes::new(listing.txn_indexes(has_remote));
        log.settle(&listing, recovery).await?;
        Ok(log)
    }

    fn assemble(
        (runtime, id, config): (Runtime, LogId, Arc<TopicConfig>),
        recovery: Recovery,
        (stored, segments): (Option<Checkpoint>, BTreeMap<Offset, Arc<Segment>>),
        (epochs, opening): (Epochs, Opening),
    ) -> Self {
        let first = segments.first_key_value().map_or(Offset::ZERO, |(base, _)| *base);
        let end = segments.last_key_value().map_or(Offset::ZERO, |(_, segment)| segment.extent().next);
        let stored_start = stored.map_or(Offset::ZERO, |stored| stored.log_start);
        // What is below the first segment can only be read where it was copied elsewhere.
        let log_start =
            if config.remote_storage_enable && stored.is_some() { stored_start } else { stored_start.max(first) };
        let recovery_point =
            if recovery.clean { end } else { stored.map_or(Offset::ZERO, |stored| stored.recovery_point).min(end) };
        let state = State {
            segments,
            log_start: log_start.min(end),
            recovery_point,
            stored: stored.unwrap_or_default(),
            cleaned_to: None,
            epochs,
            epochs_unstored: false,
            truncations: 0,
            last_flush: runtime.clock.elapsed(),
            folder_unsynced: true,
            claim_unsynced: true,
            failed: None,
            closed: false,
            deleted: false,
        };
        let folder = id.folder();
        Self(Arc::new(Shared {
            runtime,
            id,
            folder,
            opening,
            config: Mutex::new(config),
            writer: tokio::sync::Mutex::new(()),
            flusher: tokio::sync::Mutex::new(()),
            checkpointer: tokio::sync::Mutex::new(()),
            sweeper: tokio::sync::Mutex::new(()),
            swapping: tokio::sync::RwLock::new(()),
            txn_indexes: Mutex::default(),
            kept: Mutex::default(),
            state: Mutex::new(state),
        }))
    }

    /// Brings what lies beside the segments in line with them.
    async fn settle(&self, listing: &Listing, recovery: Recovery) -> Result<(), Error> {
        let stored_start = self.0.state.lock().stored.log_start;
        if self.log_end() < stored_start {
            // A power cut took records that had been deleted before: their offsets are not given again.
            self.0.restart_at(stored_start).await?;
        }
        let (start, end) = (self.log_start(), self.log_end());
        {
            // A crash before they are stored leaves the same to be done at the next opening.
            let mut state = self.0.state.lock();
            let changed = state.epochs.truncate_end(end) | state.epochs.truncate_start(start);
            state.epochs_unstored |= changed;
        }
        if listing.snapshots().any(|at| at > end) {
            self.remove_producer_snapshots(|at| at > end).await?;
            // Before anything else is written at those offsets: a power cut must not bring them back.
            self.0.runtime.disk.sync_dir(self.folder()).await.map_err(Error::io("sync", self.folder()))?;
        }
        if listing.has(kept::NAME) {
            self.0.read_kept_producers(end, recovery.clean).await?;
        }
        if !self.config().remote_storage_enable {
            self.delete_before(start).await?;
        }
        self.0.store_checkpoint().await
    }
}

struct Opener<'a> {
    runtime: &'a Runtime,
    folder: &'a Path,
    config: &'a TopicConfig,
    listing: &'a Listing,
    recovery: Recovery,
    recovery_point: Offset,
    log_start: Offset,
    /// The folder has a checkpoint of ours.
    is_ours: bool,
    epochs: Epochs,
    opening: Opening,
    segments: BTreeMap<Offset, Arc<Segment>>,
}

impl Opener<'_> {
    fn jitter_ms(&self) -> i64 {
        super::jitter_ms(self.runtime, self.config)
    }

    async fn open_all(&mut self, bases: &[Offset]) -> Result<(), Error> {
        if bases.is_empty() {
            let segment = Segment::create(self.runtime, self.folder, self.log_start, self.jitter_ms()).await?;
            segment.preallocate(self.config).await?;
            self.segments.insert(self.log_start, Arc::new(segment));
            return Ok(());
        }
        for (place, &base) in bases.iter().enumerate() {
            let next = bases.get(place + 1).copied();
            let (segment, cut) = self.open_one(base, next).await?;
            let Some(cut) = cut.filter(|cut| cut.problem.is_some()) else {
                self.segments.insert(base, Arc::new(segment));
                continue;
            };
            tracing::warn!(file = %segment.path().display(), bytes = cut.bytes, next_offset = cut.next.0, problem = cut.problem.as_deref(), "cut off what an unclean stop left unfinished");
            segment.activate().await?;
            self.segments.insert(base, Arc::new(segment));
            return self.drop_rest(&bases[place + 1..], &cut).await;
        }
        Ok(())
    }

    async fn open_one(&mut self, base: Offset, next: Option<Offset>) -> Result<(Segment, Option<Cut>), Error> {
        if self.recovery.clean && next.is_none() {
            if let Some(segment) = Segment::open_clean(self.runtime, self.folder, base, self.jitter_ms()).await? {
                return Ok((segment, None));
            }
            tracing::warn!(folder = %self.folder.display(), "the log was closed cleanly but its end is not as a close leaves it; checking the last segment");
        }
        if let Some(next) = next {
            let is_settled = self.recovery.clean || next < self.recovery_point;
            if is_settled && self.listing.has_indexes(base) {
                return Ok((Segment::open_closed(self.runtime, self.folder, base, next).await?, None));
            }
        }
        let trust = Trust {
            recovery_point: self.recovery_point,
            log_start: self.log_start,
            same_boot: self.recovery.same_boot,
            is_last: next.is_none(),
            has_resumable: self.recovery.same_boot
                && self.is_ours
                && self.listing.has_indexes(base)
                && self.listing.has(epochs::NAME),
        };
        let at = (base, self.jitter_ms());
        let (segment, mut cut) =
            Segment::recover(self.runtime, self.folder, at, (trust, self.config), &mut self.epochs).await?;
        self.opening.segments_checked += 1;
        if let Some(next) = next
            && cut.problem.is_none()
        {
            cut.problem = self.missing(&segment, cut.next, next)?;
            if cut.problem.is_none() {
                segment.close_before(next);
            }
        }
        Ok((segment, Some(cut)))
    }

    /// Whether a power cut took whole batches off the end of a segment that another one follows. Nothing is broken then, and yet what
    /// follows must go. In a compacted log that another program wrote such a gap may be rightful.
    fn missing(&self, segment: &Segment, end: Offset, next: Offset) -> Result<Option<String>, Error> {
        let may_be_compacted = self.config.compact && !self.is_ours;
        // Below the log's start there may be less than there was: a truncation can end there.
        let known = end.max(self.log_start);
        let problem = if end > next {
            // The next one was dropped before, and a power cut brought it back.
            format!("its records go on to {end}, past {next} where the next segment begins")
        } else if known < next && !may_be_compacted {
            format!("records {known} to {next} are missing at its end")
        } else {
            return Ok(None);
        };
        if next <= self.recovery_point {
            return Ok(None);
        }
        if self.recovery.same_boot || known < self.recovery_point {
            return Err(Error::corrupt(segment.path(), segment.size(), problem));
        }
        Ok(Some(problem))
    }

    /// A power cut took part of a segment that others follow: what follows was not synced either, and goes, the newest first.
    async fn drop_rest(&mut self, rest: &[Offset], cut: &Cut) -> Result<(), Error> {
        self.opening.bytes_cut += cut.bytes;
        self.opening.problem.clone_from(&cut.problem);
        for base in rest.iter().rev() {
            for suffix in [Suffix::Log, Suffix::Index, Suffix::TimeIndex, Suffix::TxnIndex] {
                let path = names::file(self.folder, *base, suffix);
                if suffix == Suffix::Log {
                    let file = self
                        .runtime
                        .disk
                        .open(&path, millstream_runtime::OpenMode::Read)
                        .await
                        .map_err(Error::io("open", &path))?;
                    self.opening.bytes_cut += file.len();
                }
                if self.runtime.disk.exists(&path).await.map_err(Error::io("look for", &path))? {
                    self.runtime.disk.remove_file(&path).await.map_err(Error::io("remove", &path))?;
                }
            }
        }
        // At once: what a power cut brought back would follow records that were written since.
        self.runtime.disk.sync_dir(self.folder).await.map_err(Error::io("sync", self.folder))
    }
}
