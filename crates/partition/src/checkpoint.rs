//! Kafka's checkpoint files: one offset for each partition of a data folder, as text.
//!
//! ```text
//! 0                     version (stored: never renumber)
//! 2                     how many lines follow
//! orders 0 1207         topic, partition, offset
//! orders 1 13
//! ```

use crate::Error;
use bytes::Bytes;
use millstream_runtime::Disk;
use millstream_types::Offset;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Up to where each log is known to be on the disk itself.
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// The high watermarks.
pub(crate) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// The log starts that `DeleteRecords` moved.
pub(crate) const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// Up to where each log is compacted.
pub(crate) const CLEANED: &str = "cleaner-offset-checkpoint";

/// Offsets by topic name and partition.
pub type Offsets = BTreeMap<(String, i32), Offset>;

/// Reads a checkpoint; a file that is not there is empty.
pub(crate) async fn read(disk: &dyn Disk, path: &Path) -> Result<Offsets, Error> {
    if !disk.exists(path).await.map_err(|error| Error::io(path, error))? {
        return Ok(Offsets::new());
    }
    let content = disk.read(path).await.map_err(|error| Error::io(path, error))?;
    parse(&content).ok_or_else(|| Error::Checkpoint { path: path.to_owned() })
}

/// Replaces a checkpoint as a whole.
pub(crate) async fn write(disk: &dyn Disk, path: &Path, offsets: &Offsets) -> Result<(), Error> {
    disk.write_atomic(path, print(offsets)).await.map_err(|error| Error::io(path, error))
}

/// The content of a checkpoint file.
#[must_use]
pub fn print(offsets: &Offsets) -> Bytes {
    let mut text = format!("0\n{}\n", offsets.len());
    for ((topic, partition), offset) in offsets {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{topic} {partition} {offset}");
    }
    text.into()
}

/// The offsets in the content of a checkpoint file; none where it is not whole.
#[must_use]
pub fn parse(content: &[u8]) -> Option<Offsets> {
    let mut lines = std::str::from_utf8(content).ok()?.lines();
    if lines.next()? != "0" {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let mut offsets = Offsets::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let (topic, partition, offset) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        offsets.insert((topic.to_owned(), partition), Offset(offset));
    }
    (offsets.len() == count).then_some(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_runtime::SimDisk;

    #[test]
    fn the_text_is_kafkas() {
        let offsets = Offsets::from([(("a".into(), 0), Offset(7)), (("b.c".into(), 12), Offset(0))]);
        assert_eq!(&print(&offsets)[..], b"0\n2\na 0 7\nb.c 12 0\n");
        assert_eq!(parse(&print(&offsets)), Some(offsets));
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused() {
        for text in ["", "1\n0\n", "0\n", "0\n2\na 0 7\n", "0\n1\na 0\n", "0\n1\na x 7\n"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_empty() {
        assert_eq!(read(&SimDisk::new(), Path::new("x")).await.unwrap(), Offsets::new());
    }
}
