//! The log as tasks, connectors and queries see it: topics by name, batches, committed offsets.

use crate::{Error, Producer};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_record::Columns;
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A topic as its users see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicView {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// Its options that differ from the defaults.
    pub configs: BTreeMap<String, String>,
}

impl TopicView {
    /// Its partitions, in order.
    pub fn topic_partitions(&self) -> impl Iterator<Item = TopicPartition> + use<> {
        let id = self.id;
        (0..self.partitions).map(move |index| TopicPartition::new(id, PartitionIndex(index)))
    }
}

/// What of a partition can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset there is.
    pub log_start: Offset,
    /// The offset after the last one that may be read: nothing of an open transaction.
    pub high_watermark: Offset,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
}

/// Batches read from one partition.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Whole record batches in Kafka's format v2, one after another, as stored; empty at the end of the partition. The first may
    /// begin before the offset that was asked for: `millstream_record` skips to it.
    pub batches: Vec<Bytes>,
    /// What of the partition can be read.
    pub bounds: Bounds,
}

/// How far a group has come in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: Offset,
    /// The epoch of the last record read, `NONE` when unknown.
    pub leader_epoch: LeaderEpoch,
    /// Free text kept beside it.
    pub metadata: String,
}

/// The log port. Errors: `NotFound` for what does not exist, `Invalid` for an offset out of range, `NotLeader`, `Unavailable` and
/// `Timeout` for what may work later.
#[async_trait]
pub trait Topics: Send + Sync + 'static {
    /// The topic of that name.
    fn topic(&self, name: &str) -> Option<TopicView>;

    /// Every topic, by name; internal ones too.
    fn topics(&self) -> Vec<TopicView>;

    /// Makes a topic. `Conflict` when the name is taken.
    async fn create(&self, name: &str, partitions: i32, configs: &BTreeMap<String, String>)
    -> Result<TopicView, Error>;

    /// What of a partition can be read now.
    async fn bounds(&self, partition: TopicPartition) -> Result<Bounds, Error>;

    /// Reads committed batches from `from`, of `max_bytes` at most but one batch at least. What was aborted is there without its records.
    async fn read(&self, partition: TopicPartition, from: Offset, max_bytes: usize) -> Result<Fetched, Error>;

    /// Returns when there is something at `from` or after it, or the partition has gone. Safe to drop.
    async fn readable(&self, partition: TopicPartition, from: Offset) -> Result<(), Error>;

    /// Appends records to one partition (acks=all) and returns the first one's offset.
    async fn append(&self, partition: TopicPartition, records: &Columns) -> Result<Offset, Error>;

    /// The first offset whose record's timestamp is at or after `time`; none when there is no such record.
    async fn offset_for_time(&self, partition: TopicPartition, time: TimestampMs) -> Result<Option<Offset>, Error>;

    /// Commits a group's offsets, as a consumer without members does, so that Kafka's own tools show them.
    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), Error>;

    /// Takes a transactional id over: its last holder is fenced, and a transaction that it left open is undone before this returns. One of
    /// this producer that stays open for longer than `timeout` is undone too.
    async fn producer(&self, id: &str, timeout: Duration) -> Result<Arc<dyn Producer>, Error>;

    /// Undoes the transaction that is open under an id, whose holder is fenced; nothing happens where none is.
    async fn abort(&self, id: &str) -> Result<(), Error>;

    /// A group's committed offsets of those partitions, in their order.
    async fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, Error>;

    /// Forgets a group and its offsets; nothing happens when there is none.
    async fn delete_group(&self, group: &str) -> Result<(), Error>;
}
