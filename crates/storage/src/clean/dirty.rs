//! Which part of a log can be compacted, and whether it is time to. Kafka's rules.

use millstream_types::{Offset, TimestampMs, TopicConfig};

/// A segment as the decision sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentFacts {
    pub base: Offset,
    pub size: u64,
    /// The largest timestamp of its records; -1 where there is none.
    pub largest_timestamp: i64,
    /// The largest timestamp of its first batch; -1 where there is none.
    pub first_timestamp: i64,
}

/// A log as the decision sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogFacts<'a> {
    /// In order; the last is active.
    pub segments: &'a [SegmentFacts],
    pub log_start: Offset,
    pub log_end: Offset,
    pub last_stable: Offset,
    /// Up to where the last compaction came.
    pub cleaned_to: Option<Offset>,
}

/// What of a log can be compacted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dirty {
    /// Keys from here on may have earlier records.
    pub first_dirty: Offset,
    /// Where the first segment begins that must stay as it is.
    pub until: Offset,
    /// Bytes below `first_dirty`.
    pub clean_bytes: u64,
    /// Bytes from `first_dirty` to `until`.
    pub cleanable_bytes: u64,
    /// Milliseconds by which records are past `max.compaction.lag.ms`; 0 where none is.
    pub overdue_ms: i64,
}

impl Dirty {
    /// The share of the log, without what must stay, that is dirty.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.cleanable_bytes;
        if total == 0 { 0.0 } else { self.cleanable_bytes as f64 / total as f64 }
    }

    /// Whether it is time.
    #[must_use]
    pub fn is_due(&self, min_ratio: f64) -> bool {
        self.cleanable_bytes > 0 && (self.overdue_ms > 0 || self.ratio() > min_ratio)
    }
}

/// What of the log can be compacted now.
pub(crate) fn assess(log: &LogFacts<'_>, config: &TopicConfig, now: TimestampMs) -> Dirty {
    let first_dirty = match log.cleaned_to {
        // A log that was cut or cleared since is dirty from its start.
        Some(at) if at >= log.log_start && at <= log.log_end => at,
        _ => log.log_start,
    };
    let active = log.segments.last().map_or(log.log_end, |segment| segment.base);
    let closed = &log.segments[..log.segments.len().saturating_sub(1)];
    let dirty = &closed[floor(closed, first_dirty)..];
    let lags = |segment: &&SegmentFacts| segment.largest_timestamp > now.0 - config.min_compaction_lag_ms;
    let too_young = if config.min_compaction_lag_ms > 0 { dirty.iter().find(lags) } else { None };
    let bound = log.last_stable.min(active).min(too_young.map_or(active, |segment| segment.base)).max(first_dirty);
    // Whole segments only: the one that has the bound stays.
    let until =
        if bound >= active { active } else { closed.get(floor(closed, bound)).map_or(active, |last| last.base) };
    let first_kept = closed.partition_point(|segment| segment.base < until);
    let clean_to = closed.partition_point(|segment| segment.base < first_dirty);
    let dirty_from = floor(closed, first_dirty.min(until)).min(first_kept);
    let bytes = |segments: &[SegmentFacts]| segments.iter().map(|segment| segment.size).sum();
    Dirty {
        first_dirty,
        until,
        clean_bytes: bytes(&closed[..clean_to]),
        cleanable_bytes: if first_dirty >= until { 0 } else { bytes(&closed[dirty_from..first_kept]) },
        overdue_ms: overdue(dirty, config.max_compaction_lag_ms, now),
    }
}

/// The place of the segment that has `offset`.
fn floor(segments: &[SegmentFacts], offset: Offset) -> usize {
    segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
}

