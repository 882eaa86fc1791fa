//! The names of objects. Stored: never renamed.

use millstream_types::{Offset, TopicId, TopicPartition};
use object_store::path::Path;
use uuid::Uuid;

/// What one object of a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Log,
    Index,
    TimeIndex,
    TxnIndex,
    Snapshot,
    Epochs,
    Chunks,
}

impl Kind {
    pub const fn text(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Index => "index",
            Self::TimeIndex => "timeindex",
            Self::TxnIndex => "txnindex",
            Self::Snapshot => "snapshot",
            Self::Epochs => "epochs",
            Self::Chunks => "chunks",
        }
    }
}

/// Where everything of topics of that name lies.
pub fn name_prefix(prefix: &Path, name: &str) -> Path {
    prefix.clone().join(name)
}

/// Where everything of a topic lies.
pub fn topic_prefix(prefix: &Path, name: &str, id: TopicId) -> Path {
    name_prefix(prefix, name).join(id.to_string())
}

/// Where a topic's own manifests lie.
pub fn topic_manifests(prefix: &Path, name: &str, id: TopicId) -> Path {
    topic_prefix(prefix, name, id).join("topic")
}

/// Where everything of a partition lies.
pub fn partition_prefix(prefix: &Path, name: &str, partition: TopicPartition) -> Path {
    topic_prefix(prefix, name, partition.topic).join(partition.partition.to_string())
}

/// Where a partition's manifests lie.
pub fn manifests(prefix: &Path, name: &str, partition: TopicPartition) -> Path {
    partition_prefix(prefix, name, partition).join("manifest")
}

/// Where a partition's segments lie.
pub fn segments(prefix: &Path, name: &str, partition: TopicPartition) -> Path {
    partition_prefix(prefix, name, partition).join("segments")
}

/// The manifest `number` in `folder`.
pub fn numbered(folder: &Path, number: u64) -> Path {
    folder.clone().join(format!("{number:020}.json"))
}

/// The number in a manifest's name; none for other objects.
pub fn number_of(object: &Path) -> Option<u64> {
    let digits = object.filename()?.strip_suffix(".json")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// One object of a segment, by its name within the partition.
pub fn segment_object(base: Offset, unique: Uuid, kind: Kind) -> String {
    format!("segments/{:020}-{}.{}", base.0, unique.simple(), kind.text())
}

/// The full name of what a manifest names relative to its partition.
pub fn within(partition: &Path, name: &str) -> Path {
    name.split('/').fold(partition.clone(), |path, part| path.join(part))
}

/// The topic id in a folder below a topic's name.
pub fn topic_id_of(folder: &Path) -> Option<TopicId> {
    folder.parts().next_back()?.as_ref().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::PartitionIndex;

    #[test]
    fn names_are_as_drawn() {
        let id = TopicPartition::new(TopicId(Uuid::from_u128(1)), PartitionIndex(3));
        let manifest = numbered(&manifests(&Path::from("a/b"), "orders.v1", id), 42);
        assert_eq!(manifest.as_ref(), "a/b/orders.v1/AAAAAAAAAAAAAAAAAAAAAQ/3/manifest/00000000000000000042.json");
        assert_eq!(number_of(&manifest), Some(42));
        assert_eq!(number_of(&Path::from("a/42.json")), None);
        let object = segment_object(Offset(7), Uuid::from_u128(2), Kind::TimeIndex);
        assert_eq!(object, "segments/00000000000000000007-00000000000000000000000000000002.timeindex");
        let partition = partition_prefix(&Path::default(), "t", id);
        assert_eq!(within(&partition, &object).as_ref(), format!("t/AAAAAAAAAAAAAAAAAAAAAQ/3/{object}"));
        assert_eq!(topic_id_of(&topic_prefix(&Path::default(), "t", id.topic)), Some(id.topic));
    }
}
