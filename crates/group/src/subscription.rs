//! What consumers say to each other in the classic protocol (Kafka's ConsumerProtocolSubscription and ConsumerProtocolAssignment): read where
//! the coordinator has to know, and written where it assigns in their stead. Later versions only append.
//!
//! ```text
//! subscription  i16 version | [topic] | user data | 1: owned [(topic, [partition])] | 2: generation i32 | 3: rack
//! assignment    i16 version | [(topic, [partition])] | user data
//! ```

use bytes::Bytes;
use millstream_record::{Malformed, StoredReader, StoredWriter};
use std::collections::{BTreeMap, BTreeSet};

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";
/// The newest version that is known of both.
const NEWEST: i16 = 3;

/// Partitions by the topics' names.
pub type Named = BTreeMap<String, BTreeSet<i32>>;

/// What a consumer subscribes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The version, or the newest that is known where it is newer.
    pub version: i16,
    /// The topics, by name.
    pub topics: BTreeSet<String>,
    /// The partitions that it has; empty where its version does not say.
    pub owned: Named,
    /// Where it runs, if it says so.
    pub rack: Option<String>,
}

impl Subscription {
    /// Reads one.
    ///
    /// # Errors
    /// Where the bytes end early, a count or the version is negative, or a name is no text.
    pub fn read(metadata: &[u8]) -> Result<Self, Malformed> {
        let (mut reader, version, topics) = begin(metadata)?;
        skip_user_data(&mut reader)?;
        let owned = if version >= 1 { named(&mut reader)? } else { Named::new() };
        if version >= 2 {
            reader.i32("generation")?;
        }
        let rack = if version >= 3 { reader.nullable("rack")? } else { None };
        Ok(Self { version, topics, owned, rack })
    }
}

/// The version, and the topics, in front of a subscription.
fn begin(metadata: &[u8]) -> Result<(StoredReader<'_>, i16, BTreeSet<String>), Malformed> {
    let mut reader = StoredReader::plain(metadata);
    let version = reader.i16("version")?;
    if version < 0 {
        return Err(Malformed { field: "version", why: "it is negative" });
    }
    let topics = reader.each("topics", |reader| reader.string("topic"))?;
    Ok((reader, version.min(NEWEST), topics.into_iter().collect()))
}

/// Whether there was any.
fn skip_user_data(reader: &mut StoredReader<'_>) -> Result<bool, Malformed> {
    let size = reader.count_or_null("user data")?.unwrap_or(0);
    reader.take(size, "user data")?;
    Ok(size > 0)
}

fn named(reader: &mut StoredReader<'_>) -> Result<Named, Malformed> {
    let topics = reader.each("partitions", |reader| {
        let topic = reader.string("topic")?;
        let partitions = reader.each("partitions of a topic", |reader| reader.i32("partition"))?;
        Ok((topic, partitions.into_iter().collect()))
    })?;
    Ok(topics.into_iter().collect())
}

/// Adds the topics of `metadata` to `topics`; none when it is not a consumer's subscription.
pub fn add_topics(metadata: &[u8], topics: &mut BTreeSet<String>) -> Option<()> {
    let (_, _, read) = begin(metadata).ok()?;
    topics.extend(read);
    Some(())
}

/// The partitions of an assignment, and whether there is data of the assignor's own beside them. An empty one has none.
///
/// # Errors
/// As [`Subscription::read`].
pub fn read_assignment(assignment: &[u8]) -> Result<(Named, bool), Malformed> {
    if assignment.is_empty() {
        return Ok((Named::new(), false));
    }
    let mut reader = StoredReader::plain(assignment);
    reader.i16("version")?;
    let partitions = named(&mut reader)?;
    let has_user_data = skip_user_data(&mut reader)?;
    Ok((partitions, has_user_data))
}

/// An assignment in the version that the member's subscription has; none where a name is longer than the layout can hold.
#[must_use]
pub fn write_assignment(version: i16, partitions: &Named) -> Option<Bytes> {
    let mut out = StoredWriter::plain(version);
    out.each(partitions.iter(), |out, (topic, partitions)| {
        out.string(topic);
        out.each(partitions.iter(), |out, partition| out.i32(*partition));
    });
    out.null_array();
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subscription(topics: &[&str]) -> Vec<u8> {
        let mut out = vec![0, 1];
        out.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
        for topic in topics {
            out.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
            out.extend(topic.as_bytes());
        }
        out.extend((-1i32).to_be_bytes());
        out
    }

    #[test]
    fn topics_are_read_and_what_follows_is_not() {
        let mut topics = BTreeSet::new();
        assert_eq!(add_topics(&subscription(&["a", "bc"]), &mut topics), Some(()));
        assert_eq!(topics.into_iter().collect::<Vec<_>>(), ["a", "bc"]);
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused() {
        assert_eq!(add_topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff], &mut BTreeSet::new()), None);
        assert_eq!(add_topics(&[0, 0, 0xff, 0xff, 0xff, 0xff], &mut BTreeSet::new()), None);
    }

    #[test]
    fn what_a_newer_consumer_owns_is_read() {
        let mut bytes = subscription(&["a"]);
        bytes[1] = 3;
        // owned: "a" with partitions 0 and 2; generation 7; rack "r"
        bytes.extend([0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 0, 1, b'r']);
        let read = Subscription::read(&bytes).unwrap();
        assert_eq!(read.owned["a"], [0, 2].into_iter().collect());
        assert_eq!((read.version, read.rack.as_deref()), (3, Some("r")));
    }

    #[test]
    fn an_assignment_is_read_back() {
        let partitions: Named = [("a".to_owned(), [0, 5].into_iter().collect())].into_iter().collect();
        let written = write_assignment(1, &partitions).unwrap();
        assert_eq!(read_assignment(&written).unwrap(), (partitions, false));
        assert_eq!(read_assignment(&[]).unwrap(), (Named::new(), false));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = add_topics(&bytes, &mut BTreeSet::new());
            let _ = Subscription::read(&bytes);
            let _ = read_assignment(&bytes);
        }
    }
}
