//! The options of a single group under Kafka's names. A group that sets none has the broker's.

use super::ConfigDef;
use super::definition::ConfigType::Int;

/// Every option of a group, sorted by name; the broker's option that gives it its default is its synonym.
pub const GROUP_CONFIGS: &[ConfigDef] = &[
    ConfigDef::new("consumer.heartbeat.interval.ms", Int, "5000", "Milliseconds between two heartbeats of a member of the consumer protocol. Lower sees changes sooner, and costs more requests.").min(1).synonym("group.consumer.heartbeat.interval.ms"),
    ConfigDef::new("consumer.session.timeout.ms", Int, "45000", "Milliseconds that a member of the consumer protocol may be silent. Lower finds dead ones sooner, and takes slow ones for dead.").min(1).synonym("group.consumer.session.timeout.ms"),
];
