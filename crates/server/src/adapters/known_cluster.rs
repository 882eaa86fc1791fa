//! What groups know of the cluster when they decide, from the metadata as far as this node has applied it.

use millstream_coordinator::group::{Cluster, GroupTimes, Topic};
use millstream_metadata::Image;
use millstream_quorum::Handle as Quorum;
use millstream_types::TopicId;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;

/// See the module. What it says changes when it is asked for its version, and else not.
pub struct KnownCluster(Mutex<Known>);

struct Known {
    metadata: watch::Receiver<Arc<Image>>,
    image: Arc<Image>,
    version: u64,
}

impl KnownCluster {
    /// The cluster as `quorum` tells it.
    #[must_use]
    pub fn new(quorum: &Quorum) -> Self {
        let mut metadata = quorum.watch();
        let image = metadata.borrow_and_update().clone();
        Self(Mutex::new(Known { metadata, image, version: 0 }))
    }

    fn image(&self) -> Arc<Image> {
        self.0.lock().image.clone()
    }
}

impl Cluster for KnownCluster {
    fn version(&self) -> u64 {
        let mut known = self.0.lock();
        let known = &mut *known;
        // A quorum that has stopped changes nothing any more.
        if known.metadata.has_changed().unwrap_or(false) {
            known.image = known.metadata.borrow_and_update().clone();
            known.version += 1;
        }
        known.version
    }

    fn topic(&self, name: &str) -> Option<Topic> {
        let image = self.image();
        let topic = image.topic_named(name)?;
        Some(Topic { id: topic.id, partitions: i32::try_from(topic.partitions.len()).ok()? })
    }

    fn name_of(&self, id: TopicId) -> Option<String> {
        self.image().topic(id).map(|topic| topic.name.to_string())
    }

    fn names(&self) -> Vec<String> {
        self.image().topics().map(|topic| topic.name.to_string()).collect()
    }

    fn times_of(&self, group: &str) -> GroupTimes {
        let image = self.image();
        let set = |name: &str| image.group_config(group)?.get(name)?.trim().parse().ok();
        GroupTimes {
            session_timeout_ms: set("consumer.session.timeout.ms"),
            heartbeat_interval_ms: set("consumer.heartbeat.interval.ms"),
            share_session_timeout_ms: set("share.session.timeout.ms"),
            share_heartbeat_interval_ms: set("share.heartbeat.interval.ms"),
        }
    }
}
