//! What can go wrong with a partition, each with what it was about.

use crate::ColdError;
use millstream_types::{DirectoryId, ErrorKind, FolderIdentity, InvalidFolderIdentity, TopicPartition};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Why a partition, or the data folder, refused. Cheap to clone: one failed write answers many appends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no such partition, or this broker has no replica of it.
    #[error("partition {partition} is not on this broker: refresh the metadata")]
    NotHere {
        /// Which.
        partition: TopicPartition,
    },
    /// The partition was just made or assigned and its log is not open yet.
    #[error("partition {partition} is not open on this broker yet: try again")]
    NotOpen {
        /// Which.
        partition: TopicPartition,
    },
    /// The partition was deleted or moved away while something waited on it.
    #[error("partition {name} has been closed on this broker: refresh the metadata")]
    Closed {
        /// Its folder's name, `<topic>-<partition>`.
        name: Arc<str>,
    },
    /// Leadership, epochs, offsets or in-sync replicas don't allow it.
    #[error("partition {name}: {source}")]
    Replica {
        /// Its folder's name.
        name: Arc<str>,
        /// Why.
        source: millstream_replica::Error,
    },
    /// The producer's epoch or sequence is not what must come next.
    #[error("partition {name}: {source}")]
    Producer {
        /// Its folder's name.
        name: Arc<str>,
        /// Why.
        source: millstream_txn::Error,
    },
    /// The log refused or failed.
    #[error("partition {name}: {source}")]
    Storage {
        /// Its folder's name.
        name: Arc<str>,
        /// Why.
        source: Arc<millstream_storage::Error>,
    },
    /// Cold data could not be had.
    #[error("partition {name}: {source}")]
    Cold {
        /// Its folder's name.
        name: Arc<str>,
        /// Why.
        source: ColdError,
    },
    /// The in-sync replicas did not confirm in time: the records are in the log, and may yet be committed.
    #[error("partition {name}: the in-sync replicas did not confirm within {waited:?}; the outcome is unknown")]
    Timeout {
        /// Its folder's name.
        name: Arc<str>,
        /// How long it waited.
        waited: Duration,
    },
    /// Too many appends wait already.
    #[error("partition {name}: {queued} appends wait already, the limit: slow down")]
    Busy {
        /// Its folder's name.
        name: Arc<str>,
        /// How many wait.
        queued: usize,
    },
    /// `DeleteRecords` on a topic that is only compacted.
    #[error("partition {name}: records of a topic with cleanup.policy=compact can't be deleted by offset")]
    OnlyCompacted {
        /// Its folder's name.
        name: Arc<str>,
    },
    /// A checkpoint file can't be understood.
    #[error("{} is not a checkpoint (version, count, then `topic partition offset` lines): delete it to recover without it", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
    },
    /// The partition's data folder can't be used.
    #[error("partition {name} is offline, as is its data folder {}: {cause}; once the folder can be used it is served again, without a restart", path.display())]
    FolderOffline {
        /// Its folder's name.
        name: Arc<str>,
        /// The data folder.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The partition's data folder is none of those that the node was started with.
    #[error("partition {name} is offline: it is in the data folder {} (directory id {id}), without which the node was started; add it to log.dirs again, or, where it is lost, delete the topic, or stop the node and delete {} to begin its partitions anew, empty", path.display(), record.display())]
    FolderGone {
        /// Its folder's name.
        name: Arc<str>,
        /// Where the data folder was last.
        path: PathBuf,
        /// The data folder.
        id: DirectoryId,
        /// What knows of it.
        record: PathBuf,
    },
    /// The partition was found in two data folders.
    #[error("partition {name} is in two data folders, {} and {}; stop the node and move one of the two away", first.display(), second.display())]
    TwoFolders {
        /// Its folder's name.
        name: Arc<str>,
        /// One data folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A data folder has nothing in it, and had.
    #[error("{} has no {}, and partitions were in it: mount its disk; where it is lost, delete the topics that were in it", path.display(), FolderIdentity::FILE)]
    FolderEmpty {
        /// The data folder.
        path: PathBuf,
    },
    /// Another data folder is where one was.
    #[error("{} is another data folder than it was: its directory id is {found}, expected {expected}; mount the right disk", path.display())]
    FolderReplaced {
        /// Where.
        path: PathBuf,
        /// The one that was there.
        expected: DirectoryId,
        /// The one that is there.
        found: DirectoryId,
    },
    /// A data folder is another node's, or of another cluster.
    #[error("{} belongs to {what} {stored}, not {given}; name the right data folder, or an empty one", path.display())]
    WrongFolder {
        /// The data folder.
        path: PathBuf,
        /// What is another.
        what: &'static str,
        /// Whose it is.
        stored: String,
        /// Who this is.
        given: String,
    },
    /// Another process has the data folder.
    #[error("the data folder {} is in use by another process, or named twice; stop that one, or name another folder", path.display())]
    FolderInUse {
        /// The data folder.
        path: PathBuf,
    },
    /// Two data folders say that they are the same one.
    #[error("the data folders {} and {} have the same directory id: one is a copy of the other; name only one of them", first.display(), second.display())]
    SameFolder {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// What a data folder says of itself can't be understood.
    #[error("{} does not say whose data folder it is: {source}", path.display())]
    FolderIdentity {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidFolderIdentity,
    },
    /// What the first data folder knows of the others can't be understood.
    #[error("{} is damaged: {problem}; delete it, with all data folders in their places: a partition whose folder is missing then is begun anew, empty", path.display())]
    FolderList {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The disk failed outside of a log.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// The kind, by which callers decide.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotHere { .. } | Self::NotOpen { .. } | Self::Closed { .. } => ErrorKind::NotLeader,
            Self::Replica { source, .. } => source.kind(),
            Self::Producer { source, .. } => source.kind(),
            Self::Storage { source, .. } => source.kind(),
            Self::Cold { source, .. } => source.kind,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Busy { .. } => ErrorKind::Throttled,
            Self::OnlyCompacted { .. } => ErrorKind::Invalid,
            Self::Checkpoint { .. }
            | Self::TwoFolders { .. }
            | Self::SameFolder { .. }
            | Self::FolderIdentity { .. }
            | Self::FolderList { .. } => ErrorKind::Corrupt,
            Self::WrongFolder { .. } => ErrorKind::Invalid,
            Self::FolderInUse { .. } => ErrorKind::Conflict,
            Self::Io { .. }
            | Self::FolderOffline { .. }
            | Self::FolderGone { .. }
            | Self::FolderEmpty { .. }
            | Self::FolderReplaced { .. } => ErrorKind::Unavailable,
        }
    }

    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source: Arc::new(error) }
    }
}
