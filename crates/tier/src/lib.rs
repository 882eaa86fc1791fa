//! Cold storage: closed segments go to an object store, numbered manifests name them, and reads come back through a bounded cache.
//!
//! ```text
//! <prefix>/<topic>/<topic id>/topic/00000000000000000001.json               name, id, partitions, configs
//! <prefix>/<topic>/<topic id>/<partition>/manifest/00000000000000000042.json   the segments; the highest number counts
//! <prefix>/<topic>/<topic id>/<partition>/segments/<base>-<unique>.log          Kafka's bytes
//!                                                  .index .timeindex .snapshot .epochs   what Kafka keeps beside them
//!                                                  .chunks                       where to cut the log for ranged reads, with checksums
//! ```
//!
//! It knows storage's closed segments and nothing of replicas, clients or the quorum: who leads tells it through [`SegmentSource`].

mod cache;
mod chunks;
mod commit;
mod config;
mod error;
mod fetch;
mod layout;
mod lru;
mod manifest;
mod offload;
mod plan;
mod read;
mod recover;
mod retain;
mod source;
mod state;
mod stats;
mod store;
mod tier;
mod topic;
mod upload;

pub use config::Config;
pub use error::Error;
pub use manifest::{FORMAT, Manifest, Object, Segment, TopicDescription};
pub use offload::Offloaded;
pub use read::Found;
pub use recover::{RecoveredPartition, RecoveredTopic};
pub use retain::Tended;
pub use source::{LogSource, SegmentSource};
pub use state::PartitionStatus;
pub use stats::Stats;
pub use store::TierStore;
pub use tier::Tier;
