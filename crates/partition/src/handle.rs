//! The handle by which everyone else uses a partition.

use crate::partition::Partition;
use crate::writer::Appending;
use crate::{AppendOptions, Appended, Bounds, EpochEnd, Error, Isolation, Meter, producers};
use bytes::Bytes;
use millstream_record::{Batch, Codec, Compression, DoorRules};
use millstream_replica::Committed;
use millstream_storage::{ClosedSegment, Epochs, Log};
use millstream_types::{LeaderEpoch, Offset, TopicConfig, TopicPartition};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// A partition of this broker. Cheap to clone; every future of it may be dropped at any time.
#[derive(Clone)]
pub struct PartitionHandle(pub(crate) Arc<Partition>);

/// How the topic's batches are stored; none where it is as the producer sent them.
fn stored(config: &TopicConfig) -> Option<Compression> {
    let at = |codec, level| Some(Compression { codec, level });
    match config.compression_type.as_str() {
        "producer" => None,
        "uncompressed" => Some(Codec::None.into()),
        "gzip" => at(Codec::Gzip, config.compression_gzip_level),
        "lz4" => at(Codec::Lz4, config.compression_lz4_level),
        "zstd" => at(Codec::Zstd, config.compression_zstd_level),
        name => name.parse::<Codec>().ok().map(Compression::from),
    }
}

impl PartitionHandle {
    /// Which partition.
    #[must_use]
    pub fn id(&self) -> TopicPartition {
        self.0.id
    }

    /// Whether both are handles of one opening of the partition: after its disk failed it is opened anew.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// The topic's options.
    #[must_use]
    pub fn config(&self) -> Arc<TopicConfig> {
        self.0.log.config()
    }

