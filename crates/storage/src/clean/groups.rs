//! Which segments become one: compaction leaves less, and segments would become ever smaller. Kafka's rule.

use millstream_types::{Offset, TopicConfig};
use std::ops::Range;

/// A segment by its sizes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub base: Offset,
    /// The next segment's first offset.
    pub next: Offset,
    pub log: u64,
    pub index: u64,
    pub time_index: u64,
}

/// Runs of segments that fit into one each.
pub(crate) fn group(segments: &[Sizes], config: &TopicConfig) -> Vec<Range<usize>> {
    let log_max = u64::try_from(config.segment_bytes).unwrap_or(0);
    let index_max = u64::try_from(config.segment_index_bytes).unwrap_or(0);
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut sum = Sizes { base: Offset::ZERO, next: Offset::ZERO, log: 0, index: 0, time_index: 0 };
    for (place, segment) in segments.iter().enumerate() {
        let fits = sum.log + segment.log <= log_max
            && sum.index + segment.index <= index_max
            && sum.time_index + segment.time_index <= index_max
            && (segment.log == 0 || segment.next - sum.base <= i64::from(i32::MAX));
        match groups.last_mut() {
            Some(group) if fits => {
                group.end = place + 1;
                sum = Sizes {
                    base: sum.base,
                    next: segment.next,
                    log: sum.log + segment.log,
                    index: sum.index + segment.index,
                    time_index: sum.time_index + segment.time_index,
                };
            }
            _ => {
                groups.push(place..place + 1);
                sum = *segment;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(segments: &[(i64, u64, u64)], span: i64) -> Vec<Range<usize>> {
        let config = TopicConfig { segment_bytes: 100, segment_index_bytes: 40, ..TopicConfig::default() };
        let sizes = segments.iter().map(|&(base, log, index)| Sizes {
            base: Offset(base),
            next: Offset(base + span),
            log,
            index,
            time_index: index,
        });
        group(&sizes.collect::<Vec<_>>(), &config)
    }

    #[test]
    fn segments_are_joined_while_they_fit() {
        assert!(grouped(&[], 1).is_empty());
        assert_eq!(grouped(&[(0, 60, 8), (10, 40, 8), (20, 1, 8), (30, 99, 8)], 10), [0..2, 2..4]);
        assert_eq!(grouped(&[(0, 10, 20), (10, 10, 20), (20, 10, 8)], 10), [0..2, 2..3], "by the indexes");
        assert_eq!(grouped(&[(0, 150, 8), (10, 10, 8)], 10), [0..1, 1..2], "one that is too large stays alone");
        let far = i64::from(i32::MAX);
        assert_eq!(grouped(&[(0, 10, 8), (far, 10, 8)], 10), [0..1, 1..2], "offsets are counted from the base");
        assert_eq!(grouped(&[(0, 10, 8), (far, 0, 0)], 10), std::slice::from_ref(&(0..2)), "an empty one has none");
    }
}
