//! The types that the Raft library is told to work with.

use millstream_metadata::Record;
use millstream_types::{BrokerId, DirectoryId};
use openraft::impls::leader_id_std;
use openraft::rt::deterministic_rng::DeterministicRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A member of the quorum: a node *with its data folder*. A node that lost its disk comes back as another member, never as an old
/// voter without memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId {
    /// The node.
    pub node: BrokerId,
    /// Its data folder.
    pub directory: DirectoryId,
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.directory)
    }
}

/// A text that is not a [`ReplicaId`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a member's id in the form NODE@DIRECTORY")]
pub struct InvalidReplicaId(String);

impl FromStr for ReplicaId {
    type Err = InvalidReplicaId;

    fn from_str(text: &str) -> Result<Self, InvalidReplicaId> {
        let parse = || {
            let (node, directory) = text.split_once('@')?;
            Some(Self { node: BrokerId(node.parse().ok()?), directory: directory.parse().ok()? })
        };
        parse().ok_or_else(|| InvalidReplicaId(text.to_owned()))
    }
}

/// As text, since it is the key of maps that are stored as JSON.
impl Serialize for ReplicaId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReplicaId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where another member is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// `HOST:PORT` of its node-to-node listener; empty where there is none.
    pub address: String,
}

/// What enters the log: the records of one decision, and the term of the controller that took it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The records are good only in an entry of this term: they were decided against what its controller knew.
    pub term: u64,
    /// Facts, replayed all together or not at all.
    #[serde(with = "shared")]
    pub records: Arc<Vec<Record>>,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records of term {}", self.records.len(), self.term)
    }
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Its records are in the image.
    Applied,
    /// Its controller's term was over; nothing was changed.
    Stale,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

mod shared {
    use super::{Arc, Deserialize, Record, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(records: &Arc<Vec<Record>>, to: S) -> Result<S::Ok, S::Error> {
        records.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Arc<Vec<Record>>, D::Error> {
        Vec::deserialize(from).map(Arc::new)
    }
}

// The library's own random numbers (election timeouts) come from a seed that `Service::start` draws from the runtime's random port;
// its timers are tokio's, which a simulation pauses; its tasks are spawned on the caller's tokio runtime and end with
// `Raft::shutdown`. They are the only tasks that `runtime::Tasks` does not own.

type Tokio = openraft::impls::TokioRuntime;

openraft::declare_raft_types!(
    /// The Raft library's type parameters.
    pub TypeConfig:
        D = Proposal,
        R = Outcome,
        NodeId = ReplicaId,
        Node = Peer,
        Term = u64,
        LeaderId = leader_id_std::LeaderId<u64, ReplicaId>,
        AsyncRuntime = DeterministicRng<Tokio>,
);

/// The library's runtime, whose random numbers are seeded.
pub(crate) type RaftRuntime = DeterministicRng<Tokio>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type Payload = openraft::type_config::alias::EntryPayloadOf<TypeConfig>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, bytes::Bytes>;

/// The log id of `index` in `term`.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// What the library's storage suite numbers its members by.
    impl From<u64> for ReplicaId {
        fn from(number: u64) -> Self {
            let node = BrokerId(i32::try_from(number).unwrap());
            Self { node, directory: DirectoryId(Uuid::from_u128(u128::from(number))) }
        }
    }

    #[test]
    fn a_members_id_survives_as_text() {
        let id = ReplicaId::from(7);
        assert_eq!(id.to_string().parse::<ReplicaId>().unwrap(), id);
        assert!("7".parse::<ReplicaId>().is_err());
        assert!("x@AAAAAAAAAAAAAAAAAAAAAA".parse::<ReplicaId>().is_err());
    }
}
