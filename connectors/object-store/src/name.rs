//! The names of objects: which partition, and the first and last offset. Stored: never changed, or records are written twice.

/// The offsets of one object, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub partition: i32,
    pub first: i64,
    pub last: i64,
}

impl Range {
    /// The object's name, without its path.
    pub fn name(&self, suffix: &str) -> String {
        format!("{}{:020}.{suffix}", prefix(self.partition, self.first), self.last)
    }

    /// The offsets that a name says.
    pub fn parse(name: &str, suffix: &str) -> Option<Self> {
        let stem = name.strip_suffix(suffix)?.strip_suffix('.')?;
        let mut parts = stem.split('-');
        let range = Self {
            partition: parts.next()?.parse().ok()?,
            first: parts.next()?.parse().ok()?,
            last: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && range.name(suffix) == name).then_some(range)
    }
}

/// What the names of objects begin with that begin at this offset.
pub(crate) fn prefix(partition: i32, first: i64) -> String {
    format!("{partition}-{first:020}-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_round_trip(partition in 0..i32::MAX, first in 0..i64::MAX, more in 0..1000i64) {
            let range = Range { partition, first, last: first.saturating_add(more) };
            prop_assert_eq!(Range::parse(&range.name("parquet"), "parquet"), Some(range));
            prop_assert!(range.name("parquet").starts_with(&prefix(partition, first)));
        }
    }

    #[test]
    fn other_names_are_not_taken_for_ours() {
        for name in [
            "1-2-3.parquet",
            "x-00000000000000000000-00000000000000000001.parquet",
            "0-00000000000000000000-00000000000000000001.jsonl",
            "a",
        ] {
            assert_eq!(Range::parse(name, "parquet"), None, "{name}");
        }
    }
}
