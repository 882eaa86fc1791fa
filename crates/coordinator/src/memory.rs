//! The coordinator's ports in memory, for tests and simulations: a log that outlives its coordinator, and faults on request.

use crate::port::{Controller, ControllerError, LogError, OffsetsLog};
use async_trait::async_trait;
use millstream_record::{Batch, Limits, split};
use millstream_types::{LeaderEpoch, Offset};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What happens to an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing is written.
    Fail(LogError),
    /// It fails, and all is written.
    FailWritten(LogError),
    /// It takes this long, then works.
    Delay(Duration),
}

#[derive(Default)]
struct Stored {
    batches: Vec<Batch>,
    end: i64,
    faults: VecDeque<Fault>,
}

/// A log in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryLog(Arc<Mutex<Stored>>);

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next append meets `fault`; faults are met in the order given.
    pub fn fault(&self, fault: Fault) {
        self.0.lock().faults.push_back(fault);
    }

    /// Every record's key and value, in order.
    #[must_use]
    pub fn records(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut records = Vec::new();
        for batch in &self.0.lock().batches {
            let read = batch.each(&Limits::default(), |record| {
                records.push((record.key.unwrap_or_default().to_vec(), record.value.map(<[u8]>::to_vec)));
            });
            // What this log holds was built by `BatchBuilder`.
            debug_assert!(read.is_ok(), "{read:?}");
        }
        records
    }

    /// How many batches there are.
    #[must_use]
    pub fn batch_count(&self) -> usize {
        self.0.lock().batches.len()
    }

    fn store(&self, batches: Vec<Batch>) -> Result<(), LogError> {
        let mut stored = self.0.lock();
        for batch in batches {
            let placed: Vec<u8> = batch.placed(Offset(stored.end), LeaderEpoch(0), None).concat();
            let placed = split(placed.into()).map_err(|error| LogError::Corrupt(error.to_string()))?;
            stored.end = placed.last().map_or(stored.end, |last| last.next_offset().0);
            stored.batches.extend(placed);
        }
        Ok(())
    }
}

#[async_trait]
impl OffsetsLog for MemoryLog {
    async fn append(&self, batches: Vec<Batch>) -> Result<(), LogError> {
        let fault = self.0.lock().faults.pop_front();
        match fault {
            Some(Fault::Fail(error)) => return Err(error),
            Some(Fault::FailWritten(error)) => return self.store(batches).and(Err(error)),
            Some(Fault::Delay(duration)) => tokio::time::sleep(duration).await,
            None => {}
        }
        self.store(batches)
    }

    async fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Batch>, LogError> {
        let stored = self.0.lock();
        let mut bytes = 0;
        let wanted = stored.batches.iter().filter(|batch| batch.next_offset() > from);
        Ok(wanted
            .take_while(|batch| {
                let fits = bytes == 0 || bytes + batch.size() <= max_bytes;
                bytes += batch.size();
                fits
            })
            .cloned()
            .collect())
    }
}

/// A controller in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryController(Arc<Mutex<Cluster>>);

struct Cluster {
    partitions: i32,
    topics: BTreeMap<String, i32>,
    next_producer_id: i64,
    block: i64,
    blocks: usize,
}

impl MemoryController {
    /// A cluster without internal topics, which gives them `partitions` partitions, and producer ids in blocks of `block`.
    #[must_use]
    pub fn new(partitions: i32, block: i64) -> Self {
        let cluster = Cluster { partitions, topics: BTreeMap::new(), next_producer_id: 0, block, blocks: 0 };
        Self(Arc::new(Mutex::new(cluster)))
    }

    /// How many blocks of producer ids were given out.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.0.lock().blocks
    }
}

#[async_trait]
impl Controller for MemoryController {
    fn internal_topic(&self, name: &str) -> Option<i32> {
        self.0.lock().topics.get(name).copied()
    }

    async fn ensure_internal_topic(&self, name: &str) -> Result<i32, ControllerError> {
        let mut cluster = self.0.lock();
        let partitions = cluster.partitions;
        Ok(*cluster.topics.entry(name.to_owned()).or_insert(partitions))
    }

    async fn allocate_producer_ids(&self) -> Result<Range<i64>, ControllerError> {
        let mut cluster = self.0.lock();
        let first = cluster.next_producer_id;
        cluster.next_producer_id += cluster.block;
        cluster.blocks += 1;
        Ok(first..cluster.next_producer_id)
    }
}
