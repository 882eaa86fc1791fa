//! The quorum's settings, as data.

use crate::network::{NoPeers, Peers};
use millstream_metadata::Listener;
use millstream_types::{BrokerId, ClusterId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// When the broker may lead after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfence {
    /// At once, within `Service::start`.
    AtStart,
    /// When `Handle::heartbeat` says so, for a broker that has something to make ready first.
    WhenTold,
}

/// The settings of one node of the quorum.
#[derive(Clone)]
pub struct Config {
    /// The node's data folder; the quorum's own is `metadata` within it.
    pub data_dir: PathBuf,
    /// Kafka's `node.id`.
    pub node_id: BrokerId,
    /// Where clients reach the broker.
    pub listeners: Vec<Listener>,
    /// Where the broker stands.
    pub rack: Option<String>,
    /// The id of the cluster to form (random when absent), or that the node is of. A folder that has one keeps it.
    pub cluster_id: Option<ClusterId>,
    /// Form a cluster of one at the first start. Otherwise the node waits to be taken into one.
    pub form: bool,
    /// When the broker may lead.
    pub unfence: Unfence,
    /// The options the broker was started with, checked; topics that don't set theirs take the ones that are defaults of topics.
    pub static_configs: BTreeMap<String, String>,
    /// The way to the other nodes.
    pub peers: Arc<dyn Peers>,
    /// Entries of the log after which a snapshot is made. Higher makes fewer snapshots and a longer replay at start.
    pub snapshot_entries: u64,
    /// Entries kept behind a snapshot for followers that are a little late.
    pub kept_entries: u64,
    /// Bytes at which a file of the log is closed. Higher makes fewer files, which are deleted later.
    pub segment_bytes_max: u64,
    /// How long a decision waits for a controller to be elected.
    pub leader_wait: Duration,
}

impl Config {
    /// The settings of a node that forms a cluster of its own.
    #[must_use]
    pub fn new(data_dir: PathBuf, node_id: BrokerId, listeners: Vec<Listener>) -> Self {
        Self {
            data_dir,
            node_id,
            listeners,
            rack: None,
            cluster_id: None,
            form: true,
            unfence: Unfence::AtStart,
            static_configs: BTreeMap::new(),
            peers: Arc::new(NoPeers),
            snapshot_entries: 5_000,
            kept_entries: 1_000,
            segment_bytes_max: 16 << 20,
            leader_wait: Duration::from_secs(30),
        }
    }
}
