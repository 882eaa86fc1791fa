//! A transactional producer of this node: as a client's, without the wire.

use super::topics::{LogTopics, failed, refused};
use async_trait::async_trait;
use millstream_coordinator::Transactor;
use millstream_coordinator::group::CommitRequest;
use millstream_partition::{AppendOptions, Origin};
use millstream_record::{BatchBuilder, Codec, Columns};
use millstream_task::{CommittedOffset, Error, Producer};
use millstream_txn::{Identity, Partition, Unverified, Version, last_sequence};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One holder of a transactional id. Every end of a transaction bumps its epoch, so that each transaction begins at sequence 0.
pub struct LogProducer {
    log: LogTopics,
    id: String,
    current: Mutex<Current>,
}

struct Current {
    identity: Identity,
    lanes: BTreeMap<TopicPartition, Lane>,
}

/// The next sequence of a partition, held while a batch with it is appended: batches are there in the order of their sequences.
type Lane = Arc<tokio::sync::Mutex<i32>>;

impl LogProducer {
    /// Fences the id's last holder and undoes what it left open.
    pub async fn take_over(log: LogTopics, id: String, timeout: Duration) -> Result<Self, Error> {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let identity = log.coordinator.init_as_admin(&id, timeout_ms).await.map_err(|error| refused(&error))?;
        Ok(Self { log, id, current: Mutex::new(Current { identity, lanes: BTreeMap::new() }) })
    }

    fn transactor(&self) -> Transactor {
        Transactor { id: self.id.clone(), identity: self.current.lock().identity, version: Version::Bumping }
    }

    fn lane(&self, partition: TopicPartition) -> Lane {
        self.current.lock().lanes.entry(partition).or_default().clone()
    }
}

#[async_trait]
impl Producer for LogProducer {
    async fn append(&self, partition: TopicPartition, records: &Columns) -> Result<Offset, Error> {
        let handle = self.log.partition(partition).await?;
        let lane = self.lane(partition);
        let mut sequence = lane.lock().await;
        let transactor = self.transactor();
        let Identity { producer, epoch } = transactor.identity;
        // What a producer would be refused, tasks are refused as well.
        let invalid = |error: millstream_record::Error| Error::new(ErrorKind::Invalid, error.to_string());
        let mut builder = BatchBuilder::new(Codec::None).producer(producer, epoch, *sequence).transactional();
        builder.push_columns(records, 0..records.len());
        let batch = builder.build(Offset::ZERO, LeaderEpoch::NONE).map_err(invalid)?;
        let spans = batch.last_offset_delta().saturating_add(1);
        let batches = millstream_record::check(batch.into_bytes(), &handle.door_rules()).map_err(invalid)?;
        let guard = handle.verify(&Unverified { producer, epoch, first_sequence: *sequence, bumps: true });
        if guard.is_some() {
            let joined = Partition { topic: handle.topic().to_owned(), index: partition.partition.0 };
            let joined = self.log.coordinator.join_as_admin(&transactor, &BTreeSet::from([joined])).await;
            joined.map_err(|error| refused(&error))?;
        }
        let options = AppendOptions { guard, version: Version::Bumping, ..AppendOptions::new(Origin::Internal) };
        let appended = handle.append(batches, options).await.map_err(|error| failed(&error))?;
        // 0 follows i32::MAX.
        *sequence = last_sequence(*sequence, spans).wrapping_add(1) & i32::MAX;
        Ok(appended.base_offset)
    }

    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), Error> {
        let request = CommitRequest::without_member(group, self.log.by_topic(offsets)?);
        let committed = self.log.coordinator.commit_transaction_as_admin(&self.transactor(), request).await;
        let identity = committed.map_err(|error| refused(&error))?;
        *self.current.lock() = Current { identity, lanes: BTreeMap::new() };
        Ok(())
    }
}
