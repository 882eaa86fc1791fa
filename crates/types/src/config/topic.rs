//! The options of a topic, and their typed form.

use super::definition::ConfigType::{Boolean, Double, Int, List, Long, String as Text};
use super::{ConfigDef, ConfigError};
use std::collections::BTreeMap;

const COMPRESSION: &[&str] = &["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"];

/// Every option of a topic, sorted by name.
pub const TOPIC_CONFIGS: &[ConfigDef] = &[
    ConfigDef::new(
        "cleanup.policy",
        List,
        "delete",
        "What happens to old segments: deleted by time and size, compacted by key, or both; nothing, where it is empty.",
    )
    .one_of(&["delete", "compact"])
    .or_nothing()
    .synonym("log.cleanup.policy"),
    ConfigDef::new(
        "compression.gzip.level",
        Int,
        "-1",
        "How hard gzip tries where compression.type is gzip and batches come in another codec: 1 to 9, or -1 for its default. Higher makes them smaller and takes more time.",
    )
    .min(1)
    .max(9)
    .or(-1)
    .synonym("compression.gzip.level"),
    ConfigDef::new(
        "compression.lz4.level",
        Int,
        "9",
        "Taken as Kafka takes it, from 1 to 17. LZ4 has one level here, that of Kafka's default: others change nothing.",
    )
    .min(1)
    .max(17)
    .synonym("compression.lz4.level"),
    ConfigDef::new(
        "compression.type",
        Text,
        "producer",
        "The codec batches are stored in; `producer` keeps each as it was sent. Another one costs a recompression.",
    )
    .one_of(COMPRESSION)
    .synonym("compression.type"),
    ConfigDef::new(
        "compression.zstd.level",
        Int,
        "3",
        "How hard zstd tries where compression.type is zstd and batches come in another codec. Higher makes them smaller and takes more time.",
    )
    .min(-131_072)
    .max(22)
    .synonym("compression.zstd.level"),
    ConfigDef::new(
        "delete.retention.ms",
        Long,
        "86400000",
        "Milliseconds a tombstone outlives compaction. Higher gives slow readers longer to see a delete.",
    )
    .min(0)
    .synonym("log.cleaner.delete.retention.ms"),
    ConfigDef::new(
        "errors.deadletterqueue.group.enable",
        Boolean,
        "false",
        "Whether groups may use the topic for records that they give up (KIP-1191).",
    ),
    ConfigDef::new(
        "file.delete.delay.ms",
        Long,
        "60000",
        "Milliseconds between taking a file out of the log and deleting it.",
    )
    .min(0)
    .synonym("log.segment.delete.delay.ms"),
    ConfigDef::new(
        "flush.messages",
        Long,
        "9223372036854775807",
        "Records after which the log is fsynced. 1 makes every acknowledgement survive a power cut.",
    )
    .min(1)
    .synonym("log.flush.interval.messages"),
    ConfigDef::new("flush.ms", Long, "9223372036854775807", "Milliseconds after which unsynced records are fsynced.")
        .min(0)
        .synonym("log.flush.interval.ms")
        .falls_back(),
    ConfigDef::new(
        "index.interval.bytes",
        Int,
        "4096",
        "Bytes of log between two index entries. Higher makes indexes smaller and reads start further from their goal.",
    )
    .min(0)
    .synonym("log.index.interval.bytes"),
    ConfigDef::new(
        "local.retention.bytes",
        Long,
        "-2",
        "Bytes kept on local disk of a topic with remote storage; -2 means retention.bytes.",
    )
    .min(-2)
    .synonym("log.local.retention.bytes"),
    ConfigDef::new(
        "local.retention.ms",
        Long,
        "-2",
        "Milliseconds kept on local disk of a topic with remote storage; -2 means retention.ms.",
    )
    .min(-2)
    .synonym("log.local.retention.ms"),
    ConfigDef::new(
        "max.compaction.lag.ms",
        Long,
        "9223372036854775807",
        "Milliseconds after which a record must be compacted.",
    )
    .min(1)
    .synonym("log.cleaner.max.compaction.lag.ms"),
    ConfigDef::new(
        "max.message.bytes",
        Int,
        "1048588",
        "Bytes of the largest batch accepted, after compression. Higher lets one batch take more memory and time.",
    )
    .min(0)
    .synonym("message.max.bytes"),
    ConfigDef::new(
        "message.timestamp.after.max.ms",
        Long,
        "3600000",
        "Milliseconds a record's timestamp may be ahead of the broker's clock.",
    )
    .min(0)
    .synonym("log.message.timestamp.after.max.ms"),
    ConfigDef::new(
        "message.timestamp.before.max.ms",
        Long,
        "9223372036854775807",
        "Milliseconds a record's timestamp may be behind the broker's clock.",
    )
    .min(0)
    .synonym("log.message.timestamp.before.max.ms"),
    ConfigDef::new(
        "message.timestamp.type",
        Text,
        "CreateTime",
        "Whose clock stamps records: the producer's or the broker's at append.",
    )
    .one_of(&["CreateTime", "LogAppendTime"])
    .synonym("log.message.timestamp.type"),
    ConfigDef::new(
        "min.cleanable.dirty.ratio",
        Double,
        "0.5",
        "Share of the log that must be dirty before it is compacted. Lower compacts more often.",
    )
    .min(0)
    .max(1)
    .synonym("log.cleaner.min.cleanable.ratio"),
    ConfigDef::new("min.compaction.lag.ms", Long, "0", "Milliseconds a record stays uncompacted at least.")
        .min(0)
        .synonym("log.cleaner.min.compaction.lag.ms"),
    ConfigDef::new(
        "min.insync.replicas",
        Int,
        "1",
        "In-sync replicas that acks=all needs. Higher loses less and refuses sooner.",
    )
    .min(1)
    .synonym("min.insync.replicas"),
    ConfigDef::new("preallocate", Boolean, "false", "Whether a segment's file is given its full size when it is made.")
        .synonym("log.preallocate"),
    ConfigDef::new(
        "remote.log.copy.disable",
        Boolean,
        "false",
        "Whether nothing more is copied to the object store; what is there is read on, until retention.* deletes it (KIP-950).",
    ),
    ConfigDef::new(
        "remote.log.delete.on.disable",
        Boolean,
        "false",
        "Whether remote.storage.enable may be set to false, by which what is in the object store is deleted (KIP-950).",
    ),
    ConfigDef::new(
        "remote.storage.enable",
        Boolean,
        "false",
        "Whether closed segments are copied to the object store.",
    ),
    ConfigDef::new("retention.bytes", Long, "-1", "Bytes of a partition that are kept; -1 is no limit.")
        .min(-1)
        .synonym("log.retention.bytes"),
    ConfigDef::new("retention.ms", Long, "604800000", "Milliseconds a record is kept; -1 is for ever.")
        .min(-1)
        .synonym("log.retention.ms")
        .coarser(&[("log.retention.minutes", 60_000), ("log.retention.hours", 3_600_000)]),
    ConfigDef::new(
        "segment.bytes",
        Int,
        "1073741824",
        "Bytes at which a segment is closed. Lower makes more files, and retention and offload finer.",
    )
    .min(14)
    .synonym("log.segment.bytes"),
    ConfigDef::new(
        "segment.index.bytes",
        Int,
        "10485760",
        "Bytes at which a segment's index is full, which closes the segment.",
    )
    .min(4)
    .synonym("log.index.size.max.bytes"),
    ConfigDef::new(
        "segment.jitter.ms",
        Long,
        "0",
        "Milliseconds by which segment.ms is shortened at random, so that segments do not close together.",
    )
    .min(0)
    .synonym("log.roll.jitter.ms")
    .coarser(&[("log.roll.jitter.hours", 3_600_000)]),
    ConfigDef::new(
        "segment.ms",
        Long,
        "604800000",
        "Milliseconds after which a segment is closed even if it is not full.",
    )
    .min(1)
    .synonym("log.roll.ms")
    .coarser(&[("log.roll.hours", 3_600_000)]),
    ConfigDef::new(
        "unclean.leader.election.enable",
        Boolean,
        "false",
        "Whether a replica that may lack records can be elected. True may lose acknowledged records.",
    )
    .synonym("unclean.leader.election.enable"),
];

