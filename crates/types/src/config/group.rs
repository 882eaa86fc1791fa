//! The options of a single group under Kafka's names. A group that sets none has the broker's.

use super::ConfigDef;
use super::definition::ConfigType::{Boolean, Int, String as Text};

/// Every option of a group, sorted by name; the broker's option that gives it its default is its synonym.
pub const GROUP_CONFIGS: &[ConfigDef] = &[
    ConfigDef::new("consumer.heartbeat.interval.ms", Int, "5000", "Milliseconds between two heartbeats of a member of the consumer protocol. Lower sees changes sooner, and costs more requests.").min(1).synonym("group.consumer.heartbeat.interval.ms"),
    ConfigDef::new("consumer.session.timeout.ms", Int, "45000", "Milliseconds that a member of the consumer protocol may be silent. Lower finds dead ones sooner, and takes slow ones for dead.").min(1).synonym("group.consumer.session.timeout.ms"),
    ConfigDef::new("errors.deadletterqueue.copy.record.enable", Boolean, "false", "Whether key, value and headers of a record that a share group gives up are written to its dead-letter topic; else only where it was (KIP-1191)."),
    ConfigDef::new("errors.deadletterqueue.topic.name", Text, "", "The topic for records that a share group gives up: rejected ones, and those delivered too often (KIP-1191). Empty writes them nowhere."),
];
