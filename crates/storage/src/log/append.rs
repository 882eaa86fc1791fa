//! Appending: batches get their offsets and go to the page cache, whole appends or none.

use super::{Log, Shared};
use crate::error::Error;
use crate::scan::Place;
use crate::segment::{Next, Segment};
use bytes::Bytes;
use millstream_record::Batch;
use millstream_types::{LeaderEpoch, Offset, TimestampMs, TopicConfig};
use std::sync::Arc;

/// Where batches were appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the first record.
    pub base_offset: Offset,
    /// The offset after the last record.
    pub next_offset: Offset,
    /// The broker's time that the records got, where the topic has LogAppendTime.
    pub append_time: Option<TimestampMs>,
    /// Whether a new segment was begun.
    pub rolled: bool,
}

struct Placed {
    place: Place,
    buffers: [Bytes; 2],
}

impl Log {
    /// Appends a client's batches as the leader of `epoch`: each gets its offsets, and the broker's time where the topic says so.
    /// Either all are in the log afterwards, or none.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`], the disk's, [`Error::Failed`], [`Error::Deleted`].
    pub async fn append(&self, batches: &[Batch], epoch: LeaderEpoch) -> Result<Appended, Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        let config = self.config();
        let append_time = config.log_append_time.then(|| self.0.runtime.clock.now());
        let base = self.log_end();
        let mut next = base;
        let mut placed = Vec::with_capacity(batches.len());
        for batch in batches {
            let place = Place {
                position: 0,
                size: batch.size() as u64,
                base: next,
                next: next + i64::from(batch.last_offset_delta()) + 1,
                max_timestamp: append_time.unwrap_or(batch.max_timestamp()),
                epoch,
            };
            next = place.next;
            placed.push(Placed { place, buffers: batch.placed(place.base, epoch, append_time) });
        }
        let rolled = self.0.append_all(placed, &config).await?;
        Ok(Appended { base_offset: base, next_offset: next, append_time, rolled })
    }

    /// Appends a leader's batches as a follower: as they are, with the offsets and epochs they have.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] for a batch that begins below the log's end, and those of [`Log::append`].
    pub async fn append_replicated(&self, batches: &[Batch]) -> Result<Appended, Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        let config = self.config();
        let mut next = self.log_end();
        let base = batches.first().map_or(next, Batch::base_offset);
        let mut placed = Vec::with_capacity(batches.len());
        for batch in batches {
            if batch.base_offset() < next || batch.last_offset_delta() < 0 {
                return Err(Error::OutOfOrder { expected: next, found: batch.base_offset() });
            }
            next = batch.next_offset();
            placed.push(Placed { place: Place::of(batch, 0), buffers: [batch.bytes().clone(), Bytes::new()] });
        }
        let rolled = self.0.append_all(placed, &config).await?;
        Ok(Appended { base_offset: base, next_offset: next, append_time: None, rolled })
    }

    /// The offset at which [`Log::append`] of these batches would begin a new segment before the first of them: where a producer snapshot is
    /// to be written first, if at all.
    #[must_use]
    pub fn rolls_before(&self, batches: &[Batch]) -> Option<Offset> {
        let (batch, active) = (batches.first()?, self.0.active().ok()?);
        let base = self.log_end();
        let next = Next {
            pending: 0,
            pending_timestamp: None,
            bytes: batch.size() as u64,
            max_timestamp: batch.max_timestamp(),
            last_offset: base + i64::from(batch.last_offset_delta()),
        };
        active.is_full_for(&next, &self.config(), self.0.runtime.clock.now()).then_some(base)
    }

    /// Closes the active segment, if it has records, and begins a new one. Returns the new segment's base where one was begun.
    ///
    /// # Errors
    /// The disk's; the active segment stays active then.
    pub async fn roll(&self) -> Result<Option<Offset>, Error> {
        let _writer = self.0.writer.lock().await;
        self.0.writable()?;
        let active = self.0.active()?;
        if active.size() == 0 {
            return Ok(None);
        }
        let base = self.log_end();
        self.0.roll_to(&active, base).await?;
        Ok(Some(base))
    }
}