    /// The metrics of the partition and its topic.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// What of the partition there is, now.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.0.bounds()
    }

    /// What the topic asks of a client's batches at this moment.
    #[must_use]
    pub fn door_rules(&self) -> DoorRules {
        let config = self.0.log.config();
        let now = self.0.runtime.clock.now().0;
        let before = now.saturating_sub(config.message_timestamp_before_max_ms);
        let after = now.saturating_add(config.message_timestamp_after_max_ms);
        DoorRules {
            keys_required: config.compact,
            // The broker's own time is always right.
            timestamps: (!config.log_append_time).then_some(before..=after),
            // A header tells the latest of its records' times, and not the earliest.
            walk_compressed: !config.log_append_time && config.message_timestamp_before_max_ms < i64::MAX,
            stored: stored(&config),
            ..DoorRules::client(usize::try_from(config.max_message_bytes).unwrap_or(0))
        }
    }

    /// Appends batches that have been checked at the door ([`millstream_record::check`]) and answers as `options.acks` says. All of them
    /// are appended, or none.
    ///
    /// # Errors
    /// `Replica` for leadership, epochs and in-sync replicas; `Producer` for epochs and sequences; `Storage` when the log could not be
    /// written; `Timeout` when it was, but the in-sync replicas did not confirm in time; `Busy`; `Closed`.
    pub async fn append(&self, batches: Vec<Batch>, options: AppendOptions) -> Result<Appended, Error> {
        self.begin_append(batches, options)?.done().await
    }

    /// The same in two steps: when this returns, the append has its place behind those that were begun before it.
    ///
    /// # Errors
    /// `Replica`, `Busy` and `Closed`, as [`PartitionHandle::append`].
    pub fn begin_append(&self, batches: Vec<Batch>, options: AppendOptions) -> Result<Appending, Error> {
        let partition = &self.0;
        partition.check_open()?;
        {
            let replica = partition.replica.lock();
            replica.check_epoch(options.leader_epoch).map_err(|error| partition.refused(error))?;
            let min_isr = partition.log.config().min_insync_replicas;
            replica.check_append(options.acks, min_isr).map_err(|error| partition.refused(error))?;
        }
        Appending::begin(partition, batches, &options)
    }

    /// Returns when everything before `next` is on every in-sync replica, which is waited for until `limit` after `begun`.
    pub(crate) async fn confirmed(&self, next: Offset, begun: Duration, limit: Duration) -> Result<(), Error> {
        let partition = &self.0;
        let mut moved = self.high_watermark();
        let confirmed = async {
            while !self.is_committed(next)? {
                partition.check_open()?;
                // The sender lives as long as the partition that this future holds.
                let _ = moved.changed().await;
            }
            Ok(())
        };
        let clock = &partition.runtime.clock;
        let left = (begun + limit).saturating_sub(clock.elapsed());
        tokio::select! {
            biased;
            outcome = confirmed => outcome,
            () = clock.sleep(left) => Err(Error::Timeout { name: partition.name.clone(), waited: limit }),
        }
    }

    /// Whether everything before `next` is on every in-sync replica.
    pub(crate) fn is_committed(&self, next: Offset) -> Result<bool, Error> {
        let min_isr = self.0.log.config().min_insync_replicas;
        let committed = self.0.replica.lock().committed(next, min_isr).map_err(|error| self.0.refused(error))?;
        Ok(committed == Committed::Yes)
    }

    /// The high watermark as it moves; [`Offset::NONE`] once the partition is closed here.
    #[must_use]
    pub fn high_watermark(&self) -> watch::Receiver<Offset> {
        self.0.high_watermark.subscribe()
    }

    /// Returns when the last stable offset is above `from`: when there is something more for a reader of committed records.
    ///
    /// # Errors
    /// `Closed` when the partition has gone.
    pub async fn readable(&self, from: Offset) -> Result<(), Error> {
        let mut high_watermark = self.high_watermark();
        loop {
            let now = *high_watermark.borrow_and_update();
            if now == Offset::NONE || (now > from && self.0.bounds().last_stable > from) {
                return self.0.check_open();
            }
            // A transaction is over only when the high watermark passes its marker, so that whoever waits for that sees it. The sender
            // lives as long as the partition that this future holds.
            let _ = high_watermark.changed().await;
        }
    }

    /// Where `requested` ended here, for a caller that believes `current` to be the current epoch (`NONE`: it does not care).
    ///
    /// # Errors
    /// `Replica` for epochs and leadership.
    pub fn epoch_end(&self, current: LeaderEpoch, requested: LeaderEpoch) -> Result<EpochEnd, Error> {
        self.check_leads(current)?;
        let end = self.0.log.epoch_end(requested);
        Ok(end.map_or(EpochEnd { epoch: LeaderEpoch::NONE, end_offset: Offset::NONE }, |end| EpochEnd {
            epoch: end.epoch,
            end_offset: end.end_offset,
        }))
    }

    /// Moves the log's start to `before` ([`Offset::NONE`]: the high watermark). Returns the new start.
    ///
    /// # Errors
    /// `Replica` for leadership and an offset out of range; `OnlyCompacted`; `Storage`.
    pub async fn delete_records(&self, before: Offset) -> Result<Offset, Error> {
        let partition = &self.0;
        self.check_leads(LeaderEpoch::NONE)?;
        let config = partition.log.config();
        if config.compact && !config.delete {
            return Err(Error::OnlyCompacted { name: partition.name.clone() });
        }
        let Bounds { log_start: start, high_watermark: end, .. } = partition.bounds();
        let before = if before == Offset::NONE { end } else { before };
        if before < Offset::ZERO || before > end {
            return Err(partition.refused(millstream_replica::Error::OffsetOutOfRange { offset: before, start, end }));
        }
        partition.log.delete_before(before).await.map_err(|error| partition.failed(error))?;
        Ok(partition.take_log_start())
    }

    /// Bytes of the log on local disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.log.size()
    }

    /// The partition's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.log.folder()
    }

    /// The data folder that it is in.
    #[must_use]
    pub fn data_folder(&self) -> &Path {
        &self.0.folder.path
    }

    /// The log's leader epochs.
    #[must_use]
    pub fn epochs(&self) -> Epochs {
        self.0.log.epochs()
    }

    /// The segments that take no more records, oldest first.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn closed_segments(&self) -> Result<Vec<ClosedSegment>, Error> {
        self.0.log.closed_segments().await.map_err(|error| self.0.failed(error))
    }

    /// Closes the active segment, so that it can be offloaded. Nothing happens when it is empty.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn roll(&self) -> Result<(), Error> {
        self.0.log.roll().await.map_err(|error| self.0.failed(error))?;
        Ok(())
    }

    /// Deletes local segments wholly below `offset`: they are in the object store. Returns how many went.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn delete_local_before(&self, offset: Offset) -> Result<usize, Error> {
        self.0.log.delete_local_before(offset).await.map_err(|error| self.0.failed(error))
    }

    /// Moves the log's start, because what was below has been deleted from the object store. Returns the new start.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn start_at(&self, start: Offset) -> Result<Offset, Error> {
        self.0.log.delete_before(start).await.map_err(|error| self.0.failed(error))?;
        Ok(self.0.take_log_start())
    }

    /// Notes that everything below `offset` is in the object store.
    pub fn set_tiered_to(&self, offset: Offset) {
        self.0.tiered_to.fetch_max(offset.0, Ordering::AcqRel);
    }

    /// Nothing of it is in the object store any more: the log begins with what is local. Returns its start.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn leave_store(&self) -> Result<Offset, Error> {
        let start = self.start_at(self.bounds().local_start).await?;
        self.0.tiered_to.store(Offset::ZERO.0, Ordering::Release);
        Ok(start)
    }

    /// The offset below which everything is in the object store, as far as was noted.
    #[must_use]
    pub fn tiered_to(&self) -> Offset {
        Offset(self.0.tiered_to.load(Ordering::Acquire))
    }

    /// The log itself, for what works beside the partition (offload, recovery from the object store).
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// Takes over a log that was changed beside the partition (recovered from the object store): its ends, and what is known of its producers.
    /// Not while it is written.
    ///
    /// # Errors
    /// The log's.
    pub async fn reload(&self) -> Result<(), millstream_storage::Error> {
        let partition = &self.0;
        let (loaded, _) = producers::load(&partition.log).await?;
        {
            let mut producers = partition.producers.lock();
            *producers = loaded;
            partition.producers_to.store(partition.log.log_end().0, Ordering::Release);
            partition.note_unstable(&producers);
        }
        let mut replica = partition.replica.lock();
        let min_isr = partition.log.config().min_insync_replicas;
        replica.start_at(partition.log.log_start());
        replica.appended(partition.log.log_end(), min_isr);
        partition.tell(&replica);
        Ok(())
    }

    pub(crate) fn check_leads(&self, epoch: LeaderEpoch) -> Result<(), Error> {
        self.0.check_open()?;
        let replica = self.0.replica.lock();
        replica.check_epoch(epoch).and_then(|()| replica.check_leader()).map_err(|error| self.0.refused(error))
    }

    /// Committed records from `from` in memory, for readers inside the node: `max_bytes` at most, one batch at least.
    ///
    /// # Errors
    /// As [`PartitionHandle::read`].
    pub async fn read_bytes(&self, request: crate::ReadRequest) -> Result<(Bytes, Bounds), Error> {
        let read = self.read(request).await?;
        let mut parts = Vec::with_capacity(read.records.len());
        for chunk in &read.records {
            let io = |source| millstream_storage::Error::Io { action: "read", path: self.folder().to_owned(), source };
            parts.push(chunk.read().await.map_err(|source| self.0.failed(io(source)))?);
        }
        let bytes = match parts.as_mut_slice() {
            [only] => std::mem::take(only),
            several => several.concat().into(),
        };
        Ok((bytes, read.bounds))
    }

    /// Whether anything may be read at or after `from` now.
    #[must_use]
    pub fn has_more(&self, from: Offset, isolation: Isolation) -> bool {
        from < self.0.bounds().end(isolation)
    }
}
