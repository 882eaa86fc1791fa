//! The stored manifests: of a partition (which segments, where, with which checksums) and of a topic (what to create it as).

use crate::error::Error;
use crate::layout::Kind;
use bytes::Bytes;
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The format of manifests that this version writes. Stored: a higher one is refused.
pub const FORMAT: u32 = 1;

/// An object of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name below the partition's.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// CRC-32C of all of it.
    pub crc32c: u32,
}

/// A segment in the object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Unique among all uploads.
    pub id: Uuid,
    /// Its first offset.
    pub base: Offset,
    /// The offset after its last.
    pub end: Offset,
    /// The largest timestamp in it; -1 where no record has one.
    pub max_timestamp: TimestampMs,
    /// Records in it.
    pub records: u64,
    /// The epoch of the leader that uploaded it.
    pub leader_epoch: LeaderEpoch,
    /// When it was uploaded.
    pub uploaded: TimestampMs,
    /// Its objects by kind: `log`, `chunks`, `index`, `timeindex`, `txnindex`, `epochs`, `snapshot`; other kinds are other representations.
    pub objects: BTreeMap<String, Object>,
}

impl Segment {
    /// Bytes of the log itself.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.get(Kind::Log.text()).map_or(0, |object| object.bytes)
    }

    pub(crate) fn object(&self, kind: Kind) -> Option<&Object> {
        self.objects.get(kind.text())
    }
}

/// What of a partition is in the object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format: [`FORMAT`].
    pub format: u32,
    /// Its number; the highest counts. 0: none was written yet.
    pub number: u64,
    /// Unique for each write, so that a writer knows its own.
    pub write_id: Uuid,
    /// The topic's name.
    pub topic: String,
    /// The topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The epoch of the leader that wrote it. A writer with a lower one is fenced.
    pub leader_epoch: LeaderEpoch,
    /// When it was written.
    pub written: TimestampMs,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// Where each leader epoch begins, as far as the segments go.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    /// The segments by base offset. They may overlap; they leave no gap but what compaction leaves.
    pub segments: Vec<Segment>,
}

impl Manifest {
    pub(crate) fn empty(topic: &str, partition: TopicPartition) -> Self {
        Self {
            format: FORMAT,
            number: 0,
            write_id: Uuid::nil(),
            topic: topic.to_owned(),
            topic_id: partition.topic,
            partition: partition.partition,
            leader_epoch: LeaderEpoch::NONE,
            written: TimestampMs::NONE,
            log_start: Offset::ZERO,
            epochs: Vec::new(),
            segments: Vec::new(),
        }
    }

    /// Which partition.
    #[must_use]
    pub const fn id(&self) -> TopicPartition {
        TopicPartition::new(self.topic_id, self.partition)
    }

    /// The offset after the last one here; none where there is no segment.
    #[must_use]
    pub fn end(&self) -> Option<Offset> {
        self.segments.last().map(|segment| segment.end)
    }

    /// The first offset that can be read from here; none where there is no segment.
    #[must_use]
    pub fn start(&self) -> Option<Offset> {
        self.segments.first().map(|segment| segment.base.max(self.log_start))
    }

    /// Bytes of all logs here.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(Segment::bytes).sum()
    }

    /// The epoch of the record at `offset`.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.iter().rev().find(|(_, start)| *start <= offset).map(|(epoch, _)| *epoch)
    }

    /// The place of the first segment that has `from` or what follows it.
    pub(crate) fn place_of(&self, from: Offset) -> usize {
        self.segments.partition_point(|segment| segment.end <= from)
    }

    pub(crate) fn encode(&self) -> Bytes {
        encode(self)
    }

    pub(crate) fn decode(object: &str, content: &[u8]) -> Result<Self, Error> {
        let manifest: Self = decode(object, content)?;
        let is_ordered =
            manifest.segments.windows(2).all(|pair| pair[0].base < pair[1].base && pair[0].end < pair[1].end);
        let is_whole = manifest.segments.iter().all(|segment| {
            segment.base < segment.end && segment.object(Kind::Log).is_some() && segment.object(Kind::Chunks).is_some()
        });
        if is_ordered && is_whole {
            Ok(manifest)
        } else {
            Err(Error::corrupt(object, "its segments are not in order, or lack their log or chunk index"))
        }
    }
}

/// What a topic is, so that it can be made again from the bucket alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TopicId,
    /// How many partitions.
    pub partitions: i32,
    /// The options that were set.
    pub configs: BTreeMap<String, String>,
}

/// A topic's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicManifest {
    pub format: u32,
    pub number: u64,
    pub written: TimestampMs,
    pub topic: TopicDescription,
}

impl TopicManifest {
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    pub fn decode(object: &str, content: &[u8]) -> Result<Self, Error> {
        decode(object, content)
    }
}

fn encode(value: &impl Serialize) -> Bytes {
    serde_json::to_vec_pretty(value).expect("manifests have text keys and no floats").into()
}

fn decode<T: serde::de::DeserializeOwned>(object: &str, content: &[u8]) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    // The format first: fields of a newer one may not parse.
    let version: Version =
        serde_json::from_slice(content).map_err(|error| Error::corrupt(object, error.to_string()))?;
    if version.format > FORMAT {
        return Err(Error::NewerFormat { object: object.to_owned(), found: version.format, known: FORMAT });
    }
    serde_json::from_slice(content).map_err(|error| Error::corrupt(object, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(base: i64, end: i64) -> Segment {
        let object = |kind: Kind| (kind.text().to_owned(), Object { name: kind.text().into(), bytes: 10, crc32c: 1 });
        Segment {
            id: Uuid::from_u128(9),
            base: Offset(base),
            end: Offset(end),
            max_timestamp: TimestampMs(5),
            records: 1,
            leader_epoch: LeaderEpoch(0),
            uploaded: TimestampMs(6),
            objects: [object(Kind::Log), object(Kind::Chunks)].into(),
        }
    }

    fn manifest(segments: Vec<Segment>) -> Manifest {
        let id = TopicPartition::new(TopicId(Uuid::from_u128(1)), PartitionIndex(0));
        Manifest { number: 3, segments, ..Manifest::empty("t", id) }
    }

    #[test]
    fn a_manifest_round_trips() {
        let manifest = manifest(vec![segment(0, 10), segment(10, 20)]);
        assert_eq!(Manifest::decode("m", &manifest.encode()).unwrap(), manifest);
    }

    #[test]
    fn a_newer_format_is_refused_in_words_whatever_else_it_has() {
        let error = Manifest::decode("m/42.json", br#"{"format": 2, "strange": true}"#).unwrap_err();
        assert_eq!(error.to_string(), "object m/42.json has format 2; this version knows up to 1; upgrade this node");
    }

    #[test]
    fn a_manifest_out_of_order_is_corrupt() {
        let error = Manifest::decode("m", &manifest(vec![segment(10, 20), segment(0, 10)]).encode()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(matches!(Manifest::decode("m", b"{").unwrap_err(), Error::Corrupt { .. }));
    }

    #[test]
    fn places_are_found_with_and_without_overlap() {
        let manifest = manifest(vec![segment(5, 10), segment(8, 20)]);
        let places: Vec<usize> =
            [0, 5, 9, 10, 19, 20].into_iter().map(|from| manifest.place_of(Offset(from))).collect();
        assert_eq!(places, [0, 0, 0, 1, 1, 2]);
    }
}