impl Shared {
    /// Returns whether a segment was begun. Called by the writer.
    async fn append_all(self: &Arc<Self>, placed: Vec<Placed>, config: &TopicConfig) -> Result<bool, Error> {
        let fits = |placed: &Placed| placed.place.size <= u64::try_from(config.segment_bytes).unwrap_or(0);
        if let Some(large) = placed.iter().find(|placed| !fits(placed)) {
            let bytes = usize::try_from(large.place.size).unwrap_or(usize::MAX);
            return Err(Error::BatchTooLarge { bytes, segment_bytes: config.segment_bytes });
        }
        self.begin_epochs(placed.iter().map(|placed| (placed.place.epoch, placed.place.base)));
        let before = self.state.lock().log_end();
        let result = self.append_runs(placed, config).await;
        if result.is_err() && self.state.lock().log_end() > before {
            // A part went into an earlier segment: take it back, so that the caller's "failed" is true.
            if let Err(error) = Box::pin(self.cut_to(before)).await {
                self.fail(&error);
                return Err(error);
            }
        }
        result
    }

    /// Writes runs of batches that go into one segment, each with one call.
    async fn append_runs(self: &Arc<Self>, placed: Vec<Placed>, config: &TopicConfig) -> Result<bool, Error> {
        let now = self.runtime.clock.now();
        let mut active = self.active()?;
        let mut run: Vec<Placed> = Vec::with_capacity(placed.len());
        let mut pending = 0;
        let mut rolled = false;
        for item in placed {
            let next = Next {
                pending,
                pending_timestamp: run.first().map(|first| first.place.max_timestamp.0),
                bytes: item.place.size,
                max_timestamp: item.place.max_timestamp,
                last_offset: item.place.last(),
            };
            if active.is_full_for(&next, config, now) {
                write_run(&active, &mut run, config).await?;
                // Boxed, as all that is rare here: what it needs is no part of every append's future.
                active = Box::pin(self.roll_to(&active, item.place.base)).await?;
                (pending, rolled) = (0, true);
            }
            pending += item.place.size;
            run.push(item);
        }
        write_run(&active, &mut run, config).await?;
        Ok(rolled)
    }

    /// Ends `active` and begins a segment at `base`. What can fail comes before anything changes in memory.
    pub(super) async fn roll_to(self: &Arc<Self>, active: &Arc<Segment>, base: Offset) -> Result<Arc<Segment>, Error> {
        if active.base == base {
            // Only an empty segment can begin where the next one would: it is taken as it is.
            return Ok(active.clone());
        }
        active.store_indexes().await?;
        let segment = Arc::new(Segment::create(&self.runtime, &self.folder, base, self.jitter_ms()).await?);
        let config = self.config.lock().clone();
        segment.preallocate(&config).await?;
        active.give_back(&config).await;
        active.close();
        {
            let mut state = self.state.lock();
            state.segments.insert(base, segment.clone());
            state.folder_unsynced = true;
        }
        self.flush_soon();
        Ok(segment)
    }
}

async fn write_run(segment: &Segment, run: &mut Vec<Placed>, config: &TopicConfig) -> Result<(), Error> {
    let written = match run.as_slice() {
        [] => return Ok(()),
        // Most are of one batch, and need no list of their buffers.
        [only] => segment.log().append(&only.buffers).await,
        several => {
            let buffers: Vec<Bytes> = several.iter().flat_map(|placed| placed.buffers.iter().cloned()).collect();
            segment.log().append(&buffers).await
        }
    };
    let mut position = written.map_err(Error::io("append to", segment.path()))?;
    let places = run.drain(..).map(|placed| {
        let place = Place { position, ..placed.place };
        position = place.end();
        place
    });
    segment.grow(places, u64::try_from(config.index_interval_bytes).unwrap_or(0));
    Ok(())
}
