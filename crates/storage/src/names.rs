//! Kafka's names of files and folders.

use millstream_types::{Offset, PartitionIndex};
use std::path::{Path, PathBuf};

/// What a segment's file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suffix {
    Log,
    Index,
    TimeIndex,
    TxnIndex,
    Snapshot,
}

impl Suffix {
    const ALL: [Self; 5] = [Self::Log, Self::Index, Self::TimeIndex, Self::TxnIndex, Self::Snapshot];

    const fn text(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Index => "index",
            Self::TimeIndex => "timeindex",
            Self::TxnIndex => "txnindex",
            Self::Snapshot => "snapshot",
        }
    }
}

const OFFSET_DIGITS: usize = 20;
/// The ending of what a compaction writes, until all of it is written.
pub const CLEANED: &str = ".cleaned";
/// The ending of what a compaction wrote while it takes its place.
pub const SWAP: &str = ".swap";

/// The file of the segment or snapshot at `base`.
pub fn file(folder: &Path, base: Offset, suffix: Suffix) -> PathBuf {
    folder.join(format!("{:020}.{}", base.0, suffix.text()))
}

/// The same with another ending.
pub fn file_ending(folder: &Path, base: Offset, suffix: Suffix, ending: &str) -> PathBuf {
    let mut path = file(folder, base, suffix).into_os_string();
    path.push(ending);
    path.into()
}

/// The offset and kind in a file's name; none for other files.
pub fn parse(name: &str) -> Option<(Offset, Suffix)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() != OFFSET_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let suffix = Suffix::ALL.into_iter().find(|known| known.text() == suffix)?;
    Some((Offset(digits.parse().ok()?), suffix))
}

/// Whether a file is a leftover of something interrupted, of ours or of Kafka's: a deletion, or a compaction that did not come to its end.
pub fn is_leftover(name: &str) -> bool {
    [".tmp", ".deleted", CLEANED, SWAP].iter().any(|ending| name.ends_with(ending))
}

/// The folder of a partition within a data folder.
#[must_use]
pub fn folder_name(topic: &str, partition: PartitionIndex) -> String {
    format!("{topic}-{partition}")
}

/// The topic and partition in a folder's name; none for other folders (deleted ones among them).
#[must_use]
pub fn parse_folder_name(name: &str) -> Option<(&str, PartitionIndex)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let partition: i32 = partition.parse().ok()?;
    (!topic.is_empty() && partition >= 0 && name == folder_name(topic, PartitionIndex(partition)))
        .then_some((topic, PartitionIndex(partition)))
}

const DELETED: &str = "-delete";
const NAME_BYTES_MAX: usize = 255;

/// The name a partition's folder gets while it is being deleted: `<topic>-<partition>.<32 hex digits>-delete`, the topic cut so that it fits.
pub fn deleted_folder_name(topic: &str, partition: PartitionIndex, unique: u128) -> String {
    let ending = format!("-{partition}.{unique:032x}{DELETED}");
    // Topic names are ASCII, so that any cut is at a character.
    let room = NAME_BYTES_MAX - ending.len();
    format!("{}{ending}", topic.get(..room).unwrap_or(topic))
}

pub fn is_deleted_folder(name: &str) -> bool {
    name.strip_suffix(DELETED).and_then(|rest| rest.rsplit_once('.')).is_some_and(|(partition, unique)| {
        unique.len() == 32
            && unique.bytes().all(|digit| digit.is_ascii_hexdigit())
            && parse_folder_name(partition).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let log = file(Path::new("t-0"), Offset(42), Suffix::Log);
        assert_eq!(log, Path::new("t-0/00000000000000000042.log"));
        assert_eq!(parse("00000000000000000042.timeindex"), Some((Offset(42), Suffix::TimeIndex)));
        assert_eq!(parse("42.log"), None);
        assert_eq!(parse("00000000000000000042.log.deleted"), None);
        assert_eq!(parse_folder_name("a-b-7"), Some(("a-b", PartitionIndex(7))));
        assert_eq!(parse_folder_name("a-b"), None);
        assert_eq!(parse_folder_name("a--1"), Some(("a-", PartitionIndex(1))));
        assert_eq!(parse_folder_name("a-01"), None);
    }

    #[test]
    fn a_deleted_folder_is_told_from_a_topic_that_ends_alike() {
        let name = deleted_folder_name("orders", PartitionIndex(3), 0xabc);
        assert_eq!(name, "orders-3.00000000000000000000000000000abc-delete");
        assert!(is_deleted_folder(&name));
        assert!(!is_deleted_folder("orders-delete"));
        assert_eq!(parse_folder_name(&name), None);
        assert!(deleted_folder_name(&"x".repeat(249), PartitionIndex(1_000_000), 1).len() <= 255);
    }
}
