//! Telling partitions that a transaction has ended: the marker, until each has it.

use crate::board::Board;
use crate::config::{MARKER_BACKOFF, MARKER_BACKOFF_MAX};
use crate::owner::OFFSETS_TOPIC;
use crate::port::{MarkError, OffsetsLog, Participants};
use crate::shard::{Alone, Errands};
use crate::slot::Slot;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use millstream_group::{Producer, Reply, WriteError};
use millstream_runtime::Clock;
use millstream_txn::{Ending, Marker, Partition, Shard, Version};
use millstream_types::PartitionIndex;
use std::sync::Arc;

/// Reaches every partition: those of the offsets topic in their turn among the writes of their groups, so that offsets that were written before
/// are known when the transaction ends.
#[derive(Clone)]
pub(crate) struct Markers {
    pub(crate) groups: Arc<Board<millstream_group::Shard>>,
    pub(crate) participants: Arc<dyn Participants>,
}

impl Markers {
    /// Writes a marker to one partition.
    pub(crate) async fn mark(&self, partition: &Partition, marker: &Marker, version: Version) -> Result<(), MarkError> {
        if partition.topic == OFFSETS_TOPIC {
            self.mark_offsets(PartitionIndex(partition.index), marker, version).await
        } else {
            self.participants.mark(partition, marker, version).await
        }
    }

    async fn mark_offsets(&self, index: PartitionIndex, marker: &Marker, version: Version) -> Result<(), MarkError> {
        let retry = |why: &str| MarkError::Retry(format!("partition {index} of {OFFSETS_TOPIC}: {why}"));
        let slot = self.groups.slot(index).ok_or_else(|| retry("it is not led here now"))?;
        let producer = Producer { id: marker.producer, epoch: marker.epoch };
        let alone = Some(Alone::Marker(*marker, version));
        let begun = slot.begin_for("", alone, |shard, waiter, _| shard.end_transaction(producer, waiter));
        match begun.map_err(|error| retry(&error.to_string()))?.await {
            Ok(Reply::Ended(Ok(()))) => Ok(()),
            Ok(Reply::Ended(Err(WriteError::ProducerFenced | WriteError::NotInTransaction))) => {
                Err(MarkError::Refused(format!("partition {index} of {OFFSETS_TOPIC} has seen a newer epoch")))
            }
            Ok(_) | Err(_) => Err(retry("the marker could not be written")),
        }
    }

    /// Tells every partition of a transaction, and the slot of each that knows.
    async fn end(self, ending: Ending, slot: Arc<Slot<Shard>>, clock: Arc<dyn Clock>) {
        let marking = ending.partitions.iter().map(|partition| self.end_one(&ending, partition, &slot, &*clock));
        join_all(marking).await;
    }

    async fn end_one(&self, ending: &Ending, partition: &Partition, slot: &Slot<Shard>, clock: &dyn Clock) {
        let Ending { id, marker, version, .. } = ending;
        let Partition { topic, index } = partition;
        let mut backoff = MARKER_BACKOFF;
        loop {
            match self.mark(partition, marker, *version).await {
                Ok(()) => {
                    slot.decide(|shard, now| shard.marked(id, marker, partition, now));
                    slot.wake.notify_one();
                    return;
                }
                Err(MarkError::Refused(why) | MarkError::Superseded(why)) => {
                    tracing::error!(transactional_id = %id, topic, partition = index, why, "a transaction's marker was refused; its coordinator goes no further with it");
                    return;
                }
                Err(MarkError::Retry(why)) => {
                    tracing::warn!(transactional_id = %id, topic, partition = index, why, "a transaction's marker was not written; trying again");
                }
            }
            clock.sleep(backoff).await;
            backoff = MARKER_BACKOFF_MAX.min(backoff * 2);
        }
    }
}

impl Errands<Shard> for Markers {
    fn run(
        &self,
        ending: Ending,
        slot: &Arc<Slot<Shard>>,
        _: &Arc<dyn OffsetsLog>,
        clock: &Arc<dyn Clock>,
    ) -> BoxFuture<'static, ()> {
        self.clone().end(ending, slot.clone(), clock.clone()).boxed()
    }
}
