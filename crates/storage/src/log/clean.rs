//! Compacting the log: what of it is dirty, and the work, segment group by segment group.

use super::swap::Replacement;
use super::{Log, Shared};
use crate::clean::{Cleaned, Cleaner, CleaningBudget, Dirty, KeyMap, LastRecord, LogFacts, Round, SegmentFacts};
use crate::clean::{Sizes, Step, Stopped, Transactions, assess, group};
use crate::error::Error;
use crate::pace::Pace;
use crate::segment::Segment;
use crate::txn_index::AbortedTxn;
use millstream_types::{Offset, ProducerId, TopicConfig};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The log as it was when a compaction began.
struct Begun {
    segments: Vec<Arc<Segment>>,
    until: Offset,
    truncations: u64,
    config: Arc<TopicConfig>,
}

impl Begun {
    /// Where the segment after this one begins.
    fn next(&self, place: usize) -> Offset {
        self.segments.get(place + 1).map_or(self.until, |after| after.base)
    }
}

impl Log {
    /// What of the log can be compacted; none where nothing can. Records at or after `last_stable` stay as they are.
    ///
    /// # Errors
    /// The disk's.
    pub async fn dirty(&self, last_stable: Offset) -> Result<Option<Dirty>, Error> {
        let config = self.config();
        let (segments, log_start, log_end, cleaned_to) = {
            let state = self.0.state.lock();
            let is_clean = state.active().is_none_or(|active| state.cleaned_to.is_some_and(|at| at >= active.base));
            if !config.compact || state.deleted || state.segments.len() < 2 || is_clean {
                return Ok(None);
            }
            let segments: Vec<Arc<Segment>> = state.segments.values().cloned().collect();
            (segments, state.log_start, state.log_end(), state.cleaned_to)
        };
        let mut facts = Vec::with_capacity(segments.len());
        for segment in &segments {
            // Only what the topic's options ask about is read.
            let largest = if config.min_compaction_lag_ms > 0 { segment.largest().await?.timestamp } else { -1 };
            let first = if config.max_compaction_lag_ms < i64::MAX { segment.first_timestamp().await? } else { -1 };
            let (base, size) = (segment.base, segment.size());
            facts.push(SegmentFacts { base, size, largest_timestamp: largest, first_timestamp: first });
        }
        let facts = LogFacts { segments: &facts, log_start, log_end, last_stable, cleaned_to };
        let dirty = assess(&facts, &config, self.0.runtime.clock.now());
        Ok(Some(dirty).filter(|dirty| dirty.cleanable_bytes > 0))
    }

    /// Up to where the log was compacted, as far as is known.
    #[must_use]
    pub fn cleaned_to(&self) -> Option<Offset> {
        self.0.state.lock().cleaned_to
    }

    /// Takes over up to where an earlier process compacted the log.
    pub fn set_cleaned_to(&self, offset: Offset) {
        self.0.state.lock().cleaned_to = Some(offset);
    }

    /// Compacts the log: of each key in the dirty part only the last record stays, of what was aborted nothing. `producers` are the active
    /// ones and their last records. Reads and appends go on beside it. None when it was given up: the node stops, or the log was cut.
    /// Dropped half way it leaves the log whole.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for records that do not read as they were written: nothing that follows them is touched; the disk's.
    pub async fn clean(
        &self,
        dirty: &Dirty,
        producers: &BTreeMap<ProducerId, LastRecord>,
        budget: CleaningBudget,
        pace: &Pace,
    ) -> Result<Option<Cleaned>, Error> {
        // Recovery takes a segment that ends before the next one begins for damage, above the recovery point. And what goes does so because of
        // what came later, a transaction's end or a producer's next batch: a power cut must not take that back.
        self.0.settle_below(self.log_end()).await?;
        let clock = &self.0.runtime.clock;
        let (begun_at, now) = (clock.elapsed(), clock.now());
        let begun = self.0.begin(dirty.until);
        let config = begun.config.clone();
        let mut cleaner = Cleaner::new(pace, budget, &config, dirty.first_dirty);
        let Ok(keys) = self.map_keys(&mut cleaner, &begun, dirty.first_dirty).await? else { return Ok(None) };
        let round = Round { keys: &keys, now, until: dirty.until, producers };
        if self.rewrite_all(&mut cleaner, &begun, &round).await?.is_err() {
            return Ok(None);
        }
        let mut state = self.0.state.lock();
        if state.truncations != begun.truncations {
            return Ok(None);
        }
        state.cleaned_to = Some(keys.mapped_to());
        drop(state);
        let (to, memory_used, took) = (keys.mapped_to(), keys.utilization(), clock.elapsed() - begun_at);
        Ok(Some(Cleaned { to, memory_used, took, ..cleaner.cleaned }))
    }

