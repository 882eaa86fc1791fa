//! One partition's log: its segments in order, where it starts and ends, and who may change it.

mod aborted;
mod append;
mod clean;
mod delete;
mod flush;
mod kept;
mod listing;
mod offline;
mod open;
mod read;
mod retention;
mod scrub;
mod segments;
mod snapshots;
mod swap;
mod times;
mod together;
mod truncate;

pub use append::Appended;
pub use delete::remove_deleted;
pub use offline::probe_folder;
pub use open::{Opening, Recovery};
pub use read::Slice;
pub use scrub::Scrubbed;
pub use segments::LocalSegment;

use crate::checkpoint::Checkpoint;
use crate::epochs::{EpochEnd, Epochs};
use crate::error::Error;
use crate::names::{self, Suffix};
use crate::partition_metadata;
use crate::segment::Segment;
use bytes::Bytes;
use millstream_runtime::Runtime;
use millstream_types::{LeaderEpoch, Offset, TimestampMs, TopicConfig, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Which log: its place, its topic's name, and its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogId {
    /// The data folder.
    pub dir: PathBuf,
    /// The topic's name, as in the folder's.
    pub topic: String,
    /// The partition.
    pub partition: TopicPartition,
}

impl LogId {
    /// The partition's folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.dir.join(names::folder_name(&self.topic, self.partition.partition))
    }
}

/// A partition's log. Clones are the same log.
///
/// Appends, truncations, retention and closing exclude each other; reads and flushes go on beside them. A future of this type may be dropped:
/// the log is then as if the call had been done up to some batch.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    runtime: Runtime,
    id: LogId,
    folder: PathBuf,
    opening: Opening,
    config: Mutex<Arc<TopicConfig>>,
    /// Held by whoever changes segments, over I/O: this is what orders writers.
    writer: tokio::sync::Mutex<()>,
    /// Held by whoever syncs: those who wait for it find their records synced.
    flusher: tokio::sync::Mutex<()>,
    /// Held by whoever writes the checkpoint files.
    checkpointer: tokio::sync::Mutex<()>,
    /// Held by whoever takes segments out of the log or puts others in their place, after `writer` where both are. Appends don't wait for it.
    sweeper: tokio::sync::Mutex<()>,
    /// Held while a compacted segment and its aborts take their places; read by who needs both of one moment.
    swapping: tokio::sync::RwLock<()>,
    /// Short too, and taken after `state` where both are.
    txn_indexes: Mutex<aborted::TxnIndexes>,
    /// What was kept of the producers when the log was opened, until it is asked for.
    kept: Mutex<Option<(Offset, Bytes)>>,
    /// The short lock; never held over I/O.
    state: Mutex<State>,
}

struct State {
    /// By base offset; never empty. The last one is active.
    segments: BTreeMap<Offset, Arc<Segment>>,
    log_start: Offset,
    /// Records below are synced.
    recovery_point: Offset,
    stored: Checkpoint,
    /// Below, every key has its last record only.
    cleaned_to: Option<Offset>,
    epochs: Epochs,
    /// The epochs' file says less than `epochs`. Recovery finds what it lacks in the batches that were not synced, so the file has to be
    /// right only before the recovery point moves.
    epochs_unstored: bool,
    /// How often the log was truncated: a flush that saw another number knows nothing of what is there now.
    truncations: u64,
    last_flush: Duration,
    folder_unsynced: bool,
    /// `partition.metadata` may not be on the disk: it goes there before any checkpoint does.
    claim_unsynced: bool,
    failed: Option<String>,
    /// In order: `failed` says so too.
    closed: bool,
    deleted: bool,
}

/// A segment that takes no more records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedSegment {
    /// Its first offset.
    pub base: Offset,
    /// The next segment's first offset.
    pub next: Offset,
    /// Bytes of the `.log` file.
    pub size: u64,
    /// The largest timestamp in it; -1 where no record has one.
    pub max_timestamp: TimestampMs,
    /// The `.log` file.
    pub log: PathBuf,
    /// The `.index` file.
    pub index: PathBuf,
    /// The `.timeindex` file.
    pub time_index: PathBuf,
    /// The `.txnindex` file, which is there only where a marker in the segment aborted a transaction.
    pub txn_index: PathBuf,
    /// Where the producers' state at its end is, if it was written: the snapshot at `next`.
    pub producer_snapshot: PathBuf,
}

