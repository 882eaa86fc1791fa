//! The compaction's work: reads batches, maps keys, and writes what stays of a group of segments into one.

use super::keys::KeyMap;
use super::round::{BatchFacts, Round};
use super::transactions::{MarkerFate, MarkerKind, Transactions};
use crate::error::Error;
use crate::pace::Pace;
use crate::scan::{Place, Scan};
use crate::segment::Segment;
use crate::txn_index::AbortedTxn;
use bytes::Bytes;
use millstream_record::{BATCH_HEADER_BYTES, Batch, Kept, Limits, Retain};
use millstream_types::{Offset, TimestampMs, TopicConfig};
use std::time::Duration;

/// What one compaction may take.
#[derive(Debug, Clone, Copy)]
pub struct CleaningBudget {
    /// Bytes of memory for keys.
    pub memory_bytes: usize,
    /// The share of it that is filled.
    pub load: f64,
    /// Bytes read at once, and written at once; a larger batch is read as a whole.
    pub io_bytes: usize,
}

/// What a compaction did.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleaned {
    /// Every key has its last record only, below here.
    pub to: Offset,
    /// Bytes of the segments that were replaced.
    pub bytes_read: u64,
    /// Bytes of those in their place.
    pub bytes_written: u64,
    /// Records that were read.
    pub records_read: u64,
    /// Records that stayed.
    pub records_kept: u64,
    /// Records that went because they have no key.
    pub records_without_key: u64,
    /// How much of the memory for keys was filled, as a share of 1.
    pub memory_used: f64,
    /// How long it took.
    pub took: Duration,
}

/// Ended early because the node stops.
#[derive(Debug)]
pub(crate) struct Stopped;

pub(crate) type Step<T> = Result<Result<T, Stopped>, Error>;

/// What is being written.
#[derive(Default)]
struct Output {
    bytes: Vec<Bytes>,
    places: Vec<Place>,
    size: u64,
    /// Those whose data is still there.
    aborted: Vec<AbortedTxn>,
}

/// One compaction of one log.
pub(crate) struct Cleaner<'a> {
    pub pace: &'a Pace,
    pub budget: CleaningBudget,
    pub config: &'a TopicConfig,
    pub cleaned: Cleaned,
    unpaused: usize,
}

impl<'a> Cleaner<'a> {
    pub fn new(pace: &'a Pace, budget: CleaningBudget, config: &'a TopicConfig, from: Offset) -> Self {
        let cleaned = Cleaned {
            to: from,
            bytes_read: 0,
            bytes_written: 0,
            records_read: 0,
            records_kept: 0,
            records_without_key: 0,
            memory_used: 0.0,
            took: Duration::ZERO,
        };
        Self { pace, budget, config, cleaned, unpaused: 0 }
    }

    /// Maps the keys of a segment's records from where the map ends. Returns whether there was room for all of them.
    pub async fn map(
        &mut self,
        keys: &mut KeyMap,
        passed: &mut Transactions,
        segment: &Segment,
        next: Offset,
    ) -> Step<bool> {
        let from = keys.mapped_to();
        let mut scan = segment.batches_from(from, self.budget.io_bytes).await?;
        while let Some(place) = scan.next().await? {
            let Some(batch) = self.read(&mut scan, &place).await? else { return Ok(Err(Stopped)) };
            if batch.is_control() {
                passed.pass_marker(batch.producer_id(), marker_kind(&batch), batch.last_offset());
            } else if !passed.pass_data(batch.producer_id(), batch.is_transactional(), batch.last_offset()) {
                let mut full_at = None;
                let each = batch.each(&Limits::default(), |record| {
                    let Some(key) = record.key.filter(|_| full_at.is_none() && record.offset >= from) else { return };
                    if !keys.put(key, record.offset) {
                        full_at = Some(record.offset);
                    }
                });
                each.map_err(|error| Error::corrupt(segment.path(), place.position, error.to_string()))?;
                if let Some(at) = full_at {
                    keys.map_to(at);
                    return Ok(Ok(false));
                }
            }
            keys.map_to(place.next);
        }
        // The last offsets may be of records that are gone.
        keys.map_to(next);
        Ok(Ok(true))
    }

