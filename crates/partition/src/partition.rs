//! One partition of this broker: its replica's state, its log, and who waits for it.

use crate::folder::Folder;
use crate::{Bounds, ColdReader, Error, Meter, producers};
use millstream_replica::{Assignment, Change, Replica};
use millstream_runtime::Runtime;
use millstream_storage::Log;
use millstream_txn::Producers;
use millstream_types::{BrokerId, Offset, TopicConfig, TopicPartition};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use tokio::sync::watch;

use crate::writer::Queue;

/// "No transaction is open" as a first unstable offset.
const STABLE: i64 = i64::MAX;

/// What the parts of a partition share. Every lock in it is short and never held over an await.
pub(crate) struct Partition {
    pub(crate) id: TopicPartition,
    pub(crate) topic: Arc<str>,
    /// `<topic>-<partition>`, for messages.
    pub(crate) name: Arc<str>,
    pub(crate) runtime: Runtime,
    /// The data folder that the log is in.
    pub(crate) folder: Arc<Folder>,
    pub(crate) log: Log,
    pub(crate) cold: Option<Arc<dyn ColdReader>>,
    pub(crate) meter: Meter,
    pub(crate) replica: Mutex<Replica>,
    pub(crate) queue: Mutex<Queue>,
    /// Changed by the writer alone, in the order of the log.
    pub(crate) producers: Mutex<Producers>,
    /// Where the producers' state is of: everything below is in it. Changed with it, under its lock.
    pub(crate) producers_to: AtomicI64,
    /// Aborts that are in the producers' state and not noted beside the log yet. Changed under the same lock.
    pub(crate) aborts_unnoted: AtomicBool,
    /// The offset at which a checkpoint last kept the producers' state.
    pub(crate) kept_at: AtomicI64,
    /// Bytes that the log had at the last checkpoint: what came since is what a recovery checks.
    pub(crate) checkpointed_bytes: AtomicU64,
    /// The first offset of a transaction that is not over; [`STABLE`] when there is none. Read after the high watermark: it goes down before
    /// that goes up over a transaction's first record, and up after that went up over its marker.
    pub(crate) first_unstable: AtomicI64,
    /// The high watermark; [`Offset::NONE`] once the partition is closed, so that whoever waits looks again.
    pub(crate) high_watermark: watch::Sender<Offset>,
    pub(crate) closed: AtomicBool,
    /// Everything below is in the object store.
    pub(crate) tiered_to: AtomicI64,
}

/// What a partition is made of.
pub(crate) struct Parts {
    pub(crate) topic: Arc<str>,
    pub(crate) runtime: Runtime,
    pub(crate) folder: Arc<Folder>,
    pub(crate) log: Log,
    pub(crate) cold: Option<Arc<dyn ColdReader>>,
    pub(crate) meter: Meter,
    pub(crate) local: BrokerId,
    /// As checkpointed; zero where nothing was.
    pub(crate) high_watermark: Offset,
}

impl Partition {
    /// A partition over an open log. It leads nothing until it is assigned.
    pub(crate) async fn new(parts: Parts) -> Result<Arc<Self>, Error> {
        let Parts { topic, runtime, folder, log, cold, meter, local, high_watermark } = parts;
        let id = log.id().partition;
        let name: Arc<str> = millstream_storage::folder_name(&topic, id.partition).into();
        let failed = |error| Error::Storage { name: name.clone(), source: Arc::new(error) };
        let (producers, kept_at) = producers::load(&log).await.map_err(failed)?;
        let producers_to = AtomicI64::new(log.log_end().0);
        let checkpointed_bytes = log.size();
        let replica = Replica::new(local, log.log_start(), log.log_end(), high_watermark);
        let high_watermark = watch::Sender::new(replica.high_watermark());
        let first_unstable = producers.first_unstable().map_or(STABLE, |offset| offset.0);
        Ok(Arc::new(Self {
            id,
            topic,
            name,
            runtime,
            folder,
            log,
            cold,
            meter,
            replica: Mutex::new(replica),
            queue: Mutex::default(),
            producers: Mutex::new(producers),
            producers_to,
            aborts_unnoted: AtomicBool::new(false),
            kept_at: AtomicI64::new(kept_at.0),
            checkpointed_bytes: AtomicU64::new(checkpointed_bytes),
            first_unstable: AtomicI64::new(first_unstable),
            high_watermark,
            closed: AtomicBool::new(false),
            tiered_to: AtomicI64::new(Offset::ZERO.0),
        }))
    }