impl Log {
    /// Which log this is.
    #[must_use]
    pub fn id(&self) -> &LogId {
        &self.0.id
    }

    /// The partition's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// What was found when the log was opened.
    #[must_use]
    pub fn opening(&self) -> &Opening {
        &self.0.opening
    }

    /// The topic's options as the log goes by them.
    #[must_use]
    pub fn config(&self) -> Arc<TopicConfig> {
        self.0.config.lock().clone()
    }

    /// Goes by other options from now on.
    pub fn set_config(&self, config: Arc<TopicConfig>) {
        *self.0.config.lock() = config;
    }

    /// The first offset that can be read, here or in the object store.
    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.0.state.lock().log_start
    }

    /// The first offset that can be read from this disk.
    #[must_use]
    pub fn local_start(&self) -> Offset {
        self.0.state.lock().local_start()
    }

    /// The offset the next record gets.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.0.state.lock().log_end()
    }

    /// Records below were synced.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.0.state.lock().recovery_point
    }

    /// Bytes of all `.log` files here.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.state.lock().segments.values().map(|segment| segment.size()).sum()
    }

    /// How many segments are here.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.0.state.lock().segments.len()
    }

    /// The first offsets of the segments that begin at or after `from`.
    #[must_use]
    pub fn segment_bases(&self, from: Offset) -> Vec<Offset> {
        self.0.state.lock().segments.range(from..).map(|(base, _)| *base).collect()
    }

    /// The leader epochs of the log.
    #[must_use]
    pub fn epochs(&self) -> Epochs {
        self.0.state.lock().epochs.clone()
    }

    /// The newest leader epoch of the log.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.0.state.lock().epochs.latest()
    }

    /// Where `epoch` ends here, by the rules of OffsetForLeaderEpoch; none where it is newer than all in the log.
    #[must_use]
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let state = self.0.state.lock();
        state.epochs.end_of(epoch, state.log_end())
    }

    /// Begins `epoch` at the log's end: what a new leader does before it appends. It is stored with the next flush.
    ///
    /// # Errors
    /// The log takes no writes.
    pub async fn assign_epoch(&self, epoch: LeaderEpoch) -> Result<(), Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        self.0.begin_epochs([(epoch, self.log_end())]);
        Ok(())
    }

    /// The segments that take no more records, oldest first.
    ///
    /// # Errors
    /// The disk's.
    pub async fn closed_segments(&self) -> Result<Vec<ClosedSegment>, Error> {
        let segments = self.0.segments();
        let mut closed = Vec::new();
        for pair in segments.windows(2) {
            let [segment, after] = pair else { continue };
            let [index, time_index] = segment.index_paths();
            closed.push(ClosedSegment {
                base: segment.base,
                next: after.base,
                size: segment.size(),
                max_timestamp: TimestampMs(segment.largest().await?.timestamp),
                log: segment.path().to_owned(),
                index: index.to_owned(),
                time_index: time_index.to_owned(),
                txn_index: names::file(&self.0.folder, segment.base, Suffix::TxnIndex),
                producer_snapshot: names::file(&self.0.folder, after.base, Suffix::Snapshot),
            });
        }
        Ok(closed)
    }
}

impl State {
    fn active(&self) -> Option<&Arc<Segment>> {
        self.segments.last_key_value().map(|(_, segment)| segment)
    }

    fn log_end(&self) -> Offset {
        self.active().map_or(self.log_start, |segment| segment.extent().next.max(self.log_start))
    }

    /// Takes no more writes, in order.
    fn close(&mut self) {
        self.closed = true;
        self.failed = Some("it was closed".to_owned());
    }