    /// Writes what stays of a segment into `into`.
    pub async fn rewrite(
        &mut self,
        round: &Round<'_>,
        passed: &mut Transactions,
        segment: &Segment,
        into: &Segment,
    ) -> Step<Vec<AbortedTxn>> {
        let mut output = Output::default();
        let mut scan = segment.batches_from(segment.base, self.budget.io_bytes).await?;
        while let Some(place) = scan.next().await? {
            let Some(batch) = self.read(&mut scan, &place).await? else { return Ok(Err(Stopped)) };
            self.cleaned.bytes_read += place.size;
            let kept = self.keep(round, passed, &batch, &mut output.aborted);
            let kept = kept.map_err(|error| Error::corrupt(segment.path(), place.position, error.to_string()))?;
            if let Some(kept) = kept {
                let mut at = Place::of(&kept, output.size);
                if kept.record_count() == 0 {
                    // No record has the time that it says.
                    at.max_timestamp = TimestampMs::NONE;
                }
                output.places.push(at);
                output.size += kept.size() as u64;
                output.bytes.push(kept.into_bytes());
            }
            if output.size >= self.budget.io_bytes as u64 {
                self.write(&mut output, into).await?;
            }
        }
        self.write(&mut output, into).await?;
        Ok(Ok(output.aborted))
    }

    /// What stays of a batch.
    fn keep(
        &mut self,
        round: &Round<'_>,
        passed: &mut Transactions,
        batch: &Batch,
        aborted: &mut Vec<AbortedTxn>,
    ) -> Result<Option<Batch>, millstream_record::Error> {
        let (producer, last) = (batch.producer_id(), batch.last_offset());
        let is_spent = if batch.is_control() {
            let MarkerFate { is_spent, aborted: stays } = passed.pass_marker(producer, marker_kind(batch), last);
            aborted.extend(stays);
            is_spent
        } else {
            passed.pass_data(producer, batch.is_transactional(), last)
        };
        let horizon = batch.delete_horizon();
        let verdict = round.verdict(&BatchFacts {
            producer,
            epoch: batch.producer_epoch(),
            is_control: batch.is_control(),
            last,
            horizon,
            is_spent,
        });
        let how = Retain {
            horizon: TimestampMs(round.now.0.saturating_add(self.config.delete_retention_ms)),
            needs_horizon: verdict.needs_horizon,
            limits: Limits::default(),
        };
        let mut without_key = 0;
        let retained = batch.retain(&how, |record| {
            let keeps = !verdict.drops_records && (batch.is_control() || round.keeps(record, horizon));
            without_key += u64::from(!keeps && record.key.is_none() && !is_spent);
            keeps
        })?;
        self.cleaned.records_read += retained.read as u64;
        self.cleaned.records_kept += retained.records as u64;
        self.cleaned.records_without_key += without_key;
        Ok(match retained.kept {
            Kept::Whole => Some(batch.clone()),
            Kept::Rewritten(batch) => Some(batch),
            Kept::Nothing => verdict.stays_empty.then(|| batch.emptied()),
        })
    }

    /// The batch at `place`; none when it is time to stop. Others have their turn now and then.
    async fn read(&mut self, scan: &mut Scan<'_>, place: &Place) -> Result<Option<Batch>, Error> {
        let batch = scan.batch(place).await?;
        self.pace.took(batch.size()).await;
        self.unpaused += batch.size().max(BATCH_HEADER_BYTES);
        if self.unpaused >= self.budget.io_bytes {
            self.unpaused = 0;
            tokio::task::yield_now().await;
        }
        Ok((!self.pace.is_stopped()).then_some(batch))
    }

    async fn write(&mut self, output: &mut Output, into: &Segment) -> Result<(), Error> {
        if output.bytes.is_empty() {
            return Ok(());
        }
        let interval = u64::try_from(self.config.index_interval_bytes).unwrap_or(0);
        let (bytes, places, size) =
            (std::mem::take(&mut output.bytes), std::mem::take(&mut output.places), std::mem::take(&mut output.size));
        into.append_cleaned(bytes, &places, interval).await?;
        self.cleaned.bytes_written += size;
        self.pace.took(usize::try_from(size).unwrap_or(usize::MAX)).await;
        Ok(())
    }
}

/// Where in a control record's key its type is, after a version of two bytes: 0 is an abort, 1 a commit.
fn marker_kind(batch: &Batch) -> MarkerKind {
    let mut kind = MarkerKind::Empty;
    let read = batch.each(&Limits::default(), |record| {
        kind = match record.key.and_then(|key| key.get(2..4)) {
            Some([0, 0]) => MarkerKind::Abort,
            Some([0, 1]) => MarkerKind::Commit,
            _ => MarkerKind::Other,
        };
    });
    if read.is_ok() { kind } else { MarkerKind::Other }
}
