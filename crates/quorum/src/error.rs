//! What can go wrong in the quorum: with what it stores, with leadership, or because a decision was refused.

use millstream_types::{BrokerId, ErrorKind};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// An error of the quorum.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the values that the message names")]
pub enum Error {
    /// The decision itself was refused.
    #[error(transparent)]
    Refused(#[from] millstream_metadata::Error),
    /// The disk failed.
    #[error("{action} {path}: {source}", path = path.display())]
    Disk { action: &'static str, path: PathBuf, source: io::Error },
    /// Stored bytes are not what was written.
    #[error("{path} is damaged at byte {position}: {reason}; restore the file from a copy, or remove this node and add it again", path = path.display())]
    Corrupt { path: PathBuf, position: u64, reason: String },
    /// A newer version of Millstream wrote the file.
    #[error("{path} has format {found}, but this version of Millstream reads up to {supported}; start the newer version", path = path.display())]
    NewerFormat { path: PathBuf, found: u32, supported: u32 },
    /// The data folder belongs to somebody else.
    #[error("{path} belongs to {what} {stored}, not {given}; name the right data folder, or an empty one", path = path.display())]
    WrongFolder { path: PathBuf, what: &'static str, stored: String, given: String },
    /// A node that forms no cluster must know which one it is of.
    #[error("the data folder {path} is new and its node forms no cluster; name the id of the cluster that it is to join", path = path.display())]
    NoClusterId { path: PathBuf },
    /// Another process has the data folder open.
    #[error("the data folder {path} is in use by another process; stop that one, or name another folder", path = path.display())]
    FolderInUse { path: PathBuf },
    /// Another node decides.
    #[error("broker {leader} is the controller; ask it")]
    NotLeader { leader: BrokerId },
    /// Nobody decides at the moment.
    #[error("no controller was elected within {waited:?}; a majority of the quorum's nodes must be reachable")]
    NoLeader { waited: Duration },
    /// Leadership was lost before the decision was committed; it may still come to be.
    #[error(
        "the controller changed before the decision was committed; it may have been made or not: look before it is repeated"
    )]
    Unknown,
    /// Leadership was lost before the decision entered the log.
    #[error("the controller changed before the decision was made; repeat it")]
    Superseded,
    /// The quorum has stopped, on demand or because it could not go on.
    #[error("the metadata quorum has stopped: {reason}")]
    Stopped { reason: String },
}

impl Error {
    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(refused) => refused.kind(),
            Self::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => ErrorKind::Exhausted,
            Self::Disk { .. } | Self::NoLeader { .. } | Self::Superseded | Self::Stopped { .. } => {
                ErrorKind::Unavailable
            }
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::NewerFormat { .. } | Self::WrongFolder { .. } | Self::NoClusterId { .. } => ErrorKind::Invalid,
            Self::FolderInUse { .. } => ErrorKind::Conflict,
            Self::NotLeader { .. } => ErrorKind::NotLeader,
            Self::Unknown => ErrorKind::Timeout,
        }
    }
}

/// Adds what was being done, and to what, to an error of the disk.
pub(crate) trait DiskContext<T> {
    fn while_at(self, action: &'static str, path: &std::path::Path) -> Result<T, Error>;
}

impl<T> DiskContext<T> for io::Result<T> {
    fn while_at(self, action: &'static str, path: &std::path::Path) -> Result<T, Error> {
        self.map_err(|source| Error::Disk { action, path: path.to_owned(), source })
    }
}