/// The options of one topic, parsed: a topic's overrides over the defaults. Times are milliseconds, sizes bytes.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each field is the option of TOPIC_CONFIGS of that name, documented there")]
pub struct TopicConfig {
    pub compact: bool,
    pub delete: bool,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_type: String,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub index_interval_bytes: i32,
    pub local_retention_bytes: i64,
    pub local_retention_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub max_message_bytes: i32,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    pub remote_log_copy_disable: bool,
    pub remote_log_delete_on_disable: bool,
    pub remote_storage_enable: bool,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election_enable: bool,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self::parse(&BTreeMap::new()).expect("every default passes its own check: a test walks them")
    }
}

impl TopicConfig {
    /// The definition of the option `name`.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`].
    pub fn definition(name: &str) -> Result<&'static ConfigDef, ConfigError> {
        TOPIC_CONFIGS.iter().find(|def| def.name == name).ok_or_else(|| ConfigError::Unknown { name: name.to_owned() })
    }

    /// Reads a topic's overrides, over the defaults.
    ///
    /// # Errors
    /// The first unknown name or bad value.
    pub fn parse(overrides: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        for (name, value) in overrides {
            Self::definition(name)?.check(value)?;
        }
        let values = Values(overrides);
        Ok(Self {
            compact: values.text("cleanup.policy")?.split(',').any(|policy| policy.trim() == "compact"),
            delete: values.text("cleanup.policy")?.split(',').any(|policy| policy.trim() == "delete"),
            compression_gzip_level: values.parsed("compression.gzip.level")?,
            compression_lz4_level: values.parsed("compression.lz4.level")?,
            compression_type: values.text("compression.type")?.to_owned(),
            compression_zstd_level: values.parsed("compression.zstd.level")?,
            delete_retention_ms: values.parsed("delete.retention.ms")?,
            file_delete_delay_ms: values.parsed("file.delete.delay.ms")?,
            flush_messages: values.parsed("flush.messages")?,
            flush_ms: values.parsed("flush.ms")?,
            index_interval_bytes: values.parsed("index.interval.bytes")?,
            local_retention_bytes: values.parsed("local.retention.bytes")?,
            local_retention_ms: values.parsed("local.retention.ms")?,
            max_compaction_lag_ms: values.parsed("max.compaction.lag.ms")?,
            max_message_bytes: values.parsed("max.message.bytes")?,
            message_timestamp_after_max_ms: values.parsed("message.timestamp.after.max.ms")?,
            message_timestamp_before_max_ms: values.parsed("message.timestamp.before.max.ms")?,
            log_append_time: values.text("message.timestamp.type")? == "LogAppendTime",
            min_cleanable_dirty_ratio: values.parsed("min.cleanable.dirty.ratio")?,
            min_compaction_lag_ms: values.parsed("min.compaction.lag.ms")?,
            min_insync_replicas: values.parsed("min.insync.replicas")?,
            preallocate: values.parsed("preallocate")?,
            remote_log_copy_disable: values.parsed("remote.log.copy.disable")?,
            remote_log_delete_on_disable: values.parsed("remote.log.delete.on.disable")?,
            remote_storage_enable: values.parsed("remote.storage.enable")?,
            retention_bytes: values.parsed("retention.bytes")?,
            retention_ms: values.parsed("retention.ms")?,
            segment_bytes: values.parsed("segment.bytes")?,
            segment_index_bytes: values.parsed("segment.index.bytes")?,
            segment_jitter_ms: values.parsed("segment.jitter.ms")?,
            segment_ms: values.parsed("segment.ms")?,
            unclean_leader_election_enable: values.parsed("unclean.leader.election.enable")?,
        })
    }
}

