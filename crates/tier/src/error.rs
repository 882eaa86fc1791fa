//! Why cold storage could not do what it was asked.

use millstream_types::{ErrorKind, LeaderEpoch, Offset, TopicPartition, with_causes};
use std::path::PathBuf;

/// A failure of cold storage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store did not do it.
    #[error(
        "{action} {object} in {store}: {}; it is tried again, check that the object store can be reached and allows it",
        with_causes(source)
    )]
    Store {
        /// What was being done.
        action: &'static str,
        /// The object, or the front of the names.
        object: String,
        /// Which store.
        store: String,
        /// Its answer.
        source: Box<object_store::Error>,
    },
    /// An object that a manifest names is not there.
    #[error("object {object} is missing in {store} though a manifest names it; restore it from a copy of the bucket")]
    Missing {
        /// The object.
        object: String,
        /// Which store.
        store: String,
    },
    /// An object's bytes are not what was uploaded.
    #[error("object {object} is corrupt: {problem}; it is not served, restore it from a copy of the bucket")]
    Corrupt {
        /// The object.
        object: String,
        /// What is wrong.
        problem: String,
    },
    /// An object was written by a newer version.
    #[error("object {object} has format {found}; this version knows up to {known}; upgrade this node")]
    NewerFormat {
        /// The object.
        object: String,
        /// Its format.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// What arrived is not what was sent.
    #[error("object {object} has {found} bytes after its upload; expected {expected}; it is uploaded again")]
    Torn {
        /// The object.
        object: String,
        /// Bytes sent.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// A newer leader has written manifests.
    #[error("{partition}: a leader of epoch {theirs} writes its manifests; this one, of epoch {ours}, stops")]
    Fenced {
        /// The partition.
        partition: String,
        /// The caller's epoch.
        ours: LeaderEpoch,
        /// The newer one.
        theirs: LeaderEpoch,
    },
    /// Other writers were faster each time.
    #[error("{partition}: {attempts} manifests were overtaken by another writer; it is tried again")]
    Contended {
        /// The partition.
        partition: String,
        /// How many.
        attempts: usize,
    },
    /// Local log and object store do not fit together.
    #[error(
        "{partition}: the object store ends at offset {remote_end}, {problem}; nothing is copied, recover the topic or delete its copy"
    )]
    Diverged {
        /// The partition.
        partition: String,
        /// Where the manifest ends.
        remote_end: Offset,
        /// What does not fit.
        problem: String,
    },
    /// The local log could not be read or changed.
    #[error("{partition}: {message}")]
    Source {
        /// The partition.
        partition: String,
        /// What sort of failure.
        kind: ErrorKind,
        /// What failed, for a person.
        message: String,
    },
    /// The local disk refused.
    #[error("{action} {}: {source}", path.display())]
    Disk {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The store's address or options are wrong.
    #[error("{name}: {problem}")]
    Settings {
        /// The option.
        name: String,
        /// What was wrong and what was expected.
        problem: String,
    },
    /// Nobody has said yet that this node has the partition: it is starting.
    #[error("partition {partition} is not registered with cold storage yet; try again in a moment")]
    Unregistered {
        /// The partition.
        partition: TopicPartition,
    },
    /// The store has no such topic.
    #[error("{store} has no manifest of topic {topic:?}; `millstream tier status` lists what this node has copied")]
    UnknownTopic {
        /// The topic.
        topic: String,
        /// Which store.
        store: String,
    },
}

impl Error {
    /// What sort of failure this is. Whatever the store itself answers may pass, credentials included.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Store { .. }
            | Self::Torn { .. }
            | Self::Contended { .. }
            | Self::Disk { .. }
            | Self::Unregistered { .. } => ErrorKind::Unavailable,
            Self::Missing { .. } | Self::Corrupt { .. } | Self::Diverged { .. } => ErrorKind::Corrupt,
            Self::NewerFormat { .. } | Self::Settings { .. } => ErrorKind::Invalid,
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::Source { kind, .. } => *kind,
            Self::UnknownTopic { .. } => ErrorKind::NotFound,
        }
    }

    pub(crate) fn corrupt(object: impl ToString, problem: impl Into<String>) -> Self {
        Self::Corrupt { object: object.to_string(), problem: problem.into() }
    }

    pub(crate) fn storage(partition: &str, error: &millstream_storage::Error) -> Self {
        Self::Source { partition: partition.to_owned(), kind: error.kind(), message: error.to_string() }
    }
}
