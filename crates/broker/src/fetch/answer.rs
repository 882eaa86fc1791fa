//! The answer to a fetch: header fields from what a pass found, and the records in their slots, still in their files.

use crate::fetch::pass::{Found, Target};
use crate::fetch::session::{Outcome, TopicKey};
use millstream_net::Part;
use millstream_partition::{AbortedTxn, Chunk, EpochEnd, Isolation};
use millstream_protocol::{
    AbortedTransaction, DivergingEpoch, Error, FetchAnswer, PartitionAnswer, Piece, ResponseError, StrBytes,
    TopicAnswer, encode_fetch,
};
use millstream_types::{Offset, PartitionIndex, TopicId};

/// An answer in the making.
pub(crate) struct Assembly {
    pub(crate) answer: FetchAnswer,
    /// By topic and partition of the answer.
    records: Vec<Vec<Vec<Chunk>>>,
    last: Option<TopicKey>,
    isolation: Isolation,
}

impl Assembly {
    pub(crate) const fn new(answer: FetchAnswer, isolation: Isolation) -> Self {
        Self { answer, records: Vec::new(), last: None, isolation }
    }

    /// Adds what was found in a partition.
    pub(crate) fn add(&mut self, target: &Target, found: Found) {
        let (topic, partition) = &target.key;
        if self.last.as_ref() != Some(topic) {
            self.answer.topics.push(topic_answer(topic));
            self.records.push(Vec::new());
            self.last = Some(topic.clone());
        }
        let (answer, chunks) = partition_answer(PartitionIndex(*partition), found, self.isolation);
        if let (Some(topic), Some(records)) = (self.answer.topics.last_mut(), self.records.last_mut()) {
            topic.partitions.push(answer);
            records.push(chunks);
        }
    }

    /// Adds a topic whose partitions have no records.
    pub(crate) fn add_empty(&mut self, topic: TopicAnswer) {
        self.records.push(topic.partitions.iter().map(|_| Vec::new()).collect());
        self.answer.topics.push(topic);
    }

    /// Bytes of records in it.
    pub(crate) fn records_len(&self) -> usize {
        self.answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.records_len).sum()
    }

    /// The frame, with the records where they are.
    pub(crate) fn encode(mut self, version: i16, correlation_id: i32) -> Result<Vec<Part>, Error> {
        let frame = encode_fetch(&self.answer, version, correlation_id)?;
        let mut parts = Vec::with_capacity(frame.pieces.len());
        for piece in frame.pieces {
            match piece {
                Piece::Bytes(bytes) => parts.push(Part::Bytes(bytes)),
                Piece::Payload { topic, partition } => {
                    let slot = self.records.get_mut(topic).and_then(|topic| topic.get_mut(partition));
                    parts.extend(
                        std::mem::take(slot.expect("one slot was made for each partition of the answer"))
                            .into_iter()
                            .map(part),
                    );
                }
            }
        }
        Ok(parts)
    }
}

fn aborted_transaction(txn: &AbortedTxn) -> AbortedTransaction {
    AbortedTransaction { producer: txn.producer, first_offset: txn.first_offset }
}

fn part(chunk: Chunk) -> Part {
    match chunk {
        Chunk::Bytes(bytes) => Part::Bytes(bytes),
        Chunk::File(range) => Part::File(range),
    }
}

fn topic_answer(topic: &TopicKey) -> TopicAnswer {
    let (name, id) = match topic {
        TopicKey::Id(id) => (StrBytes::default(), *id),
        TopicKey::Name(name) => (StrBytes::from_string(name.to_string()), TopicId::ZERO),
    };
    TopicAnswer { name, id, partitions: Vec::new() }
}

/// What of it a session compares with what it told before.
pub(crate) fn outcome(found: &Found) -> Outcome {
    match found {
        Found::Read(read) => Outcome {
            high_watermark: read.bounds.high_watermark,
            log_start: read.bounds.log_start,
            bytes: read.len,
            is_special: false,
        },
        Found::Diverges(_, bounds) => {
            Outcome { high_watermark: bounds.high_watermark, log_start: bounds.log_start, bytes: 0, is_special: true }
        }
        Found::Failed(_) => {
            Outcome { high_watermark: Offset::NONE, log_start: Offset::NONE, bytes: 0, is_special: true }
        }
    }
}

fn partition_answer(partition: PartitionIndex, found: Found, isolation: Isolation) -> (PartitionAnswer, Vec<Chunk>) {
    let (bounds, records, records_len, diverging, aborted) = match found {
        Found::Failed(failure) => {
            let empty = PartitionAnswer::empty(partition, failure.code.code());
            // As in Kafka: what was never read has a list that is empty, what could not be read has none.
            let is_unknown =
                matches!(failure.code, ResponseError::UnknownTopicOrPartition | ResponseError::UnknownTopicId);
            let aborted = is_unknown.then(Vec::new);
            return (PartitionAnswer { aborted_transactions: aborted, ..empty }, Vec::new());
        }
        Found::Read(read) => (read.bounds, read.records, read.len, None, read.aborted),
        Found::Diverges(EpochEnd { epoch, end_offset }, bounds) => {
            (bounds, Vec::new(), 0, Some(DivergingEpoch { epoch, end_offset }), Vec::new())
        }
    };
    let answer = PartitionAnswer {
        high_watermark: bounds.high_watermark,
        last_stable: bounds.last_stable,
        log_start: bounds.log_start,
        diverging_epoch: diverging,
        aborted_transactions: (isolation == Isolation::ReadCommitted)
            .then(|| aborted.iter().map(aborted_transaction).collect()),
        records_len,
        ..PartitionAnswer::empty(partition, 0)
    };
    (answer, records)
}
