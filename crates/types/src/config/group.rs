//! The options of a single group under Kafka's names. A group that sets none has the broker's.

use super::ConfigDef;
use super::definition::ConfigType::{Boolean, Int, String as Text};

/// Every option of a group, sorted by name; the broker's option that gives it its default is its synonym.
pub const GROUP_CONFIGS: &[ConfigDef] = &[
    ConfigDef::new("consumer.heartbeat.interval.ms", Int, "5000", "Milliseconds between two heartbeats of a member of the consumer protocol. Lower sees changes sooner, and costs more requests.").min(1).synonym("group.consumer.heartbeat.interval.ms"),
    ConfigDef::new("consumer.session.timeout.ms", Int, "45000", "Milliseconds that a member of the consumer protocol may be silent. Lower finds dead ones sooner, and takes slow ones for dead.").min(1).synonym("group.consumer.session.timeout.ms"),
    ConfigDef::new("errors.deadletterqueue.copy.record.enable", Boolean, "false", "Whether key, value and headers of a record that a share group gives up are written to its dead-letter topic; else only where it was (KIP-1191)."),
    ConfigDef::new("errors.deadletterqueue.topic.name", Text, "", "The topic for records that a share group gives up: rejected ones, and those delivered too often (KIP-1191). Empty writes them nowhere."),
    ConfigDef::new("share.auto.offset.reset", Text, "latest", "Where a share group starts in a partition that it has not read: latest, earliest, or by_duration:<ISO 8601 duration> before now."),
    ConfigDef::new("share.delivery.count.limit", Int, "5", "How often a share group is given a record before it is given up. Higher tries longer.").min(2).synonym("group.share.delivery.count.limit"),
    ConfigDef::new("share.heartbeat.interval.ms", Int, "5000", "Milliseconds between two heartbeats of a member of a share group. Lower sees changes sooner, and costs more requests.").min(1).synonym("group.share.heartbeat.interval.ms"),
    ConfigDef::new("share.isolation.level", Text, "read_uncommitted", "Whether a share group is given records of open and aborted transactions: read_committed or read_uncommitted.").one_of(&["read_committed", "read_uncommitted"]),
    ConfigDef::new("share.partition.max.record.locks", Int, "2000", "Records of a partition that a share group may have in flight. Higher feeds more members, and takes more memory.").min(100).synonym("group.share.partition.max.record.locks"),
    ConfigDef::new("share.record.lock.duration.ms", Int, "30000", "Milliseconds that a member has a record to itself. Lower gives records of a dead member to others sooner.").min(1_000).synonym("group.share.record.lock.duration.ms"),
    ConfigDef::new("share.renew.acknowledge.enable", Boolean, "true", "Whether members of a share group may renew their locks."),
    ConfigDef::new("share.session.timeout.ms", Int, "45000", "Milliseconds that a member of a share group may be silent. Lower finds dead ones sooner, and takes slow ones for dead.").min(1).synonym("group.share.session.timeout.ms"),
];
