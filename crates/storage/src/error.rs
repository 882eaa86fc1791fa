//! Why the log could not do what it was asked.

use millstream_types::{ErrorKind, Offset, TopicId};
use std::io;
use std::path::{Path, PathBuf};

/// A failure of a partition's log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("{action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Stored bytes are not what was written.
    #[error("{} is corrupt at byte {position}: {problem}; restore this partition from a replica or the object store", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        problem: String,
    },
    /// A small file of ours or Kafka's does not parse.
    #[error("{} does not parse: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The log has no such offset.
    #[error("offset {offset} is out of range: the log has {start} to {end}")]
    OutOfRange {
        /// What was asked for.
        offset: Offset,
        /// The first offset there is.
        start: Offset,
        /// The offset the next record gets.
        end: Offset,
    },
    /// The offset is in the object store and no longer here.
    #[error("offset {offset} is not on this disk, which has {local_start} and later; read it from the object store")]
    NotLocal {
        /// What was asked for.
        offset: Offset,
        /// The first offset on this disk.
        local_start: Offset,
    },
    /// A batch that fits in no segment.
    #[error("a batch of {bytes} bytes fits in no segment of {segment_bytes} bytes (segment.bytes)")]
    BatchTooLarge {
        /// Bytes of the batch.
        bytes: usize,
        /// `segment.bytes`.
        segment_bytes: i32,
    },
    /// A replicated batch that does not continue the log.
    #[error("a replicated batch begins at offset {found}; expected {expected} or later")]
    OutOfOrder {
        /// The log's end.
        expected: Offset,
        /// The batch's base offset.
        found: Offset,
    },
    /// The folder is another topic's.
    #[error("{} belongs to topic id {found}; expected {expected}; move the folder away or restore the right data", path.display())]
    WrongTopic {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: TopicId,
        /// Whose it should be.
        expected: TopicId,
    },
    /// An fsync or a rollback failed, so that what the disk holds is unknown.
    #[error("{} takes no writes since its disk failed ({cause}); make room on the disk, or mend it: the log is opened again by itself then", path.display())]
    Failed {
        /// The log's folder.
        path: PathBuf,
        /// What failed first.
        cause: String,
    },
    /// The log was deleted.
    #[error("{} was deleted", path.display())]
    Deleted {
        /// The folder it had.
        path: PathBuf,
    },
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Unavailable,
            },
            Self::Corrupt { .. } | Self::Format { .. } | Self::WrongTopic { .. } => ErrorKind::Corrupt,
            Self::OutOfRange { .. } | Self::BatchTooLarge { .. } | Self::OutOfOrder { .. } => ErrorKind::Invalid,
            Self::NotLocal { .. } | Self::Deleted { .. } => ErrorKind::NotFound,
            Self::Failed { .. } => ErrorKind::Unavailable,
        }
    }

    /// Turns the disk's answer into an error that names the file.
    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(path: &Path, position: u64, problem: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), position, problem: problem.into() }
    }

    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.into() }
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on the disk, and try again",
        _ => "",
    }
}