    /// The last offsets of the dirty part's keys, as far as there is room.
    async fn map_keys(&self, cleaner: &mut Cleaner<'_>, begun: &Begun, first_dirty: Offset) -> Step<KeyMap> {
        let records_max = u64::try_from(begun.until - first_dirty).unwrap_or(0);
        let CleaningBudget { memory_bytes, load, .. } = cleaner.budget;
        let mut keys = KeyMap::new(memory_bytes, load, records_max, first_dirty);
        let mut passed = Transactions::default();
        for (place, segment) in begun.segments.iter().enumerate() {
            let next = begun.next(place);
            if next <= first_dirty {
                continue;
            }
            passed.expect(self.aborted(segment.base.max(first_dirty), next).await?);
            match cleaner.map(&mut keys, &mut passed, segment, next).await? {
                Ok(true) => {}
                Ok(false) => break,
                Err(stopped) => return Ok(Err(stopped)),
            }
        }
        Ok(Ok(keys))
    }

    /// Replaces groups of segments, from the log's start to where the keys are known.
    async fn rewrite_all(&self, cleaner: &mut Cleaner<'_>, begun: &Begun, round: &Round<'_>) -> Step<()> {
        let mut sizes = Vec::new();
        for (place, segment) in begun.segments.iter().enumerate() {
            if segment.base < round.keys.mapped_to() {
                let [index, time_index] = segment.index_bytes().await?;
                let (base, next) = (segment.base, begun.next(place));
                sizes.push(Sizes { base, next, log: segment.size(), index, time_index });
            }
        }
        let mut passed = Transactions::default();
        for range in group(&sizes, &begun.config) {
            let until = begun.next(range.end - 1);
            let Some(first) = begun.segments.get(range.start) else { continue };
            let written = match self.rewrite_group(cleaner, (begun, range.clone()), round, &mut passed).await {
                Ok(Ok(written)) => written,
                given_up => {
                    self.0.drop_cleaned(first.base).await?;
                    return given_up.map(|stopped| stopped.map(drop));
                }
            };
            let (segment, aborted) = written;
            let old = &begun.segments[range];
            let replacement = Replacement { segment, old, until, aborted, truncations: begun.truncations };
            if !self.0.swap_in(replacement).await? {
                return Ok(Err(Stopped));
            }
        }
        Ok(Ok(()))
    }

    /// Writes what stays of a group of segments beside them. Returns it with the aborted transactions that have data left.
    async fn rewrite_group(
        &self,
        cleaner: &mut Cleaner<'_>,
        (begun, range): (&Begun, Range<usize>),
        round: &Round<'_>,
        passed: &mut Transactions,
    ) -> Step<(Segment, Vec<AbortedTxn>)> {
        let base = begun.segments[range.start].base;
        let segment = Segment::create_cleaned(&self.0.runtime, &self.0.folder, base).await?;
        let mut aborted = Vec::new();
        for place in range.clone() {
            let source = &begun.segments[place];
            passed.expect(self.aborted(source.base, begun.next(place)).await?);
            match cleaner.rewrite(round, passed, source, &segment).await? {
                Ok(kept) => aborted.extend(kept),
                Err(stopped) => return Ok(Err(stopped)),
            }
        }
        segment.finish_cleaned(begun.next(range.end - 1)).await?;
        Ok(Ok((segment, aborted)))
    }
}

impl Shared {
    fn begin(&self, until: Offset) -> Begun {
        let state = self.state.lock();
        let segments = state.segments.range(..until).map(|(_, segment)| segment.clone()).collect();
        Begun { segments, until, truncations: state.truncations, config: self.config.lock().clone() }
    }

    /// Makes everything below `offset` durable, and stores that it is.
    async fn settle_below(self: &Arc<Self>, offset: Offset) -> Result<(), Error> {
        if self.state.lock().stored.recovery_point >= offset {
            return Ok(());
        }
        self.flush_below(offset).await?;
        self.store_checkpoint().await
    }
}
