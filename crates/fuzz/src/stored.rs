//! Any bytes as records of the internal topics and of the metadata log: read or refused, and what is read is written as something that reads
//! the same.
//!
//! ```text
//! input = which u8 | bytes of the key u8 | key | value        metadata: which u8 | records
//! ```

use crate::input::{Input, piece};
use millstream_group::Change;
use millstream_group::share::StateChange;
use millstream_metadata as metadata;
use millstream_record::StoredRecord;
use millstream_txn::{
    Change as TransactionChange, Identity, Marker, Partition, Transaction, TransactionState, Version,
};
use millstream_types::{ProducerEpoch, ProducerId, TimestampMs};
use std::fmt::Debug;

const GROUPS: u8 = 0;
const SHARES: u8 = 1;
const TRANSACTIONS: u8 = 2;
const METADATA: u8 = 3;
const MARKERS: u8 = 4;
const KINDS: usize = 5;

const AT: TimestampMs = TimestampMs(0);

/// Tries these bytes.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let kind = input.byte() % KINDS;
    if kind == usize::from(METADATA) {
        if let Ok(records) = metadata::decode(input.0) {
            assert_eq!(metadata::decode(&metadata::encode(&records)).as_ref(), Ok(&records));
        }
        return;
    }
    let (key, value) = (input.piece(), input.0);
    for value in [None, Some(value)] {
        match u8::try_from(kind).unwrap_or(GROUPS) {
            GROUPS => again(key, value, |key, value| Change::decode(key, value, AT).ok(), Change::encode),
            SHARES => again(key, value, |key, value| StateChange::decode(key, value, AT).ok(), StateChange::encode),
            TRANSACTIONS => {
                again(key, value, |key, value| TransactionChange::decode(key, value).ok(), TransactionChange::encode);
            }
            _ => marker(key, value.unwrap_or_default()),
        }
    }
}

fn again<T: Debug + PartialEq>(
    key: &[u8],
    value: Option<&[u8]>,
    decode: impl Fn(&[u8], Option<&[u8]>) -> Option<T>,
    encode: impl Fn(&T) -> Option<StoredRecord>,
) {
    let Some(change) = decode(key, value) else { return };
    let Some(written) = encode(&change) else { return };
    assert_eq!(
        decode(&written.key, written.value.as_deref()),
        Some(change),
        "it says the same when it is written again"
    );
}

fn marker(key: &[u8], value: &[u8]) {
    let Identity { producer, epoch } = Identity::NONE;
    if let Some(marker) = Marker::read(producer, epoch, key, value) {
        assert_eq!(Marker::read(producer, epoch, &marker.key(), &marker.value()), Some(marker));
    }
}

/// What Kafka's own classes wrote, and records of ours where there is nothing of that.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let golden: [(u8, &[u8]); 2] = [
        (GROUPS, include_bytes!("../../group/golden/records.bin")),
        (SHARES, include_bytes!("../../group/golden/share_states.bin")),
    ];
    let stored = golden.into_iter().flat_map(|(kind, file)| {
        let mut rest = file;
        std::iter::from_fn(move || {
            let key = field(&mut rest)?.unwrap_or_default();
            let value = field(&mut rest)?.unwrap_or_default();
            Some(input(kind, key, value))
        })
    });
    let transactions = transactions().into_iter().filter_map(|change| change.encode());
    let transactions =
        transactions.map(|record| input(TRANSACTIONS, &record.key, record.value.as_deref().unwrap_or(&[])));
    let metadata = METADATA_TEXTS.iter().map(|text| [&[METADATA], text.as_bytes()].concat());
    // Partitions of a transaction that was not begun: they were read, and not written again.
    let broke = include_bytes!("../kept/stored-partitions-of-an-empty-transaction").to_vec();
    let marker = input(MARKERS, &[0, 0, 0, 1], &[0, 0, 0, 0, 0, 9]);
    stored.chain(transactions).chain(metadata).chain([marker, broke]).collect()
}

fn input(kind: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
    [&[kind], &piece(key)[..], value].concat()
}

/// The next field of a golden file: its length, -1 for null, and its bytes.
fn field<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Some(None) };
    let (bytes, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(Some(bytes))
}

fn transactions() -> Vec<TransactionChange> {
    let states = [TransactionState::Empty, TransactionState::Ongoing, TransactionState::PrepareCommit];
    let mut changes: Vec<TransactionChange> = states
        .into_iter()
        .map(|state| {
            let partitions =
                [("a", 0), ("a", 1), ("b", 7)].map(|(topic, index)| Partition { topic: topic.into(), index });
            let transaction = Transaction {
                producer: ProducerId(7),
                previous_producer: ProducerId(6),
                next_producer: ProducerId::NONE,
                epoch: ProducerEpoch(3),
                last_epoch: ProducerEpoch::NONE,
                timeout_ms: 60_000,
                state,
                partitions: if state == TransactionState::Empty { [].into() } else { partitions.into() },
                started_at: TimestampMs(1_000),
                updated_at: TimestampMs(2_000),
                version: Version::Bumping,
            };
            TransactionChange::Transaction("id".into(), Some(transaction))
        })
        .collect();
    changes.push(TransactionChange::Transaction("id".into(), None));
    changes
}

const METADATA_TEXTS: [&str; 5] = [
    r#"[{"topic.1":{"id":"00000000-0000-0000-0000-000000000001","name":"t"}}]"#,
    r#"[{"partition.1":{"topic":"00000000-0000-0000-0000-000000000001","partition":0,"leader":1,"leader_epoch":2,"partition_epoch":3,"replicas":[1],"isr":[1]}}]"#,
    r#"[{"fence-broker.1":{"broker":1,"epoch":7}}]"#,
    r#"[{"producer-id-block.1":{"broker":1,"next":1000}}]"#,
    r#"[{"schema.1":{"subject":"s","version":1,"id":2,"schema_type":"AVRO","text":"\"int\""}}]"#,
];
