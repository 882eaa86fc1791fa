//! Which partition of the offsets topic holds a group, as every Kafka client and tool computes it.

use millstream_types::PartitionIndex;

/// The topic that holds groups and their offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The topic that holds transactions.
pub const TRANSACTIONS_TOPIC: &str = "__transaction_state";
/// The topic that holds the state of share partitions.
pub const SHARE_STATE_TOPIC: &str = "__share_group_state";

/// Java's `String.hashCode`: over UTF-16 units.
#[must_use]
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of `group` among `partitions`: by the absolute value of its hash, which is 0 for the one number that has none (Kafka's
/// `Utils.abs`).
pub(crate) fn partition_of(group: &str, partitions: i32) -> PartitionIndex {
    PartitionIndex(java_string_hash(group).checked_abs().unwrap_or(0) % partitions.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        // From java.lang.String.hashCode itself.
        for (text, hash) in
            [("", 0), ("a", 97), ("console-consumer-1", 35_782_224), ("größe", 98_762_257), ("\u{1F980}", 1_772_802)]
        {
            assert_eq!(java_string_hash(text), hash, "{text}");
        }
    }

    #[test]
    fn a_negative_hash_has_a_partition() {
        assert!(java_string_hash("polygenelubricants") < 0);
        assert_eq!(partition_of("polygenelubricants", 50), PartitionIndex(0));
    }

    #[test]
    fn partitions_are_kafkas() {
        // As GroupCoordinatorService.partitionFor of Kafka 4.3 has them: two with a negative hash, two without.
        for (group, partition) in [("orders", 31), ("my-group", 12), ("payments", 13), ("g1", 42)] {
            assert_eq!(partition_of(group, 50), PartitionIndex(partition), "{group}");
        }
    }
}
