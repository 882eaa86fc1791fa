//! What can go wrong with a partition, each with what it was about.

use crate::ColdError;
use millstream_types::{ErrorKind, TopicPartition};
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
            Self::Checkpoint { .. } => ErrorKind::Corrupt,
            Self::Io { .. } => ErrorKind::Unavailable,
        }
    }

    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source: Arc::new(error) }
    }
}
