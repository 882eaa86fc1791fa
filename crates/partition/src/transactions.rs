//! Transactions in a partition: who may begin one here, the markers that end them, and reading past those that were aborted.

use crate::{AbortedTxn, AppendOptions, Appended, Bounds, Error, Isolation, Origin, PartitionHandle, ReadRequest};
use bytes::Bytes;
use millstream_record::{Batch, BatchBuilder, Codec, split};
use millstream_txn::{Guard, Marker, SnapshotEntry, Unverified, Version};
use millstream_types::{LeaderEpoch, Offset, TimestampMs};

impl PartitionHandle {
    /// What to append with where a batch may begin its transaction here, once the transaction's coordinator was asked; none where it is
    /// open already.
    #[must_use]
    pub fn verify(&self, asked: &Unverified) -> Option<Guard> {
        let now = self.0.runtime.clock.now();
        self.0.producers.lock().verify(asked, now)
    }

    /// Ends a producer's transaction here. A marker that came before may come again.
    ///
    /// # Errors
    /// As [`PartitionHandle::append`].
    pub async fn end_transaction(&self, marker: &Marker, version: Version) -> Result<Appended, Error> {
        let batch = marker_batch(marker, self.0.runtime.clock.now());
        self.append(vec![batch], AppendOptions { version, ..AppendOptions::new(Origin::Coordinator) }).await
    }

    /// The producers that have written here, by id (DescribeProducers).
    #[must_use]
    pub fn active_producers(&self) -> Vec<SnapshotEntry> {
        self.0.producers.lock().snapshot()
    }

    /// Committed batches from `from` for readers inside the node: `max_bytes` at most, one at least. Those of aborted transactions are
    /// there without their records, so that a reader gets on.
    ///
    /// # Errors
    /// As [`PartitionHandle::read`].
    pub async fn read_committed(&self, from: Offset, max_bytes: usize) -> Result<(Vec<Batch>, Bounds), Error> {
        let request = ReadRequest { isolation: Isolation::ReadCommitted, ..ReadRequest::new(from, max_bytes) };
        let read = self.read(request).await?;
        let mut batches = Vec::new();
        for chunk in &read.records {
            let io = |source| millstream_storage::Error::Io { action: "read", path: self.folder().to_owned(), source };
            let bytes: Bytes = chunk.read().await.map_err(|source| self.0.failed(io(source)))?;
            batches.extend(split(bytes).map_err(|error| self.0.failed(self.damaged(&error)))?);
        }
        if !read.aborted.is_empty() {
            for batch in batches.iter_mut().filter(|batch| is_aborted(batch, &read.aborted)) {
                *batch = batch.emptied();
            }
        }
        Ok((batches, read.bounds))
    }

    fn damaged(&self, error: &millstream_record::Error) -> millstream_storage::Error {
        let (path, problem) = (self.folder().to_owned(), error.to_string());
        millstream_storage::Error::Corrupt { path, position: 0, problem }
    }
}

fn is_aborted(batch: &Batch, aborted: &[AbortedTxn]) -> bool {
    let within = |txn: &AbortedTxn| (txn.first_offset..txn.last_offset).contains(&batch.base_offset());
    batch.is_transactional()
        && !batch.is_control()
        && aborted.iter().any(|txn| txn.producer == batch.producer_id() && within(txn))
}

/// The control batch of a marker.
#[must_use]
pub fn marker_batch(marker: &Marker, now: TimestampMs) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None)
        .producer(marker.producer, marker.epoch, millstream_txn::NO_SEQUENCE)
        .transactional()
        .control();
    builder.push(now, Some(&marker.key()), Some(&marker.value()), []);
    builder.build(Offset::ZERO, LeaderEpoch::NONE).expect("one record of ten bytes fits in a batch")
}
