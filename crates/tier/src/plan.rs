//! What to copy, what may go from local disk, and what may go from the store: decided from state and time alone.

use crate::manifest::Manifest;
use millstream_storage::ClosedSegment;
use millstream_types::{Offset, TimestampMs, TopicConfig};

/// `local.retention.*` says that `retention.*` holds.
const AS_RETENTION: i64 = -2;

/// The local segments to copy now, oldest first: closed, stable, not below the log's start, and joining on to what is cold.
pub fn uploads<'a>(
    closed: &'a [ClosedSegment],
    manifest: &Manifest,
    (log_start, stable_end): (Offset, Offset),
) -> Vec<&'a ClosedSegment> {
    // What is cold but below the log's start is about to go: nothing has to join on to it.
    let cold_end = manifest.end().unwrap_or(Offset::ZERO).max(log_start);
    let wanted = closed.iter().skip_while(|segment| segment.next <= cold_end || segment.size == 0);
    wanted.take_while(|segment| segment.next <= stable_end && segment.size > 0).collect()
}

/// Up to where local copies may go: the end of the last segment that is both cold and past local retention.
pub fn local_end(
    closed: &[ClosedSegment],
    cold_end: Offset,
    local_bytes: u64,
    (config, now): (&TopicConfig, TimestampMs),
) -> Option<Offset> {
    let or_retention = |local: i64, all: i64| if local == AS_RETENTION { all } else { local };
    let limits = Limits {
        ms: or_retention(config.local_retention_ms, config.retention_ms),
        bytes: or_retention(config.local_retention_bytes, config.retention_bytes),
    };
    let segments = closed.iter().take_while(|segment| segment.next <= cold_end);
    limits.past(segments.map(|segment| (segment.next, segment.size, segment.max_timestamp)), local_bytes, now)
}

/// Where the log begins once what is past retention has gone from the store; none where nothing is. `local_only` is how many bytes are
/// on local disk and not in the store.
pub fn remote_start(
    manifest: &Manifest,
    local_only: u64,
    (config, now): (&TopicConfig, TimestampMs),
) -> Option<Offset> {
    if !config.delete {
        return None;
    }
    let limits = Limits { ms: config.retention_ms, bytes: config.retention_bytes };
    let segments = manifest.segments.iter().map(|segment| (segment.end, segment.bytes(), segment.max_timestamp));
    limits.past(segments, manifest.bytes().saturating_add(local_only), now)
}

/// The manifest with its log beginning at `start`: segments wholly below are not in it. None where nothing changes.
pub fn started_at(manifest: &Manifest, start: Offset) -> Option<Manifest> {
    let mut next = manifest.clone();
    next.log_start = next.log_start.max(start);
    next.segments.retain(|segment| segment.end > next.log_start);
    (next.log_start != manifest.log_start || next.segments.len() != manifest.segments.len()).then_some(next)
}

/// Bytes of local segments that are not cold.
pub fn local_only(closed: &[ClosedSegment], cold_end: Offset, local_bytes: u64) -> u64 {
    let cold: u64 = closed.iter().filter(|segment| segment.next <= cold_end).map(|segment| segment.size).sum();
    local_bytes.saturating_sub(cold)
}

/// How long and how much; -1 is no limit.
struct Limits {
    ms: i64,
    bytes: i64,
}

impl Limits {
    /// The end of the last of `segments` (end, bytes, largest timestamp; oldest first) that is too old or too much of `total`.
    fn past(
        &self,
        segments: impl Iterator<Item = (Offset, u64, TimestampMs)>,
        total: u64,
        now: TimestampMs,
    ) -> Option<Offset> {
        let mut excess = u64::try_from(self.bytes).map_or(0, |limit| total.saturating_sub(limit));
        let mut end = None;
        for (segment_end, bytes, max_timestamp) in segments {
            let is_old = self.ms >= 0 && max_timestamp.0 >= 0 && now.0.saturating_sub(max_timestamp.0) > self.ms;
            let is_excess = bytes > 0 && excess >= bytes;
            if !is_old && !is_excess {
                break;
            }
            excess = excess.saturating_sub(bytes);
            end = Some(segment_end);
        }
        end
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
