//! `millstream.checkpoint`: what of a partition's state is not in its segments. Kafka keeps both numbers in files for the whole data folder.
//!
//! ```text
//! 0                            version of this format: stored, never renumber
//! log-start-offset 1200        records below were deleted, even where their segment is still here
//! recovery-point-offset 4711   records below were made durable and need no check after a crash
//! ```

use crate::error::Error;
use bytes::Bytes;
use millstream_runtime::Disk;
use millstream_types::Offset;
use std::path::{Path, PathBuf};

/// The file's name.
pub const NAME: &str = "millstream.checkpoint";
const VERSION: &str = "0";
const LOG_START: &str = "log-start-offset";
const RECOVERY_POINT: &str = "recovery-point-offset";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoint {
    pub log_start: Offset,
    pub recovery_point: Offset,
}

impl Checkpoint {
    /// Reads the folder's checkpoint. A new folder has none, nor has Kafka's.
    pub async fn read(disk: &dyn Disk, folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let content = disk.read(&path).await.map_err(Error::io("read", &path))?;
        Self::parse(&content).map_err(|problem| Error::format(&path, problem))
    }

    pub async fn write(self, disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
        let path = Self::path(folder);
        disk.write_atomic(&path, Bytes::from(self.text())).await.map_err(Error::io("write", &path))
    }

    pub fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// The checkpoint as it is stored.
    pub fn text(self) -> String {
        format!("{VERSION}\n{LOG_START} {}\n{RECOVERY_POINT} {}\n", self.log_start, self.recovery_point)
    }

    fn parse(content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
        let mut lines = text.lines();
        match lines.next() {
            Some(VERSION) => {}
            version => {
                return Err(format!(
                    "its version is {version:?}; this Millstream knows 0; use the version that wrote it"
                ));
            }
        }
        let mut field = |name: &str| {
            let value =
                lines.next().and_then(|line| line.strip_prefix(name)).and_then(|value| value.trim().parse().ok());
            value.filter(|offset| *offset >= 0).map(Offset).ok_or_else(|| format!("it has no {name} of at least 0"))
        };
        Ok(Self { log_start: field(LOG_START)?, recovery_point: field(RECOVERY_POINT)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_runtime::SimDisk;

    #[tokio::test]
    async fn what_is_written_is_read() {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("t-0")).await.unwrap();
        let written = Checkpoint { log_start: Offset(7), recovery_point: Offset(9) };
        written.write(&disk, Path::new("t-0")).await.unwrap();
        assert_eq!(Checkpoint::read(&disk, Path::new("t-0")).await.unwrap(), written);
    }

    #[test]
    fn a_newer_version_is_refused_in_words() {
        let problem = Checkpoint::parse(b"1\nlog-start-offset 0\n").unwrap_err();
        assert!(problem.contains("this Millstream knows 0"), "{problem}");
    }

    #[test]
    fn a_negative_offset_is_refused() {
        assert!(Checkpoint::parse(b"0\nlog-start-offset -1\nrecovery-point-offset 0\n").is_err());
    }
}