    fn local_start(&self) -> Offset {
        self.segments.first_key_value().map_or(self.log_start, |(base, _)| (*base).max(self.log_start))
    }
}

impl Shared {
    fn segments(&self) -> Vec<Arc<Segment>> {
        self.state.lock().segments.values().cloned().collect()
    }

    fn active(&self) -> Result<Arc<Segment>, Error> {
        self.state.lock().active().cloned().ok_or_else(|| Error::Deleted { path: self.folder.clone() })
    }

    fn usable(&self) -> Result<(), Error> {
        if self.state.lock().deleted { Err(Error::Deleted { path: self.folder.clone() }) } else { Ok(()) }
    }

    fn writable(&self) -> Result<(), Error> {
        self.usable()?;
        match &self.state.lock().failed {
            Some(cause) => Err(Error::Failed { path: self.folder.clone(), cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Takes no more writes: what is on disk is no longer known.
    fn fail(&self, cause: &Error) {
        let mut state = self.state.lock();
        if state.failed.is_none() {
            tracing::error!(folder = %self.folder.display(), %cause, "the log takes no writes since its disk failed");
            state.failed = Some(cause.to_string());
        }
    }

    /// Begins epochs that are newer than those known. They are stored with the next flush.
    fn begin_epochs(&self, starts: impl IntoIterator<Item = (LeaderEpoch, Offset)>) {
        let mut state = self.state.lock();
        for (epoch, start) in starts {
            if state.epochs.latest().is_none_or(|latest| epoch > latest) {
                state.epochs_unstored |= state.epochs.assign(epoch, start);
            }
        }
    }

    /// Brings the epochs' file in line with what is known.
    async fn store_epochs(&self) -> Result<(), Error> {
        let _checkpointer = self.checkpointer.lock().await;
        let epochs = {
            let state = self.state.lock();
            if !state.epochs_unstored {
                return Ok(());
            }
            state.epochs.clone()
        };
        epochs.write(&*self.runtime.disk, &self.folder).await?;
        let mut state = self.state.lock();
        state.epochs_unstored = state.epochs != epochs;
        Ok(())
    }

    /// Changes the epochs, and their file where that changed anything.
    async fn change_epochs(&self, change: impl FnOnce(&mut Epochs) -> bool) -> Result<(), Error> {
        {
            let mut state = self.state.lock();
            if !change(&mut state.epochs) {
                return Ok(());
            }
            state.epochs_unstored = true;
        }
        self.store_epochs().await
    }

    /// Writes the checkpoint file where it differs from what it should say.
    async fn store_checkpoint(&self) -> Result<(), Error> {
        let _checkpointer = self.checkpointer.lock().await;
        let wanted = {
            let state = self.state.lock();
            Checkpoint { log_start: state.log_start, recovery_point: state.recovery_point }
        };
        if self.state.lock().stored != wanted {
            self.sync_claim().await?;
            if self.state.lock().folder_unsynced {
                // A power cut that took a new folder's name would take the log's start with it.
                self.runtime.disk.sync_dir(&self.id.dir).await.map_err(Error::io("sync", &self.id.dir))?;
            }
            // What is below the recovery point is found by the indexes then.
            self.active()?.extend_indexes().await?;
            wanted.write(&*self.runtime.disk, &self.folder).await?;
            self.state.lock().stored = wanted;
        }
        Ok(())
    }

    async fn sync_claim(&self) -> Result<(), Error> {
        if self.state.lock().claim_unsynced {
            partition_metadata::sync(&*self.runtime.disk, &self.folder).await?;
            self.state.lock().claim_unsynced = false;
        }
        Ok(())
    }

    fn jitter_ms(&self) -> i64 {
        jitter_ms(&self.runtime, &self.config.lock())
    }
}

/// By how much a segment is closed early.
fn jitter_ms(runtime: &Runtime, config: &TopicConfig) -> i64 {
    match u64::try_from(config.segment_jitter_ms.min(config.segment_ms)) {
        Ok(bound) if bound > 0 => i64::try_from(runtime.random.below(bound)).unwrap_or(0),
        _ => 0,
    }
}
