//! Transactions in memory.

use super::log::Fate;
use super::topics::{Operation, State};
use crate::{CommittedOffset, Error, Producer};
use async_trait::async_trait;
use millstream_record::Columns;
use millstream_types::{ErrorKind, Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// Who has a transactional id.
#[derive(Default)]
pub(super) struct Holder {
    epoch: u64,
    /// Where the open transaction has records.
    partitions: BTreeSet<TopicPartition>,
}

/// One epoch of a transactional id.
pub(super) struct MemoryProducer {
    pub state: Arc<Mutex<State>>,
    pub changed: watch::Sender<u64>,
    pub id: String,
    /// No other producer has the same, of any id.
    pub epoch: u64,
}

impl State {
    /// Undoes what is open under an id, and gives the id a new epoch.
    pub(super) fn take_over(&mut self, id: &str) -> u64 {
        let next = self.holders.values().map(|holder| holder.epoch).max().unwrap_or(0) + 1;
        let before = self.holders.insert(id.to_owned(), Holder { epoch: next, partitions: BTreeSet::new() });
        self.end(before, false);
        next
    }

    fn end(&mut self, holder: Option<Holder>, commits: bool) {
        let Some(Holder { epoch, partitions }) = holder else { return };
        for partition in partitions {
            if let Some(log) = self.logs.get_mut(&partition) {
                log.end(epoch, commits);
            }
        }
    }
}

impl MemoryProducer {
    fn holder<'a>(&self, state: &'a mut State) -> Result<&'a mut Holder, Error> {
        let holder = state.holders.get_mut(&self.id).filter(|holder| holder.epoch == self.epoch);
        holder.ok_or_else(|| Error::new(ErrorKind::Fenced, format!("somebody else has transactional id {:?}", self.id)))
    }
}

#[async_trait]
impl Producer for MemoryProducer {
    async fn append(&self, partition: TopicPartition, records: &Columns) -> Result<Offset, Error> {
        let mut state = self.state.lock();
        self.holder(&mut state)?;
        let base = state.append(partition, records, Fate::Open(self.epoch))?;
        self.holder(&mut state)?.partitions.insert(partition);
        Ok(base)
    }

    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), Error> {
        let mut state = self.state.lock();
        self.holder(&mut state)?;
        state.fault(Operation::End)?;
        let partitions = std::mem::take(&mut self.holder(&mut state)?.partitions);
        state.end(Some(Holder { epoch: self.epoch, partitions }), true);
        let kept = state.groups.entry(group.to_owned()).or_default();
        kept.extend(offsets.iter().map(|offset| (offset.partition, offset.clone())));
        let answered = state.fault(Operation::Ended);
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        answered
    }
}