    /// Applies what the quorum says of the partition. Returns whether the leadership changed.
    pub(crate) async fn assign(&self, assignment: &Assignment, config: &Arc<TopicConfig>) -> Result<bool, Error> {
        self.log.set_config(config.clone());
        let change = {
            let mut replica = self.replica.lock();
            let change = replica.assign(assignment, config.min_insync_replicas).map_err(|error| self.refused(error))?;
            self.tell(&replica);
            change
        };
        match change {
            // An append that comes before this is done begins the epoch itself: the log takes the first of both.
            Change::Leads { epoch, .. } => {
                self.log.assign_epoch(epoch).await.map_err(|error| self.failed(error))?;
                Ok(true)
            }
            Change::Follows { .. } => Ok(true),
            Change::None | Change::Members => Ok(false),
        }
    }

    /// Wakes whoever waits for the high watermark, where it moved.
    pub(crate) fn tell(&self, replica: &Replica) {
        let now = replica.high_watermark();
        if self.first_unstable.load(Ordering::Acquire) != STABLE {
            let mut producers = self.producers.lock();
            producers.replicated_to(now);
            self.note_unstable(&producers);
        }
        self.high_watermark.send_if_modified(|told| {
            let moved = *told != now && !self.closed.load(Ordering::Acquire);
            if moved {
                *told = now;
            }
            moved
        });
    }

    /// Takes over where the first transaction begins that is not over.
    pub(crate) fn note_unstable(&self, producers: &Producers) {
        let first = producers.first_unstable().map_or(STABLE, |offset| offset.0);
        self.first_unstable.store(first, Ordering::Release);
    }

    /// Takes over the log's start after something below it went.
    pub(crate) fn take_log_start(&self) -> Offset {
        let mut replica = self.replica.lock();
        replica.start_at(self.log.log_start());
        self.tell(&replica);
        replica.log_start()
    }

    /// Ends the partition here: whoever waits is sent to look elsewhere.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.high_watermark.send_replace(Offset::NONE);
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed { name: self.name.clone() }) } else { Ok(()) }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        let local_start = self.log.local_start();
        let replica = self.replica.lock();
        let (log_start, high_watermark) = (replica.log_start(), replica.high_watermark());
        let first_unstable = Offset(self.first_unstable.load(Ordering::Acquire));
        Bounds {
            log_start,
            local_start,
            last_stable: high_watermark.min(first_unstable.max(log_start)),
            high_watermark,
            log_end: replica.log_end(),
            leader_epoch: replica.leader_epoch(),
            is_leader: replica.is_leader(),
        }
    }

    pub(crate) fn refused(&self, source: millstream_replica::Error) -> Error {
        Error::Replica { name: self.name.clone(), source }
    }

    pub(crate) fn failed(&self, error: millstream_storage::Error) -> Error {
        Error::Storage { name: self.name.clone(), source: Arc::new(error) }
    }

    /// Sets the gauges.
    pub(crate) fn measure(&self) {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.meter.log_size.set(gauge(self.log.size()));
        self.meter.log_segments.set(gauge(self.log.segment_count() as u64));
        let bounds = self.bounds();
        self.meter.log_start.set(bounds.log_start.0);
        self.meter.log_end.set(bounds.log_end.0);
    }
}
