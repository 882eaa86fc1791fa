//! Identities. The topic id is the key everywhere inside; names live only at the edges.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $raw);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A partition's number within its topic, from 0.
    PartitionIndex(i32)
);
number_id!(
    /// A broker: Kafka's `node.id`.
    BrokerId(i32)
);
number_id!(
    /// An idempotent or transactional producer, given out in blocks by the controller.
    ProducerId(i64)
);

impl BrokerId {
    /// Kafka's "no broker" on the wire (a partition without a leader).
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    /// A batch that is not of an idempotent producer.
    pub const NONE: Self = Self(-1);
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Kafka's "no id" on the wire.
            pub const ZERO: Self = Self(Uuid::nil());
        }

        /// Kafka prints a UUID as 22 characters of URL-safe base64 without padding.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&kafka_base64(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidUuid;

            fn from_str(text: &str) -> Result<Self, InvalidUuid> {
                parse_kafka_base64(text).map(Self).ok_or_else(|| InvalidUuid(text.to_owned()))
            }
        }
    };
}

uuid_id!(
    /// A topic, for as long as it lives; a topic made again under the same name has another.
    TopicId
);
uuid_id!(
    /// A data folder, so that a node that lost its disk is not taken for what it was.
    DirectoryId
);
uuid_id!(
    /// A cluster, given when its metadata log is formed.
    ClusterId
);

/// A text that is not Kafka's form of a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a UUID in Kafka's form (22 characters of URL-safe base64)")]
pub struct InvalidUuid(String);

/// One partition of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition within it.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    #[must_use]
    pub const fn new(topic: TopicId, partition: PartitionIndex) -> Self {
        Self { topic, partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_LEN: usize = 22;

fn kafka_base64(id: Uuid) -> String {
    let bits = id.as_u128();
    // 22 digits of 6 bits hold 132 bits: the last digit carries the low 2 bits, shifted up by 4.
    let digit = |place: usize| match place {
        21 => (bits << 4) & 0x3f,
        _ => (bits >> (122 - 6 * place)) & 0x3f,
    };
    (0..TEXT_LEN).map(|place| char::from(ALPHABET[digit(place) as usize])).collect()
}

fn parse_kafka_base64(text: &str) -> Option<Uuid> {
    let digits: Vec<u128> = text
        .bytes()
        .map(|byte| ALPHABET.iter().position(|&letter| letter == byte).map(|at| at as u128))
        .collect::<Option<_>>()?;
    let (last, front) = digits.split_last()?;
    if digits.len() != TEXT_LEN || last & 0xf != 0 {
        return None;
    }
    let high = front.iter().fold(0u128, |bits, digit| (bits << 6) | digit);
    Some(Uuid::from_u128((high << 2) | (last >> 4)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn uuid_text_round_trips(bits: u128) {
            let id = TopicId(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse::<TopicId>(), Ok(id));
        }
    }

    #[test]
    fn text_is_kafkas() {
        // org.apache.kafka.common.Uuid.ONE_UUID and ZERO_UUID
        assert_eq!(TopicId(Uuid::from_u128(1)).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn text_of_another_length_is_refused() {
        assert!("AAAA".parse::<TopicId>().is_err());
        assert!("AAAAAAAAAAAAAAAAAAAAAAA".parse::<TopicId>().is_err());
        assert!("AAAAAAAAAAAAAAAAAAAAAB".parse::<TopicId>().is_err());
    }
}
