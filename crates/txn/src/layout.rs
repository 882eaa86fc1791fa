//! The records of `__transaction_state`, byte for byte as Kafka 4.3 with `transaction.version=2` writes them. Stored: never renumber.
//!
//! ```text
//! key    i16 0   transactionalId: i16 length, UTF-8
//! value  i16 1   producerId i64 | producerEpoch i16 | timeoutMs i32 | status i8
//!                | partitions: null while empty, else by topic: (topic, [partition i32], no tags)
//!                | lastUpdate i64 | start i64 | tags: 0 previous producer id i64, 1 next producer id i64, 2 client's version i16
//! value  i16 0   the same without tags, lengths i16 and i32
//! ```
//!
//! Lengths of version 1 are varints of length + 1, 0 for null.

use crate::Error;
use crate::marker::Version;
use crate::state::TransactionState;
use crate::transaction::{Partition, Transaction};
use bytes::{BufMut, Bytes};
use millstream_types::{ProducerEpoch, ProducerId, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 1;
const PREVIOUS_PRODUCER_TAG: usize = 0;
const NEXT_PRODUCER_TAG: usize = 1;
const CLIENT_VERSION_TAG: usize = 2;

/// One record of the topic; no value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its key.
    pub key: Bytes,
    /// Its value.
    pub value: Option<Bytes>,
}

/// One change to what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A transactional id has this state; none where it has expired.
    Transaction(String, Option<Transaction>),
    /// A key of another kind, of the given version: not ours to read.
    Other(i16),
}

impl Change {
    /// Reads a record.
    ///
    /// # Errors
    /// `CorruptRecord` with the field at which it can't be read.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, Error> {
        let mut key = Reader { rest: key, flexible: false };
        match key.i16("key version")? {
            KEY_VERSION => {
                let id = key.string("transactional id")?;
                Ok(Self::Transaction(id, value.map(read_value).transpose()?))
            }
            other => Ok(Self::Other(other)),
        }
    }

    /// The record of this change; none for [`Change::Other`], or when the id is longer than Kafka's layout can hold.
    #[must_use]
    pub fn encode(&self) -> Option<StoredRecord> {
        match self {
            Self::Transaction(id, transaction) => encode(id, transaction.as_ref()),
            Self::Other(_) => None,
        }
    }
}

/// The record of a transactional id; none when its name is longer than Kafka's layout can hold.
#[must_use]
pub(crate) fn encode(id: &str, transaction: Option<&Transaction>) -> Option<StoredRecord> {
    let mut key = Vec::with_capacity(id.len() + 4);
    key.put_i16(KEY_VERSION);
    key.put_i16(i16::try_from(id.len()).ok()?);
    key.put_slice(id.as_bytes());
    Some(StoredRecord { key: key.into(), value: transaction.map(value) })
}

fn value(transaction: &Transaction) -> Bytes {
    let mut out = Vec::with_capacity(64 + transaction.partitions.len() * 8);
    out.put_i16(VALUE_VERSION);
    out.put_i64(transaction.producer.0);
    out.put_i16(transaction.epoch.0);
    out.put_i32(transaction.timeout_ms);
    out.put_i8(transaction.state.id());
    if transaction.state == TransactionState::Empty {
        varint(&mut out, 0);
    } else {
        partitions(&mut out, &transaction.partitions);
    }
    out.put_i64(transaction.updated_at.0);
    out.put_i64(transaction.started_at.0);
    tags(&mut out, transaction);
    out.into()
}

fn partitions(out: &mut Vec<u8>, partitions: &BTreeSet<Partition>) {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for Partition { topic, index } in partitions {
        by_topic.entry(topic).or_default().push(*index);
    }
    varint(out, by_topic.len() + 1);
    for (topic, indexes) in by_topic {
        varint(out, topic.len() + 1);
        out.put_slice(topic.as_bytes());
        varint(out, indexes.len() + 1);
        indexes.into_iter().for_each(|index| out.put_i32(index));
        varint(out, 0);
    }
}

fn tags(out: &mut Vec<u8>, transaction: &Transaction) {
    let Transaction { previous_producer, next_producer, version, .. } = transaction;
    let producers = [(PREVIOUS_PRODUCER_TAG, previous_producer), (NEXT_PRODUCER_TAG, next_producer)];
    let producers = producers.into_iter().filter(|(_, producer)| **producer != ProducerId::NONE);
    varint(out, producers.clone().count() + usize::from(version.level() != 0));
    for (tag, producer) in producers {
        varint(out, tag);
        varint(out, size_of::<i64>());
        out.put_i64(producer.0);
    }
    if version.level() != 0 {
        varint(out, CLIENT_VERSION_TAG);
        varint(out, size_of::<i16>());
        out.put_i16(version.level());
    }
}

fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

fn read_value(value: &[u8]) -> Result<Transaction, Error> {
    let mut value = Reader { rest: value, flexible: false };
    let version = value.i16("value version")?;
    if !(0..=VALUE_VERSION).contains(&version) {
        return Err(corrupt("value version", "it is newer than this Millstream knows: start a newer one"));
    }
    value.flexible = version >= 1;
    let producer = ProducerId(value.i64("producer id")?);
    let epoch = ProducerEpoch(value.i16("producer epoch")?);
    let timeout_ms = value.i32("timeout")?;
    let state = i8::from_be_bytes(value.array("status")?);
    let state = TransactionState::of_id(state).ok_or_else(|| corrupt("status", "no state has that number"))?;
    let partitions = read_partitions(&mut value)?;
    let updated_at = TimestampMs(value.i64("last update")?);
    let started_at = TimestampMs(value.i64("start")?);
    let mut transaction = Transaction {
        producer,
        previous_producer: ProducerId::NONE,
        next_producer: ProducerId::NONE,
        epoch,
        last_epoch: ProducerEpoch::NONE,
        timeout_ms,
        state,
        partitions,
        started_at,
        updated_at,
        version: Version::Classic,
    };
    read_tags(&mut value, &mut transaction)?;
    Ok(transaction)
}

fn read_partitions(value: &mut Reader<'_>) -> Result<BTreeSet<Partition>, Error> {
    let mut partitions = BTreeSet::new();
    for _ in 0..value.length(true, "partitions")?.unwrap_or(0) {
        let topic = value.string("topic")?;
        for _ in 0..value.length(true, "partition ids")?.unwrap_or(0) {
            partitions.insert(Partition { topic: topic.clone(), index: value.i32("partition id")? });
        }
        value.each_tag(|_, _| Ok(()))?;
    }
    Ok(partitions)
}

fn read_tags(value: &mut Reader<'_>, transaction: &mut Transaction) -> Result<(), Error> {
    value.each_tag(|tag, content| {
        let mut content = Reader { rest: content, flexible: true };
        match tag {
            PREVIOUS_PRODUCER_TAG => transaction.previous_producer = ProducerId(content.i64("previous producer id")?),
            NEXT_PRODUCER_TAG => transaction.next_producer = ProducerId(content.i64("next producer id")?),
            CLIENT_VERSION_TAG => transaction.version = Version::of_level(content.i16("client's version")?),
            _ => {}
        }
        Ok(())
    })
}

const fn corrupt(field: &'static str, why: &'static str) -> Error {
    Error::CorruptRecord { field, why }
}

/// What is left to read of one key or value. Never trusts a length.
struct Reader<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize, field: &'static str) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(corrupt(field, "the record ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(corrupt(field, "the record ends early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn i16(&mut self, field: &'static str) -> Result<i16, Error> {
        Ok(i16::from_be_bytes(self.array(field)?))
    }

    fn i32(&mut self, field: &'static str) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    fn i64(&mut self, field: &'static str) -> Result<i64, Error> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    fn varint(&mut self, field: &'static str) -> Result<usize, Error> {
        let mut number = 0usize;
        for shift in (0..35).step_by(7) {
            let byte = self.array::<1>(field)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(corrupt(field, "a number has more than 5 bytes"))
    }

    /// A length or count; none is null.
    fn length(&mut self, wide: bool, field: &'static str) -> Result<Option<usize>, Error> {
        if self.flexible {
            return Ok(self.varint(field)?.checked_sub(1));
        }
        let length = if wide { self.i32(field)? } else { i32::from(self.i16(field)?) };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| corrupt(field, "a length is negative")),
        }
    }

    fn string(&mut self, field: &'static str) -> Result<String, Error> {
        let length = self.length(false, field)?.ok_or(corrupt(field, "it is null"))?;
        let text = std::str::from_utf8(self.take(length, field)?).map_err(|_| corrupt(field, "it is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn each_tag(&mut self, mut see: impl FnMut(usize, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint("tagged fields")? {
            let (tag, size) = (self.varint("tag")?, self.varint("tag size")?);
            see(tag, self.take(size, "tagged field")?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
