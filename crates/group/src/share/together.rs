//! Which neighbouring records were first given out together. They stay together for as long as any of them is in flight: what of them comes
//! back is given again as one, whatever was asked for, and how careful the group is with records that come back often goes by how many they were.

use std::collections::BTreeMap;
use std::ops::Range;

/// See the module: the offset after the last of them, by the first.
#[derive(Debug, Clone, Default)]
pub(super) struct Together(BTreeMap<i64, i64>);

impl Together {
    /// `range` was given out, or stored, as one. It overlaps no other.
    pub(super) fn add(&mut self, range: &Range<i64>) {
        self.0.insert(range.start, range.end);
    }

    /// Those that have an offset in `range`, in order, whole.
    pub(super) fn touching(&self, range: &Range<i64>) -> Vec<Range<i64>> {
        if range.start >= range.end {
            return Vec::new();
        }
        let before = self.0.range(..=range.start).next_back().filter(|(_, end)| **end > range.start);
        let from = before.map_or(range.start, |(first, _)| *first);
        self.0.range(from..range.end).map(|(first, end)| *first..*end).collect()
    }

    /// What is below `start` is settled.
    pub(super) fn forget_below(&mut self, start: i64) {
        while let Some(entry) = self.0.first_entry()
            && *entry.get() <= start
        {
            entry.remove();
        }
    }
}
