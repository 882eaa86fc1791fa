//! What groups know of the cluster when they decide: its topics, and the settings of single groups.

use millstream_types::TopicId;

/// A topic, as far as its partitions are to be assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
}

/// Times that a group may have of its own (Kafka's group configs), where they differ from the broker's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupTimes {
    /// `consumer.session.timeout.ms`.
    pub session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: Option<i32>,
    /// `share.session.timeout.ms`.
    pub share_session_timeout_ms: Option<i32>,
    /// `share.heartbeat.interval.ms`.
    pub share_heartbeat_interval_ms: Option<i32>,
}

/// See the module. What it says may change from one decision to the next; [`Cluster::version`] tells.
pub trait Cluster: Send + Sync + 'static {
    /// Counts up whenever anything here may have changed.
    fn version(&self) -> u64;
    /// The topic of that name.
    fn topic(&self, name: &str) -> Option<Topic>;
    /// The name of a topic.
    fn name_of(&self, id: TopicId) -> Option<String>;
    /// Every topic's name.
    fn names(&self) -> Vec<String>;
    /// The settings of one group.
    fn times_of(&self, group: &str) -> GroupTimes;
}

/// A cluster without topics and settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTopics;

impl Cluster for NoTopics {
    fn version(&self) -> u64 {
        0
    }

    fn topic(&self, _: &str) -> Option<Topic> {
        None
    }

    fn name_of(&self, _: TopicId) -> Option<String> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn times_of(&self, _: &str) -> GroupTimes {
        GroupTimes::default()
    }
}
