//! Reads a task's partition: committed batches become columns, once.

use crate::context::Context;
use crate::{Bounds, Error};
use millstream_record::{Columns, split};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, TopicPartition};

/// Reads one partition.
pub(crate) struct Input {
    pub topic: String,
    pub partition: TopicPartition,
    pub bytes_max: usize,
}

/// What one read brought.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// The records; none where the log has only marks of its own there.
    pub records: Columns,
    /// Where to read on.
    pub next: Offset,
    /// The epoch of the last batch; `NONE` where there was none.
    pub epoch: LeaderEpoch,
    /// What of the partition can be read.
    pub bounds: Bounds,
}

impl Input {
    /// The partition's name: "flights-0".
    pub fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition.partition)
    }

    /// One read from `from`. Input that is gone is told apart from what may come back.
    pub async fn read(&self, context: &Context, from: Offset) -> Result<Batch, Error> {
        let fetched = match context.topics.read(self.partition, from, self.bytes_max).await {
            Ok(fetched) => fetched,
            Err(error) if error.kind == ErrorKind::Invalid => {
                return Err(self.out_of_range(context, from, error).await);
            }
            Err(error) => return Err(self.explain(error)),
        };
        if fetched.bounds.log_start > from {
            return Err(self.lost(from, fetched.bounds));
        }
        let (mut records, mut next, mut epoch) = (Columns::default(), from, LeaderEpoch::NONE);
        for bytes in fetched.batches {
            let batches = split(bytes).map_err(|error| self.corrupt(next, &error))?;
            for batch in batches.iter().filter(|batch| batch.next_offset() > from) {
                if !batch.is_control() {
                    records
                        .append_batch(batch, from, &context.config.batch)
                        .map_err(|error| self.corrupt(batch.base_offset(), &error))?;
                }
                (next, epoch) = (batch.next_offset(), batch.partition_leader_epoch());
            }
        }
        Ok(Batch { records, next, epoch, bounds: fetched.bounds })
    }

    /// Checks that the record at `from` can still come: nothing between what was done and the log's start has been deleted.
    pub fn check(&self, from: Offset, bounds: Bounds) -> Result<(), Error> {
        if from < bounds.log_start || from > bounds.high_watermark { Err(self.lost(from, bounds)) } else { Ok(()) }
    }

    async fn out_of_range(&self, context: &Context, from: Offset, error: Error) -> Error {
        match context.topics.bounds(self.partition).await {
            Ok(bounds) => self.check(from, bounds).err().unwrap_or(error),
            Err(error) => self.explain(error),
        }
    }

    /// The port's error in this task's words.
    pub fn explain(&self, error: Error) -> Error {
        if error.kind == ErrorKind::NotFound {
            let message = format!(
                "the input topic {:?} was deleted before all of it was read: create it, then reset and resume",
                self.topic
            );
            return Error::new(ErrorKind::NotFound, message);
        }
        Error::new(error.kind, format!("could not read {}: {error}", self.name()))
    }

    fn lost(&self, from: Offset, bounds: Bounds) -> Error {
        let name = self.name();
        let (start, end) = (bounds.log_start, bounds.high_watermark);
        let message = if from < start {
            format!(
                "{} records of {name} were deleted before they were read (next to read: {from}, the log now starts at {start}): retention is shorter than the lag, or records were deleted; reset to earliest to go on from {start}",
                start - from
            )
        } else {
            format!(
                "the next record to read of {name} is {from}, but the log ends at {end}: it was cut or made anew; reset to earliest or latest to go on"
            )
        };
        Error::new(ErrorKind::Invalid, message)
    }

    fn corrupt(&self, at: Offset, error: &millstream_record::Error) -> Error {
        let message = format!(
            "the batch at offset {at} of {} can't be read: {error}; reset to an offset after it to go on",
            self.name()
        );
        Error::new(ErrorKind::Corrupt, message)
    }
}
