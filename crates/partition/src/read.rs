//! Reading, and looking offsets up: on local disk, and below it where there is a cold reader.

use crate::handle::PartitionHandle;
use crate::partition::Partition;
use crate::{Bounds, Chunk, ColdError, Error, Isolation, OffsetAt, Read, ReadRequest, TimeQuery};
use millstream_record::split;
use millstream_storage::AbortedTxn;
use millstream_types::{ErrorKind, LeaderEpoch, Offset, TimestampMs};
use std::sync::atomic::Ordering;

impl PartitionHandle {
    /// Reads whole batches: a range of one segment's file, or bytes from the cold reader.
    ///
    /// # Errors
    /// `Replica` for epochs, leadership and an offset out of range; `Storage`; `Cold`; `Closed`.
    pub async fn read(&self, request: ReadRequest) -> Result<Read, Error> {
        let partition = &*self.0;
        self.check_leads(request.leader_epoch)?;
        partition.replica.lock().check_readable(request.from).map_err(|error| partition.refused(error))?;
        partition.meter.fetch_requests.inc();
        let bounds = partition.bounds();
        let below = bounds.end(request.isolation);
        if request.from >= below {
            return Ok(nothing(bounds));
        }
        let ReadRequest { from, max_bytes, at_least_one, .. } = request;
        let read = match request.isolation {
            Isolation::ReadCommitted => partition.log.read_committed(from, below, max_bytes, at_least_one).await,
            Isolation::ReadUncommitted | Isolation::LogEnd => {
                partition.log.read(from, below, max_bytes, at_least_one).await.map(|slice| (slice, Vec::new()))
            }
        };
        match read {
            Ok((slice, aborted)) => {
                let len = slice.len();
                let records = slice.records.filter(|range| range.len > 0).map(Chunk::File).into_iter().collect();
                Ok(Read { records, len, bounds, aborted })
            }
            Err(millstream_storage::Error::NotLocal { .. }) => read_cold(partition, request, bounds).await,
            // The log's start moved between the check and the read.
            Err(millstream_storage::Error::OutOfRange { offset, start, end }) => {
                Err(partition.refused(millstream_replica::Error::OffsetOutOfRange { offset, start, end }))
            }
            Err(error) => {
                let error = partition.failed(error);
                // What is damaged here may be whole in the object store.
                let is_tiered = request.from.0 < partition.tiered_to.load(Ordering::Acquire);
                if error.kind() == ErrorKind::Corrupt && partition.cold.is_some() && is_tiered {
                    return read_cold(partition, request, bounds).await.map_err(|_| error);
                }
                Err(error)
            }
        }
    }

    /// The offset that `query` asks for, for a caller that believes `epoch` to be the current one (`NONE`: it does not care). None when
    /// there is none.
    ///
    /// # Errors
    /// `Replica` for epochs and leadership; `Storage`; `Cold`.
    pub async fn offset_for_time(&self, query: TimeQuery, epoch: LeaderEpoch) -> Result<Option<OffsetAt>, Error> {
        let partition = &*self.0;
        self.check_leads(epoch)?;
        let bounds = partition.bounds();
        let at =
            |offset: Offset| OffsetAt { offset, timestamp: TimestampMs::NONE, leader_epoch: self.epoch_at(offset) };
        Ok(match query {
            TimeQuery::Earliest => Some(at(bounds.log_start)),
            TimeQuery::EarliestLocal => Some(at(bounds.local_start)),
            TimeQuery::Latest(isolation) => {
                let offset = bounds.end(isolation);
                Some(OffsetAt { offset, timestamp: TimestampMs::NONE, leader_epoch: bounds.leader_epoch })
            }
            TimeQuery::LatestTiered => {
                let tiered_to = Offset(partition.tiered_to.load(Ordering::Acquire));
                (tiered_to > Offset::ZERO).then(|| at(Offset(tiered_to.0 - 1)))
            }
            TimeQuery::MaxTimestamp => {
                let found = partition.log.offset_of_max_timestamp().await.map_err(|error| partition.failed(error))?;
                found.map(|(offset, timestamp)| OffsetAt { timestamp, ..at(offset) })
            }
            TimeQuery::At(time) => self.first_at(time, bounds).await?,
        })
    }

    async fn first_at(&self, time: TimestampMs, bounds: Bounds) -> Result<Option<OffsetAt>, Error> {
        let partition = &*self.0;
        if let Some(cold) = partition.cold.as_ref().filter(|_| bounds.log_start < bounds.local_start) {
            let found =
                cold.offset_for_time(partition.id, time).await.map_err(|error| failed_cold(partition, error))?;
            // What is both cold and here is found here.
            if let Some(found) = found.filter(|found| (bounds.log_start..bounds.local_start).contains(&found.offset)) {
                return Ok(Some(found));
            }
        }
        let found = partition.log.offset_for_time(time).await.map_err(|error| partition.failed(error))?;
        let found = found.filter(|(offset, _)| *offset < bounds.high_watermark);
        Ok(found.map(|(offset, timestamp)| OffsetAt { offset, timestamp, leader_epoch: self.epoch_at(offset) }))
    }

    fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        let epochs = self.0.log.epochs();
        epochs.at(offset).or_else(|| epochs.iter().next().map(|(epoch, _)| epoch)).unwrap_or(LeaderEpoch::NONE)
    }
}

const fn nothing(bounds: Bounds) -> Read {
    Read { records: Vec::new(), len: 0, bounds, aborted: Vec::new() }
}

async fn read_cold(partition: &Partition, request: ReadRequest, bounds: Bounds) -> Result<Read, Error> {
    let ReadRequest { from, max_bytes, at_least_one, .. } = request;
    let Some(cold) = &partition.cold else {
        let (start, end) = (bounds.local_start, bounds.log_end);
        return Err(partition.refused(millstream_replica::Error::OffsetOutOfRange { offset: from, start, end }));
    };
    if max_bytes == 0 && !at_least_one {
        return Ok(nothing(bounds));
    }
    let found = cold.read(partition.id, from, max_bytes).await.map_err(|error| failed_cold(partition, error))?;
    match found {
        Some(bytes) => {
            let batches = split(bytes.clone()).map_err(|error| failed_cold(partition, damaged(&error)))?;
            let next = batches.last().map_or(from, millstream_record::Batch::next_offset);
            let aborted = partition.aborted(request.isolation, from, next).await?;
            Ok(Read { len: bytes.len(), records: vec![Chunk::Bytes(bytes)], bounds, aborted })
        }
        None => {
            let (start, end) = (bounds.local_start, bounds.log_end);
            Err(partition.refused(millstream_replica::Error::OffsetOutOfRange { offset: from, start, end }))
        }
    }
}

fn damaged(error: &millstream_record::Error) -> ColdError {
    ColdError { kind: ErrorKind::Corrupt, message: format!("what the object store has of it is damaged: {error}") }
}

impl Partition {
    /// The aborted transactions that a reader of committed records skips between `from` and `next`.
    async fn aborted(&self, isolation: Isolation, from: Offset, next: Offset) -> Result<Vec<AbortedTxn>, Error> {
        match isolation {
            Isolation::ReadCommitted if next > from => {
                self.log.aborted(from, next).await.map_err(|error| self.failed(error))
            }
            Isolation::ReadCommitted | Isolation::ReadUncommitted | Isolation::LogEnd => Ok(Vec::new()),
        }
    }
}

fn failed_cold(partition: &Partition, source: ColdError) -> Error {
    Error::Cold { name: partition.name.clone(), source }
}
