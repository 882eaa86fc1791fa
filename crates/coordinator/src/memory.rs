//! The coordinator's ports in memory, for tests and simulations: a log that outlives its coordinator, and faults on request.

use crate::port::{Controller, ControllerError, LogError, MarkError, OffsetsLog, Participants};
use async_trait::async_trait;
use millstream_record::{Batch, Limits, split};
use millstream_txn::{Guard, Marker, Partition, Producers, Sequenced, Unverified, Version};
use millstream_types::{LeaderEpoch, Offset, TimestampMs};
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
    producers: Producers,
}

fn sequenced(batch: &Batch) -> Sequenced {
    Sequenced {
        producer: batch.producer_id(),
        epoch: batch.producer_epoch(),
        first_sequence: batch.base_sequence(),
        records: batch.record_count(),
        is_transactional: batch.is_transactional(),
    }
}

fn marker_of(batch: &Batch) -> Option<Marker> {
    let mut marker = None;
    let read = batch.each(&Limits::default(), |record| {
        let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
        marker = Marker::read(batch.producer_id(), batch.producer_epoch(), key, value);
    });
    read.ok().and(marker).filter(|_| batch.is_control())
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

    fn check(&self, batch: &Batch, guard: Option<Guard>, version: Version) -> Result<(), millstream_txn::Error> {
        let stored = self.0.lock();
        match marker_of(batch) {
            Some(marker) => stored.producers.check_marker(&marker, version),
            None => stored.producers.check(&sequenced(batch), guard).map(|_| ()),
        }
    }

    fn store(&self, batches: Vec<Batch>) -> Result<(), LogError> {
        let mut stored = self.0.lock();
        for batch in batches {
            let placed: Vec<u8> = batch.placed(Offset(stored.end), LeaderEpoch(0), None).concat();
            let placed = split(placed.into()).map_err(|error| LogError::Corrupt(error.to_string()))?;
            let base = Offset(stored.end);
            stored.end = placed.last().map_or(stored.end, |last| last.next_offset().0);
            for batch in &placed {
                match (marker_of(batch), batch.is_transactional()) {
                    (Some(marker), _) => drop(stored.producers.end(&marker, base, TimestampMs(0))),
                    (None, true) => stored.producers.apply(&sequenced(batch), base, TimestampMs(0)),
                    (None, false) => {}
                }
            }
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

    async fn append_transactional(&self, batch: Batch, guard: Option<Guard>, version: Version) -> Result<(), LogError> {
        self.check(&batch, guard, version).map_err(LogError::Producer)?;
        self.append(vec![batch]).await
    }

    fn verify(&self, asked: &Unverified) -> Option<Guard> {
        self.0.lock().producers.verify(asked, TimestampMs(0))
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(0)
    }

    fn end(&self) -> Offset {
        Offset(self.0.lock().end)
    }

    async fn delete_before(&self, offset: Offset) -> Result<(), LogError> {
        self.0.lock().batches.retain(|batch| batch.next_offset() > offset);
        Ok(())
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

/// Partitions that take markers, in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryParticipants(Arc<Mutex<Marked>>);

#[derive(Default)]
struct Marked {
    markers: Vec<(Partition, Marker)>,
    faults: VecDeque<MarkError>,
}

impl MemoryParticipants {
    /// Every marker that was written, in order.
    #[must_use]
    pub fn markers(&self) -> Vec<(Partition, Marker)> {
        self.0.lock().markers.clone()
    }

    /// The next marker meets `fault`; faults are met in the order given.
    pub fn fault(&self, fault: MarkError) {
        self.0.lock().faults.push_back(fault);
    }
}

#[async_trait]
impl Participants for MemoryParticipants {
    async fn mark(&self, partition: &Partition, marker: &Marker, _version: Version) -> Result<(), MarkError> {
        let mut marked = self.0.lock();
        if let Some(fault) = marked.faults.pop_front() {
            return Err(fault);
        }
        marked.markers.push((partition.clone(), *marker));
        Ok(())
    }
}
