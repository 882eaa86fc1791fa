//! What the first folder knows of the others: which there are, and which replicas are in them. Without it a replica whose folder is missing at
//! a start would be taken for a new one, and begun empty elsewhere.
//!
//! ```text
//! 0                                                                      version (stored: never renumber)
//! directory KIi5gVZMTOuxI9qTbIoNWA /disk2/millstream                     its id, and where it was last
//! replica fMCL8kv1SWm87L_Md-I2hg 3 KIi5gVZMTOuxI9qTbIoNWA                topic, partition, folder
//! ```

use millstream_types::{DirectoryId, PartitionIndex, TopicPartition};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// The file's name.
pub(crate) const NAME: &str = "millstream.folders";
const VERSION: &str = "0";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) directories: BTreeMap<DirectoryId, PathBuf>,
    pub(crate) replicas: BTreeMap<TopicPartition, DirectoryId>,
}

impl Record {
    /// The content of the file; empty where there is nothing to know.
    pub(crate) fn text(&self) -> String {
        if self.directories.is_empty() {
            return String::new();
        }
        let mut text = format!("{VERSION}\n");
        for (id, path) in &self.directories {
            // Writing to a String can't fail.
            let _ = writeln!(text, "directory {id} {}", path.display());
        }
        for (replica, id) in &self.replicas {
            let _ = writeln!(text, "replica {} {} {id}", replica.topic, replica.partition);
        }
        text
    }

    /// Reads the content of the file.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
        let mut lines = text.lines();
        match lines.next() {
            None => return Ok(Self::default()),
            Some(VERSION) => {}
            Some(version) => return Err(format!("its version is {version:?}; this Millstream knows {VERSION}")),
        }
        let mut record = Self::default();
        for line in lines {
            record.read(line).ok_or_else(|| format!("{line:?} names neither a directory nor a replica"))?;
        }
        Ok(record)
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        if kind == "directory" {
            let (id, path) = rest.split_once(' ')?;
            self.directories.insert(id.parse().ok()?, PathBuf::from(path));
            return Some(());
        }
        let mut words = rest.split(' ');
        let (topic, partition, id) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
        let replica = TopicPartition::new(topic, PartitionIndex(partition));
        (kind == "replica" && words.next().is_none()).then_some(())?;
        self.replicas.insert(replica, id.parse().ok()?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::TopicId;
    use uuid::Uuid;

    #[test]
    fn what_is_written_is_read() {
        let id = DirectoryId(Uuid::from_u128(3));
        let replica = TopicPartition::new(TopicId(Uuid::from_u128(5)), PartitionIndex(7));
        let record = Record { directories: [(id, "/a b/c".into())].into(), replicas: [(replica, id)].into() };
        assert_eq!(Record::parse(record.text().as_bytes()), Ok(record));
        assert_eq!(Record::parse(b""), Ok(Record::default()));
        assert_eq!(Record::default().text(), "");
    }

    #[test]
    fn what_is_damaged_is_told_from_what_is_newer() {
        assert!(Record::parse(b"1\n").unwrap_err().contains("this Millstream knows 0"));
        for line in ["replica x", "directory x", "replica a 1 b", "elsewhere"] {
            let problem = Record::parse(format!("0\n{line}\n").as_bytes()).unwrap_err();
            assert!(problem.contains(line), "{problem}");
        }
    }
}
