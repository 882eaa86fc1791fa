//! Reads a partition of an internal topic into its shard.

use crate::config::LOAD_READ_BYTES;
use crate::port::{LogError, OffsetsLog};
use crate::shard::Shard;
use millstream_record::{Batch, Limits, RecordRef};
use millstream_types::{Offset, ProducerId};
use std::collections::BTreeMap;

/// Key of a control record: i16 version, i16 type.
const COMMIT_MARKER: i16 = 1;

/// Reads the whole log into `shard`.
pub(crate) async fn load<S: Shard>(log: &dyn OffsetsLog, shard: S) -> Result<S, LogError> {
    let mut loading = Loading { shard, open: BTreeMap::new(), next: Offset::ZERO };
    loop {
        let batches = log.read(loading.next, LOAD_READ_BYTES).await?;
        if batches.is_empty() {
            for (producer, changes) in loading.open {
                changes.into_iter().for_each(|change| loading.shard.replay_in_transaction(producer, change));
            }
            return Ok(loading.shard);
        }
        for batch in &batches {
            loading.take(batch)?;
        }
        // A long log is read without keeping others from the thread.
        tokio::task::yield_now().await;
    }
}

struct Loading<S: Shard> {
    shard: S,
    /// What was written in transactions whose end has not come yet.
    open: BTreeMap<ProducerId, Vec<S::Change>>,
    next: Offset,
}

impl<S: Shard> Loading<S> {
    fn take(&mut self, batch: &Batch) -> Result<(), LogError> {
        let mut failed = None;
        let visited = batch.each(&Limits::default(), |record| {
            if record.offset >= self.next && failed.is_none() {
                failed = self.record(batch, &record).err();
            }
        });
        visited.map_err(|error| corrupt(batch.base_offset(), &error))?;
        self.next = batch.next_offset();
        failed.map_or(Ok(()), Err)
    }

    fn record(&mut self, batch: &Batch, record: &RecordRef<'_>) -> Result<(), LogError> {
        if batch.is_control() {
            self.marker(batch.producer_id(), record.key.unwrap_or_default());
            return Ok(());
        }
        let Some(key) = record.key else {
            return Err(corrupt(record.offset, &"the record has no key"));
        };
        let change = S::decode(key, record.value, record.timestamp).map_err(|error| corrupt(record.offset, &error))?;
        if batch.is_transactional() {
            self.open.entry(batch.producer_id()).or_default().push(change);
        } else {
            self.shard.replay(change);
        }
        Ok(())
    }

    fn marker(&mut self, producer: ProducerId, key: &[u8]) {
        let held = self.open.remove(&producer).unwrap_or_default();
        if key.get(2..4) == Some(COMMIT_MARKER.to_be_bytes().as_slice()) {
            held.into_iter().for_each(|change| self.shard.replay(change));
        }
    }
}

fn corrupt(offset: Offset, cause: &dyn std::fmt::Display) -> LogError {
    LogError::Corrupt(format!("at offset {offset}: {cause}"))
}
