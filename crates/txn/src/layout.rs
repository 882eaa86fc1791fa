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
use bytes::Bytes;
use millstream_record::{Malformed, StoredReader, StoredRecord, StoredWriter};
use millstream_types::{ProducerEpoch, ProducerId, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 1;
/// The version from which lengths are varints and tagged fields follow.
const FLEXIBLE: i16 = 1;
const PREVIOUS_PRODUCER_TAG: usize = 0;
const NEXT_PRODUCER_TAG: usize = 1;
const CLIENT_VERSION_TAG: usize = 2;

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
        read(key, value).map_err(|Malformed { field, why }| Error::CorruptRecord { field, why })
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
    let mut key = StoredWriter::plain(KEY_VERSION);
    key.string(id);
    let value = match transaction.map(value) {
        Some(written) => Some(written?),
        None => None,
    };
    Some(StoredRecord { key: key.finish()?, value })
}

fn value(transaction: &Transaction) -> Option<Bytes> {
    let mut out = StoredWriter::flexible(VALUE_VERSION);
    out.i64(transaction.producer.0);
    out.i16(transaction.epoch.0);
    out.i32(transaction.timeout_ms);
    out.i8(transaction.state.id());
    if transaction.state == TransactionState::Empty {
        out.null_array();
    } else {
        partitions(&mut out, &transaction.partitions);
    }
    out.i64(transaction.updated_at.0);
    out.i64(transaction.started_at.0);
    tags(&mut out, transaction);
    out.finish()
}

fn partitions(out: &mut StoredWriter, partitions: &BTreeSet<Partition>) {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for Partition { topic, index } in partitions {
        by_topic.entry(topic).or_default().push(*index);
    }
    out.each(by_topic.iter(), |out, (topic, indexes)| {
        out.string(topic);
        out.each(indexes.iter(), |out, index| out.i32(*index));
        out.tags(&[]);
    });
}

fn tags(out: &mut StoredWriter, transaction: &Transaction) {
    let Transaction { previous_producer, next_producer, version, .. } = transaction;
    let (previous, next) = (previous_producer.0.to_be_bytes(), next_producer.0.to_be_bytes());
    let level = version.level().to_be_bytes();
    let mut fields: Vec<(usize, &[u8])> = Vec::new();
    if *previous_producer != ProducerId::NONE {
        fields.push((PREVIOUS_PRODUCER_TAG, &previous));
    }
    if *next_producer != ProducerId::NONE {
        fields.push((NEXT_PRODUCER_TAG, &next));
    }
    if version.level() != 0 {
        fields.push((CLIENT_VERSION_TAG, &level));
    }
    out.tags(&fields);
}

fn read(key: &[u8], value: Option<&[u8]>) -> Result<Change, Malformed> {
    let mut key = StoredReader::plain(key);
    match key.i16("key version")? {
        KEY_VERSION => {
            let id = key.string("transactional id")?;
            Ok(Change::Transaction(id, value.map(read_value).transpose()?))
        }
        other => Ok(Change::Other(other)),
    }
}

fn read_value(value: &[u8]) -> Result<Transaction, Malformed> {
    let (mut value, _) = StoredReader::versioned(value, VALUE_VERSION, FLEXIBLE)?;
    let producer = ProducerId(value.i64("producer id")?);
    let epoch = ProducerEpoch(value.i16("producer epoch")?);
    let timeout_ms = value.i32("timeout")?;
    let state = TransactionState::of_id(value.i8("status")?);
    let state = state.ok_or(Malformed { field: "status", why: "no state has that number" })?;
    // Where no transaction was begun there are none, whatever is written there: Kafka passes over them too, and writes no such record.
    let written = read_partitions(&mut value)?;
    let partitions = if state == TransactionState::Empty { BTreeSet::new() } else { written };
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

fn read_partitions(value: &mut StoredReader<'_>) -> Result<BTreeSet<Partition>, Malformed> {
    let mut partitions = BTreeSet::new();
    for _ in 0..value.count_or_null("partitions")?.unwrap_or(0) {
        let topic = value.string("topic")?;
        for _ in 0..value.count_or_null("partition ids")?.unwrap_or(0) {
            partitions.insert(Partition { topic: topic.clone(), index: value.i32("partition id")? });
        }
        value.skip_tags()?;
    }
    Ok(partitions)
}

fn read_tags(value: &mut StoredReader<'_>, transaction: &mut Transaction) -> Result<(), Malformed> {
    value.each_tag(|tag, mut content| {
        match tag {
            PREVIOUS_PRODUCER_TAG => transaction.previous_producer = ProducerId(content.i64("previous producer id")?),
            NEXT_PRODUCER_TAG => transaction.next_producer = ProducerId(content.i64("next producer id")?),
            CLIENT_VERSION_TAG => transaction.version = Version::of_level(content.i16("client's version")?),
            _ => {}
        }
        Ok(())
    })
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
