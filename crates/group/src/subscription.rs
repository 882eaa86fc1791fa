//! The topics in a consumer's subscription: all that the coordinator reads of what is the clients' own.
//!
//! ```text
//! i16 version   i32 count   { i16 length, name } * count   ... (later versions only append)
//! ```

use std::collections::BTreeSet;

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// Adds the topics of `metadata` to `topics`; none when it is not a consumer's subscription.
pub(crate) fn add_topics(metadata: &[u8], topics: &mut BTreeSet<String>) -> Option<()> {
    let (version, rest) = metadata.split_first_chunk::<2>()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = u32::try_from(i32::from_be_bytes(*count)).ok()?;
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, after) = after.split_at_checked(length)?;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
        rest = after;
    }
    Some(())
}

#[cfg(test)]
pub(crate) fn subscription(topics: &[&str]) -> bytes::Bytes {
    let mut out = vec![0, 1];
    out.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        out.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        out.extend(topic.as_bytes());
    }
    out.extend((-1i32).to_be_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = add_topics(&bytes, &mut BTreeSet::new());
        }
    }
}