fn overdue(dirty: &[SegmentFacts], max_lag_ms: i64, now: TimestampMs) -> i64 {
    let earliest = dirty.iter().map(|segment| segment.first_timestamp).filter(|first| *first > 0).min();
    earliest.map_or(0, |earliest| now.0.saturating_sub(max_lag_ms).saturating_sub(earliest).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of 100 offsets and bytes, each a second later than the one before; the last is active.
    fn segments(count: i64) -> Vec<SegmentFacts> {
        let one = |index: i64| SegmentFacts {
            base: Offset(index * 100),
            size: 100,
            largest_timestamp: 1000 * (index + 1),
            first_timestamp: 1000 * index + 1,
        };
        (0..count).map(one).collect()
    }

    struct Case {
        what: &'static str,
        cleaned_to: Option<i64>,
        last_stable: i64,
        lags: (i64, i64),
        now: i64,
        /// first dirty, until, clean bytes, cleanable bytes, overdue
        expected: (i64, i64, u64, u64, i64),
    }

    const NEVER: (i64, i64) = (0, i64::MAX);

    const CASES: [Case; 12] = [
        Case { what: "new", cleaned_to: None, last_stable: 480, lags: NEVER, now: 9000, expected: (0, 400, 0, 400, 0) },
        Case {
            what: "half clean",
            cleaned_to: Some(200),
            last_stable: 480,
            lags: NEVER,
            now: 9000,
            expected: (200, 400, 200, 200, 0),
        },
        Case {
            what: "all clean",
            cleaned_to: Some(400),
            last_stable: 480,
            lags: NEVER,
            now: 9000,
            expected: (400, 400, 400, 0, 0),
        },
        Case {
            what: "past the end",
            cleaned_to: Some(481),
            last_stable: 480,
            lags: NEVER,
            now: 9000,
            expected: (0, 400, 0, 400, 0),
        },
        Case {
            what: "an open transaction",
            cleaned_to: None,
            last_stable: 250,
            lags: NEVER,
            now: 9000,
            expected: (0, 200, 0, 200, 0),
        },
        Case {
            what: "one from the start",
            cleaned_to: None,
            last_stable: 0,
            lags: NEVER,
            now: 9000,
            expected: (0, 0, 0, 0, 0),
        },
        Case {
            what: "one below the clean part",
            cleaned_to: Some(300),
            last_stable: 250,
            lags: NEVER,
            now: 9000,
            expected: (300, 300, 300, 0, 0),
        },
        Case {
            what: "stable to a segment's end",
            cleaned_to: None,
            last_stable: 300,
            lags: NEVER,
            now: 9000,
            expected: (0, 300, 0, 300, 0),
        },
        Case {
            what: "too young",
            cleaned_to: None,
            last_stable: 480,
            lags: (2000, i64::MAX),
            now: 4500,
            expected: (0, 200, 0, 200, 0),
        },
        Case {
            what: "old enough",
            cleaned_to: None,
            last_stable: 480,
            lags: (500, i64::MAX),
            now: 4500,
            expected: (0, 400, 0, 400, 0),
        },
        Case {
            what: "overdue",
            cleaned_to: Some(100),
            last_stable: 480,
            lags: (0, 3000),
            now: 5000,
            expected: (100, 400, 100, 300, 999),
        },
        Case {
            what: "within a segment",
            cleaned_to: Some(250),
            last_stable: 480,
            lags: NEVER,
            now: 9000,
            expected: (250, 400, 300, 200, 0),
        },
    ];

    #[test]
    fn what_can_be_cleaned_follows_from_the_facts() {
        for case in CASES {
            let (min_compaction_lag_ms, max_compaction_lag_ms) = case.lags;
            let config = TopicConfig { min_compaction_lag_ms, max_compaction_lag_ms, ..TopicConfig::default() };
            let all = segments(5);
            let facts = LogFacts {
                segments: &all,
                log_start: Offset(0),
                log_end: Offset(480),
                last_stable: Offset(case.last_stable),
                cleaned_to: case.cleaned_to.map(Offset),
            };
            let Dirty { first_dirty, until, clean_bytes, cleanable_bytes, overdue_ms } =
                assess(&facts, &config, TimestampMs(case.now));
            assert_eq!(
                (first_dirty.0, until.0, clean_bytes, cleanable_bytes, overdue_ms),
                case.expected,
                "{}",
                case.what
            );
        }
    }

    #[test]
    fn a_log_is_due_by_its_ratio_or_by_its_age() {
        let dirty = |clean_bytes, cleanable_bytes, overdue_ms| Dirty {
            first_dirty: Offset(0),
            until: Offset(1),
            clean_bytes,
            cleanable_bytes,
            overdue_ms,
        };
        assert!(!dirty(50, 50, 0).is_due(0.5) && dirty(50, 51, 0).is_due(0.5));
        assert!(dirty(99, 1, 1).is_due(0.5) && !dirty(99, 0, 1).is_due(0.5));
        assert!(!dirty(0, 0, 0).is_due(0.0) && dirty(9, 1, 0).is_due(0.0));
    }

    #[test]
    fn a_log_of_its_active_segment_alone_is_never_dirty() {
        let all = segments(1);
        let facts = LogFacts {
            segments: &all,
            log_start: Offset(0),
            log_end: Offset(80),
            last_stable: Offset(80),
            cleaned_to: None,
        };
        let dirty = assess(&facts, &TopicConfig::default(), TimestampMs(9000));
        assert_eq!((dirty.until, dirty.cleanable_bytes), (Offset(0), 0));
    }
}
