//! What the quorum must never forget beside the log: the vote, how far the log was purged, and whether it was closed cleanly.
//!
//! One small file of two lines, replaced as a whole: JSON, and its CRC-32C in hex.

use crate::Error;
use crate::error::DiskContext;
use crate::frame::{FORMAT, crc32c};
use crate::raft_types::{LogId, Vote};
use bytes::Bytes;
use millstream_runtime::Disk;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The file's name within the quorum's folder.
pub(crate) const FILE: &str = "quorum-state";

/// What is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    version: u32,
    /// The newest vote.
    pub vote: Option<Vote>,
    /// Entries up to this one are in a snapshot and gone from the log.
    pub purged: Option<LogId>,
    /// Where the log ended when it was closed; absent while it is open.
    pub clean_end: Option<CleanEnd>,
}

/// The end of a log that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CleanEnd {
    /// The number of its last file.
    pub file: u64,
    /// Bytes in it.
    pub len: u64,
}

/// The file, of which there is one writer at a time.
pub(crate) struct HardState {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    stored: Mutex<Stored>,
}

impl HardState {
    /// Reads the file, or starts with an empty state where there is none.
    pub(crate) async fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let stored = if disk.exists(&path).await.while_at("look for", &path)? {
            parse(&path, &disk.read(&path).await.while_at("read", &path)?)?
        } else {
            Stored { version: FORMAT, vote: None, purged: None, clean_end: None }
        };
        Ok(Self { disk, path, stored: Mutex::new(stored) })
    }

    /// What is stored now.
    pub(crate) async fn get(&self) -> Stored {
        self.stored.lock().await.clone()
    }

    /// Changes what is stored; durable when this returns. Nothing is changed where it fails.
    pub(crate) async fn update(&self, change: impl FnOnce(&mut Stored)) -> std::io::Result<()> {
        let mut stored = self.stored.lock().await;
        let mut next = stored.clone();
        change(&mut next);
        if next != *stored {
            let json = serde_json::to_string(&next)?;
            let content = format!("{json}\n{:08x}\n", crc32c(json.as_bytes()));
            self.disk.write_atomic(&self.path, Bytes::from(content)).await?;
            *stored = next;
        }
        Ok(())
    }
}

fn parse(path: &Path, content: &[u8]) -> Result<Stored, Error> {
    let corrupt = |reason: String| Error::Corrupt { path: path.to_owned(), position: 0, reason };
    let text = std::str::from_utf8(content).map_err(|error| corrupt(error.to_string()))?;
    let mut lines = text.lines();
    let (json, crc) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if u32::from_str_radix(crc, 16) != Ok(crc32c(json.as_bytes())) {
        return Err(corrupt("its checksum is wrong".into()));
    }
    let value: serde_json::Value = serde_json::from_str(json).map_err(|error| corrupt(error.to_string()))?;
    let version =
        value.get("version").and_then(serde_json::Value::as_u64).and_then(|version| u32::try_from(version).ok());
    match version {
        Some(found) if found > FORMAT => Err(Error::NewerFormat { path: path.to_owned(), found, supported: FORMAT }),
        Some(FORMAT) => serde_json::from_value(value).map_err(|error| corrupt(error.to_string())),
        _ => Err(corrupt("it has no version".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_crc(json: &str) -> Vec<u8> {
        format!("{json}\n{:08x}\n", crc32c(json.as_bytes())).into_bytes()
    }

    #[test]
    fn a_newer_version_is_refused_in_words() {
        let error = parse(Path::new("quorum-state"), &with_crc(r#"{"version":2,"vote":null,"shape":1}"#)).unwrap_err();
        assert!(matches!(error, Error::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    }

    #[test]
    fn a_changed_byte_is_found() {
        let mut content = with_crc(r#"{"version":1,"vote":null,"purged":null,"clean_end":null}"#);
        assert!(parse(Path::new("f"), &content).is_ok());
        content[12] = b'0';
        assert!(matches!(parse(Path::new("f"), &content), Err(Error::Corrupt { .. })));
    }
}
