//! Appends what tasks write: by key over the output's partitions, in bounded pieces, until the log has it or refuses it for good.

use crate::context::{Backoff, Context, Halt};
use crate::ledger::{Ends, ends};
use crate::partitioner::{self, Piece, Placement};
use crate::status::Progress;
use crate::transaction::Transaction;
use crate::{Error, State, TopicView};
use futures::future::try_join_all;
use millstream_record::Columns;
use millstream_runtime::Shutdown;
use millstream_types::{ErrorKind, PartitionIndex, TopicPartition};
use std::collections::BTreeMap;

/// Writes for one task.
pub(crate) struct Writer<'a> {
    pub context: &'a Context,
    pub progress: &'a Progress,
    pub shutdown: &'a Shutdown,
    /// What it writes in; none where every append counts at once.
    pub transaction: Option<&'a Transaction>,
}

/// What is to be written to one topic.
pub(crate) struct Write<'a> {
    pub topic: &'a str,
    pub records: &'a Columns,
    /// The partition of records without a key.
    pub keyless: i32,
    /// The timestamp of a record that has none, by its place.
    pub timestamp: &'a (dyn Fn(usize) -> i64 + Sync),
}

/// A record that the log does not take, by its place among those written.
pub(crate) type Refusal = (u32, String);

impl Writer<'_> {
    /// Writes records and returns those that the log refused, in order. Partitions are written side by side, each in order.
    pub async fn write(&self, write: &Write<'_>) -> Result<Vec<Refusal>, Halt> {
        if write.records.is_empty() {
            return Ok(Vec::new());
        }
        let topic = self.context.topics.topic(write.topic).ok_or_else(|| deleted(write.topic))?;
        let placement = Placement {
            partitions: topic.partitions,
            keyless: write.keyless,
            bytes_max: self.context.config.append_bytes_max,
            timestamp: write.timestamp,
        };
        let mut by_partition: BTreeMap<i32, Vec<Piece>> = BTreeMap::new();
        for piece in partitioner::cut(write.records, &placement) {
            by_partition.entry(piece.partition).or_default().push(piece);
        }
        let partitions = by_partition.into_values().map(|pieces| self.append_all(&topic, pieces));
        let mut refused = try_join_all(partitions).await?.concat();
        refused.sort_unstable();
        Ok(refused)
    }

    async fn append_all(&self, topic: &TopicView, pieces: Vec<Piece>) -> Result<Vec<Refusal>, Halt> {
        let mut refused = Vec::new();
        // The next piece is the last: halves of a piece that was too large take its place.
        let mut waiting: Vec<Piece> = pieces.into_iter().rev().collect();
        while let Some(piece) = waiting.pop() {
            let appended = match self.transaction {
                Some(transaction) => append_in(transaction, topic, &piece).await?,
                None => self.append(topic, &piece).await?,
            };
            let Err(error) = appended else { continue };
            if let [place] = piece.places[..] {
                refused.push((place, error.message));
                continue;
            }
            let middle = piece.records.len() / 2;
            waiting.push(partitioner::part(&piece, middle..piece.records.len()));
            waiting.push(partitioner::part(&piece, 0..middle));
        }
        Ok(refused)
    }

    /// Appends one piece, as often as it takes. The inner error is the log's refusal of these records.
    async fn append(&self, topic: &TopicView, piece: &Piece) -> Result<Result<(), Error>, Halt> {
        let partition = partition_of(topic, piece);
        let mut backoff = Backoff::default();
        loop {
            match self.context.topics.append(partition, &piece.records).await {
                Ok(_) => return Ok(Ok(())),
                Err(error) if error.kind.is_retriable() => {
                    let error = Error::new(error.kind, format!("could not write to {}: {error}", topic.name));
                    self.progress.error(State::Retrying, &error, self.context.runtime.clock.now());
                    backoff.wait(self.context, self.shutdown).await?;
                    self.progress.state(State::Running);
                }
                Err(error) if error.kind == ErrorKind::Invalid => return Ok(Err(error)),
                Err(error) if error.kind == ErrorKind::NotFound => return Err(deleted(&topic.name).into()),
                Err(error) => {
                    return Err(Error::new(error.kind, format!("could not write to {}: {error}", topic.name)).into());
                }
            }
        }
    }
}

/// Appends one piece in a transaction, once: what an error leaves behind is undone with the transaction. The inner error is the log's
/// refusal of these records.
async fn append_in(transaction: &Transaction, topic: &TopicView, piece: &Piece) -> Result<Result<(), Error>, Halt> {
    let Err(error) = transaction.append(partition_of(topic, piece), &piece.records).await else { return Ok(Ok(())) };
    let ended = ends(error.kind);
    if ended == Ends::Records {
        return Ok(Err(error));
    }
    let error = match error.kind {
        ErrorKind::NotFound => deleted(&topic.name),
        kind => Error::new(kind, format!("could not write to {}: {error}", topic.name)),
    };
    transaction.break_off(error.clone());
    Err(if ended == Ends::Attempt { Halt::Again(error) } else { Halt::Failed(error) })
}

fn partition_of(topic: &TopicView, piece: &Piece) -> TopicPartition {
    TopicPartition::new(topic.id, PartitionIndex(piece.partition))
}

fn deleted(topic: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("the output topic {topic:?} does not exist any more: create it and resume"))
}