struct Values<'a>(&'a BTreeMap<String, String>);

impl Values<'_> {
    fn text(&self, name: &str) -> Result<&str, ConfigError> {
        let def = TopicConfig::definition(name)?;
        Ok(self.0.get(name).map_or(def.default, String::as_str).trim())
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<T, ConfigError> {
        let value = self.text(name)?;
        let def = TopicConfig::definition(name)?;
        value.parse().map_err(|_| ConfigError::Value {
            name: def.name,
            value: value.to_owned(),
            expected: format!("{:?}", def.kind),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for def in TOPIC_CONFIGS {
            assert_eq!(def.check(def.default), Ok(()), "{}", def.name);
        }
        assert_eq!(TopicConfig::default().retention_ms, 604_800_000);
    }

    #[test]
    fn names_are_sorted() {
        assert!(TOPIC_CONFIGS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn an_unknown_name_is_named() {
        let overrides = BTreeMap::from([("retention".to_owned(), "1".to_owned())]);
        assert_eq!(TopicConfig::parse(&overrides), Err(ConfigError::Unknown { name: "retention".into() }));
    }

    #[test]
    fn a_value_out_of_range_says_what_was_expected() {
        let overrides = BTreeMap::from([("segment.bytes".to_owned(), "3".to_owned())]);
        let error = TopicConfig::parse(&overrides).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value \"3\" for segment.bytes: expected an integer from 14 to 2147483647"
        );
    }

    #[test]
    fn levels_have_kafkas_ranges() {
        for (name, taken, refused) in [
            ("compression.gzip.level", ["-1", "1", "9"], ["0", "10", "-2"]),
            ("compression.lz4.level", ["1", "9", "17"], ["0", "18", "-1"]),
            ("compression.zstd.level", ["-131072", "0", "22"], ["-131073", "23", "x"]),
        ] {
            let check = |level: &str| TopicConfig::definition(name).unwrap().check(level);
            assert!(taken.iter().all(|level| check(level).is_ok()), "{name}");
            assert!(refused.iter().all(|level| check(level).is_err()), "{name}");
        }
    }

    #[test]
    fn both_policies_may_be_named_or_none() {
        let policies = |value: &str| {
            let overrides = BTreeMap::from([("cleanup.policy".to_owned(), value.to_owned())]);
            TopicConfig::parse(&overrides).map(|config| (config.compact, config.delete))
        };
        assert_eq!(policies("compact, delete"), Ok((true, true)));
        assert_eq!(policies(""), Ok((false, false)));
        assert!(policies("compact,").is_err());
    }
}
