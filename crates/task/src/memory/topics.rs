//! Topics in memory.

use super::log::{Fate, Log};
use super::producer::{Holder, MemoryProducer};
use crate::{Bounds, CommittedOffset, Error, Fetched, Producer, TopicView, Topics};
use async_trait::async_trait;
use millstream_record::Columns;
use millstream_types::{ErrorKind, LeaderEpoch, Offset, TimestampMs, TopicId, TopicPartition};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Topics::create`].
    Create,
    /// [`Topics::read`].
    Read,
    /// [`Topics::append`], before anything is written.
    Append,
    /// [`Topics::commit`], before anything is kept.
    Commit,
    /// [`Producer::commit`], before anything is decided: the transaction stays open.
    End,
    /// [`Producer::commit`], after all is done: only its answer is lost.
    Ended,
}

/// A [`Topics`] in memory. Each append is one uncompressed batch.
pub struct MemoryTopics {
    state: Arc<Mutex<State>>,
    /// Ticks at every change that a reader may wait for.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct State {
    topics: BTreeMap<String, TopicView>,
    made: u128,
    pub(super) logs: HashMap<TopicPartition, Log>,
    pub(super) groups: BTreeMap<String, HashMap<TopicPartition, CommittedOffset>>,
    /// Who has each transactional id.
    pub(super) holders: BTreeMap<String, Holder>,
    faults: HashMap<Operation, VecDeque<Error>>,
    record_bytes_max: Option<usize>,
}

impl MemoryTopics {
    /// A log without topics.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0) }
    }

    /// Every record of one partition that can be read, those of no transaction or of one that is committed; empty where there is no such topic or partition.
    #[must_use]
    pub fn records(&self, topic: &str, partition: i32) -> Columns {
        let state = self.state.lock();
        let mut all = Columns::default();
        let log = state.partition(topic, partition).and_then(|at| state.logs.get(&at));
        for batch in log.into_iter().flat_map(Log::committed) {
            (0..batch.len())
                .filter(|at| log.is_some_and(|log| batch.offsets[*at] >= log.start))
                .for_each(|at| all.push_from(batch, at));
        }
        all
    }

    /// How far a group has come in one partition.
    #[must_use]
    pub fn committed_offset(&self, group: &str, topic: &str, partition: i32) -> Option<Offset> {
        let state = self.state.lock();
        let partition = state.partition(topic, partition)?;
        Some(state.groups.get(group)?.get(&partition)?.offset)
    }

    /// The leader's epoch that a group's offset in one partition was committed with.
    #[must_use]
    pub fn committed_epoch(&self, group: &str, topic: &str, partition: i32) -> Option<LeaderEpoch> {
        let state = self.state.lock();
        let partition = state.partition(topic, partition)?;
        Some(state.groups.get(group)?.get(&partition)?.leader_epoch)
    }

    /// Loses what is before `offset`, as retention and DeleteRecords do.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: Offset) {
        let mut state = self.state.lock();
        if let Some(log) = state.partition(topic, partition).and_then(|at| state.logs.get_mut(&at)) {
            log.delete_before(offset.0);
        }
        drop(state);
        self.tick();
    }

    /// Deletes a topic with all its partitions.
    pub fn delete_topic(&self, name: &str) {
        let mut state = self.state.lock();
        if let Some(topic) = state.topics.remove(name) {
            state.logs.retain(|partition, _| partition.topic != topic.id);
        }
        drop(state);
        self.tick();
    }

    /// Adds partitions to a topic until it has `partitions`.
    pub fn grow(&self, name: &str, partitions: i32) {
        let mut state = self.state.lock();
        let Some(topic) = state.topics.get_mut(name) else { return };
        topic.partitions = topic.partitions.max(partitions);
        let all = topic.topic_partitions();
        for partition in all {
            state.logs.entry(partition).or_default();
        }
        drop(state);
        self.tick();
    }

    /// Makes the next `times` calls of `operation` fail with `kind`.
    pub fn fail_next(&self, operation: Operation, times: usize, kind: ErrorKind) {
        let error = Error::new(kind, format!("{operation:?} fails on purpose"));
        self.state.lock().faults.entry(operation).or_default().extend(std::iter::repeat_n(error, times));
    }

    /// Nothing fails on purpose any more.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Refuses, as `Invalid`, appends whose keys, values and headers are larger than this together.
    pub fn set_append_bytes_max(&self, bytes: usize) {
        self.state.lock().record_bytes_max = Some(bytes);
    }

    /// Transactions that are open, counted in each partition that they have records in.
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        self.state.lock().open()
    }

    fn tick(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl Default for MemoryTopics {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn partition(&self, topic: &str, partition: i32) -> Option<TopicPartition> {
        self.topics.get(topic)?.topic_partitions().find(|each| each.partition.0 == partition)
    }

    /// Transactions that are open, by the partitions that they are open in.
    fn open(&self) -> usize {
        self.logs.values().map(Log::open).sum()
    }

    fn log(&self, partition: TopicPartition) -> Result<&Log, Error> {
        self.logs.get(&partition).ok_or_else(|| gone(partition))
    }

    /// Appends as `fate` says, unless it is to fail or the records are too large.
    pub(super) fn append(&mut self, partition: TopicPartition, records: &Columns, fate: Fate) -> Result<Offset, Error> {
        self.fault(Operation::Append)?;
        let bytes = records.payload_bytes();
        if let Some(most) = self.record_bytes_max.filter(|most| bytes > *most) {
            let message = format!("a batch of {bytes} bytes is too large: at most {most} are taken");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(self.logs.get_mut(&partition).ok_or_else(|| gone(partition))?.append(records, fate))
    }

    pub(super) fn fault(&mut self, operation: Operation) -> Result<(), Error> {
        self.faults.get_mut(&operation).and_then(VecDeque::pop_front).map_or(Ok(()), Err)
    }
}

pub(super) fn gone(partition: TopicPartition) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no partition {partition}: its topic was deleted"))
}

#[async_trait]
impl Topics for MemoryTopics {
    fn topic(&self, name: &str) -> Option<TopicView> {
        self.state.lock().topics.get(name).cloned()
    }

    fn topics(&self) -> Vec<TopicView> {
        self.state.lock().topics.values().cloned().collect()
    }

    async fn create(
        &self,
        name: &str,
        partitions: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<TopicView, Error> {
        let mut state = self.state.lock();
        state.fault(Operation::Create)?;
        if state.topics.contains_key(name) {
            return Err(Error::new(ErrorKind::Conflict, format!("there is a topic {name:?} already")));
        }
        state.made += 1;
        let id = TopicId(uuid::Uuid::from_u128(state.made));
        let topic = TopicView { id, name: name.to_owned(), partitions, configs: configs.clone() };
        for partition in topic.topic_partitions() {
            state.logs.insert(partition, Log::default());
        }
        state.topics.insert(name.to_owned(), topic.clone());
        Ok(topic)
    }

    async fn bounds(&self, partition: TopicPartition) -> Result<Bounds, Error> {
        Ok(self.state.lock().log(partition)?.bounds())
    }

    async fn read(&self, partition: TopicPartition, from: Offset, max_bytes: usize) -> Result<Fetched, Error> {
        let mut state = self.state.lock();
        state.fault(Operation::Read)?;
        let log = state.log(partition)?;
        if from.0 < log.start || from.0 > log.stable() {
            let message =
                format!("offset {from} of {partition} is out of range: it has {} to {}", log.start, log.stable());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Fetched { batches: log.read(from.0, max_bytes), bounds: log.bounds() })
    }

    async fn readable(&self, partition: TopicPartition, from: Offset) -> Result<(), Error> {
        let mut changed = self.changed.subscribe();
        loop {
            match self.state.lock().logs.get(&partition) {
                None => return Err(gone(partition)),
                Some(log) if log.stable() > from.0 => return Ok(()),
                Some(_) => {}
            }
            if changed.changed().await.is_err() {
                return Err(gone(partition));
            }
        }
    }

    async fn append(&self, partition: TopicPartition, records: &Columns) -> Result<Offset, Error> {
        let base = self.state.lock().append(partition, records, Fate::Plain)?;
        self.tick();
        Ok(base)
    }

    async fn offset_for_time(&self, partition: TopicPartition, time: TimestampMs) -> Result<Option<Offset>, Error> {
        let state = self.state.lock();
        let log = state.log(partition)?;
        let mut records = log.committed().flat_map(|batch| batch.offsets.iter().zip(&batch.timestamps));
        let found = records.find(|(offset, timestamp)| **offset >= log.start && **timestamp >= time.0);
        Ok(found.map(|(offset, _)| Offset(*offset)))
    }

    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), Error> {
        let mut state = self.state.lock();
        state.fault(Operation::Commit)?;
        let kept = state.groups.entry(group.to_owned()).or_default();
        kept.extend(offsets.iter().map(|offset| (offset.partition, offset.clone())));
        Ok(())
    }

    async fn producer(&self, id: &str, _: Duration) -> Result<Arc<dyn Producer>, Error> {
        let epoch = self.state.lock().take_over(id);
        self.tick();
        let (state, changed, id) = (self.state.clone(), self.changed.clone(), id.to_owned());
        Ok(Arc::new(MemoryProducer { state, changed, id, epoch }))
    }

    async fn abort(&self, id: &str) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.holders.contains_key(id) {
            state.take_over(id);
        }
        drop(state);
        self.tick();
        Ok(())
    }

    async fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, Error> {
        let state = self.state.lock();
        let kept = state.groups.get(group);
        Ok(partitions.iter().map(|each| kept.and_then(|kept| kept.get(each)).map(|offset| offset.offset)).collect())
    }

    async fn delete_group(&self, group: &str) -> Result<(), Error> {
        self.state.lock().groups.remove(group);
        Ok(())
    }
}
