//! The options of a broker under Kafka's names.

use super::ConfigDef;
use super::definition::ConfigType::{Boolean, Double, Int, Long};

/// The broker's own options, sorted by name. Those that give a topic option its default are that option's synonyms.
pub const BROKER_CONFIGS: &[ConfigDef] = &[
    ConfigDef::new("auto.create.topics.enable", Boolean, "true", "Whether a topic that a client names is made when it does not exist."),
    ConfigDef::new("connections.max.idle.ms", Long, "600000", "Milliseconds after which a silent connection is closed.").min(-1),
    ConfigDef::new("default.replication.factor", Int, "1", "Replicas of a topic whose maker names no number.").min(1),
    ConfigDef::new("fetch.max.bytes", Int, "57671680", "Bytes of the largest fetch response. Higher moves more in one request and takes more memory over TLS.").min(1024),
    ConfigDef::new("group.initial.rebalance.delay.ms", Int, "3000", "Milliseconds an empty group waits for more members. Higher makes fewer rebalances at start, and a later start.").min(0),
    ConfigDef::new("group.max.session.timeout.ms", Int, "1800000", "The longest session timeout a member may ask for, in milliseconds.").min(1),
    ConfigDef::new("group.max.size", Int, "2147483647", "Members a group may have.").min(1),
    ConfigDef::new("group.min.session.timeout.ms", Int, "6000", "The shortest session timeout a member may ask for, in milliseconds.").min(1),
    ConfigDef::new("log.cleaner.backoff.ms", Long, "15000", "Milliseconds between two looks for logs to compact.").min(0),
    ConfigDef::new("log.cleaner.dedupe.buffer.size", Long, "134217728", "Bytes of memory for the keys of a compaction, taken while it runs and as far as needed. More is compacted in one round.").min(1_048_576),
    ConfigDef::new("log.cleaner.enable", Boolean, "true", "Whether topics with cleanup.policy=compact are compacted. Without it they only grow."),
    ConfigDef::new("log.cleaner.io.buffer.load.factor", Double, "0.9", "The share of log.cleaner.dedupe.buffer.size that is filled. Higher takes more keys and more time for each.").min(0).max(1),
    ConfigDef::new("log.cleaner.io.buffer.size", Int, "524288", "Bytes of memory for reading and writing in compactions.").min(0),
    ConfigDef::new("log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308", "Bytes that compactions read and write in a second. Lower leaves more of the disk to clients.").min(1),
    ConfigDef::new("log.cleaner.threads", Int, "1", "Logs compacted at once.").min(0),
    ConfigDef::new("log.retention.hours", Int, "168", "Hours that records are kept where neither a topic nor log.retention.ms nor log.retention.minutes says; -1 is for ever.").min(-1),
    ConfigDef::new("log.retention.minutes", Int, "10080", "Minutes that records are kept where neither a topic nor log.retention.ms says; -1 is for ever.").min(-1),
    ConfigDef::new("log.roll.hours", Int, "168", "Hours after which a segment is closed where neither a topic nor log.roll.ms says.").min(1),
    ConfigDef::new("log.roll.jitter.hours", Int, "0", "Hours by which segments are closed earlier at random where neither a topic nor log.roll.jitter.ms says.").min(0),
    ConfigDef::new("max.incremental.fetch.session.cache.slots", Int, "1000", "Fetch sessions kept. More clients than this send whole fetch requests again.").min(0),
    ConfigDef::new("num.partitions", Int, "1", "Partitions of a topic whose maker names no number.").min(1),
    ConfigDef::new("offset.metadata.max.bytes", Int, "4096", "Bytes of the text a client may store beside a committed offset.").min(0),
    ConfigDef::new("offsets.retention.minutes", Int, "10080", "Minutes that an empty group's committed offsets are kept.").min(1),
    ConfigDef::new("offsets.topic.num.partitions", Int, "50", "Partitions of `__consumer_offsets`; fixed when the topic is made.").min(1),
    ConfigDef::new("socket.request.max.bytes", Int, "104857600", "Bytes of the largest request. A larger one closes its connection.").min(1),
    ConfigDef::new("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000", "Milliseconds between two looks for transactions past their timeout. Higher leaves them open longer.").min(1),
    ConfigDef::new("transaction.max.timeout.ms", Int, "900000", "The longest timeout a transactional producer may ask for, in milliseconds. Higher lets a lost producer hold up readers of committed records longer.").min(1),
    ConfigDef::new("transaction.state.log.num.partitions", Int, "50", "Partitions of `__transaction_state`; fixed when the topic is made.").min(1),
    ConfigDef::new("transactional.id.expiration.ms", Int, "604800000", "Milliseconds that a transactional id is kept that nobody uses.").min(1),
];
