//! Whose a data folder is: Kafka's `meta.properties`.
//!
//! ```text
//! version=1                              Kafka's version since KRaft: stored
//! cluster.id=fMCL8kv1SWm87L_Md-I2hg
//! node.id=1
//! directory.id=KIi5gVZMTOuxI9qTbIoNWA    this folder's own
//! ```

use crate::{BrokerId, ClusterId, DirectoryId};
use std::collections::BTreeMap;

/// Kafka's version of the file since KRaft.
const VERSION: u32 = 1;

/// Whose a data folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderIdentity {
    /// The cluster of the node.
    pub cluster_id: ClusterId,
    /// The node.
    pub node_id: BrokerId,
    /// The folder itself.
    pub directory: DirectoryId,
}

/// Why the content of `meta.properties` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFolderIdentity {
    /// A newer version wrote it.
    #[error("it has format {found}, but this version of Millstream reads up to {VERSION}; start the newer version")]
    Newer {
        /// The file's version.
        found: u32,
    },
    /// It is not what was written.
    #[error("{0}")]
    Damaged(String),
}

impl FolderIdentity {
    /// Kafka's name of the file.
    pub const FILE: &str = "meta.properties";
    /// The newest version of the file that is read.
    pub const VERSION: u32 = VERSION;

    /// The content of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { cluster_id, node_id, directory } = self;
        format!("version={VERSION}\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={directory}\n")
    }

    /// Reads the content of the file.
    ///
    /// # Errors
    /// A newer version, or something missing or misspelt.
    pub fn parse(content: &[u8]) -> Result<Self, InvalidFolderIdentity> {
        use InvalidFolderIdentity::{Damaged, Newer};
        let text = std::str::from_utf8(content).map_err(|error| Damaged(error.to_string()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
        let values: BTreeMap<&str, &str> =
            lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim())).collect();
        let value = |key: &str| values.get(key).copied().ok_or_else(|| Damaged(format!("it has no {key}")));
        let version: u32 = value("version")?.parse().map_err(|_| Damaged("version is not a number".into()))?;
        if version > VERSION {
            return Err(Newer { found: version });
        }
        if version < VERSION {
            return Err(Damaged(format!(
                "its version is {version}; expected {VERSION} (an older Kafka's folder must be upgraded by Kafka first)"
            )));
        }
        let (cluster, node, directory) = (value("cluster.id")?, value("node.id")?, value("directory.id")?);
        let uuid = |key: &str, text: &str| Damaged(format!("{key} {text:?} is not a UUID in Kafka's form"));
        Ok(Self {
            cluster_id: cluster.parse().map_err(|_| uuid("cluster.id", cluster))?,
            node_id: BrokerId(node.parse().map_err(|_| Damaged(format!("node.id {node:?} is not a number")))?),
            directory: directory.parse().map_err(|_| uuid("directory.id", directory))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_is_written_is_read() {
        let identity = FolderIdentity {
            cluster_id: ClusterId(Uuid::from_u128(7)),
            node_id: BrokerId(3),
            directory: DirectoryId(Uuid::from_u128(9)),
        };
        assert_eq!(FolderIdentity::parse(identity.text().as_bytes()), Ok(identity));
    }

    #[test]
    fn another_version_is_refused_in_words() {
        assert_eq!(FolderIdentity::parse(b"version=2\n"), Err(InvalidFolderIdentity::Newer { found: 2 }));
        let older = FolderIdentity::parse(b"version=0\n").unwrap_err().to_string();
        assert!(older.contains("upgraded by Kafka first"), "{older}");
    }
}
