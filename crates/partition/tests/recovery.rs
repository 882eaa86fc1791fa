//! What a start after a kill knows of a partition's producers: from what a checkpoint kept of them, as if the whole log had been read again.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]
#![expect(dead_code, reason = "the node is shared with other tests")]

#[path = "partitions/node.rs"]
mod node;

use millstream_partition::{AppendOptions, Isolation, Origin, PartitionHandle, ReadRequest};
use millstream_record::{Batch, BatchBuilder, Codec};
use millstream_runtime::{Disk, Random, SeededRandom, SimDisk};
use millstream_txn::{Marker, Outcome, SnapshotEntry, Unverified, Version};
use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use node::{Node, image, values};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KEPT: &str = "data/t-0/millstream.producers";
const PRODUCERS: u64 = 4;
/// A retry is of one of so many batches.
const IN_FLIGHT: usize = 5;
/// More by `RECOVERY_SEEDS`.
const SEEDS: u64 = 40;

fn seeds() -> u64 {
    std::env::var("RECOVERY_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// A batch that was sent, and where it went.
#[derive(Clone)]
struct Sent {
    producer: i64,
    epoch: i16,
    sequence: i32,
    records: i32,
    offset: i64,
}

#[derive(Clone, Default)]
struct Producer {
    epoch: i16,
    next: i32,
    in_transaction: bool,
    /// Of this epoch.
    sent: Vec<Sent>,
}

/// All that a start has to know: who wrote what, what is open, what was aborted.
#[derive(Debug, PartialEq)]
struct Facts {
    producers: Vec<SnapshotEntry>,
    ends: (Offset, Offset, Offset),
    aborted: Vec<(i64, i64)>,
    values: usize,
}

impl Sent {
    fn batch(&self, is_transactional: bool) -> Batch {
        let mut builder = BatchBuilder::new(Codec::None).producer(
            ProducerId(self.producer),
            ProducerEpoch(self.epoch),
            self.sequence,
        );
        if is_transactional {
            builder = builder.transactional();
        }
        for _ in 0..self.records {
            builder.push(TimestampMs(1_000), None, Some(b"value"), []);
        }
        builder.build(Offset(0), LeaderEpoch(0)).unwrap()
    }
}

/// What producers do to a partition. Producers 0 and 1 are idempotent; 2 and 3 write transactions.
struct World {
    random: SeededRandom,
    producers: BTreeMap<i64, Producer>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self { random: SeededRandom::new(seed), producers: BTreeMap::new() }
    }

    fn below(&self, bound: u64) -> i32 {
        i32::try_from(self.random.below(bound)).unwrap()
    }

    async fn step(&mut self, node: &Node) {
        match self.below(20) {
            0..12 => self.write(&node.t0()).await,
            12..15 => self.end(&node.t0()).await,
            15 => node.t0().roll().await.unwrap(),
            16 | 17 => node.partitions.flush_now().await,
            _ => node.partitions.checkpoint_now().await,
        }
    }

    async fn write(&mut self, handle: &PartitionHandle) {
        let id = i64::from(self.below(PRODUCERS));
        let records = 1 + self.below(3);
        let producer = self.producers.entry(id).or_default();
        let mut sent = Sent { producer: id, epoch: producer.epoch, sequence: producer.next, records, offset: 0 };
        let is_transactional = id >= 2;
        let guard = is_transactional.then(|| handle.verify(&unverified(&sent))).flatten();
        let options = AppendOptions { guard, ..AppendOptions::new(Origin::Client) };
        sent.offset = handle.append(vec![sent.batch(is_transactional)], options).await.unwrap().base_offset.0;
        producer.next += records;
        producer.in_transaction = is_transactional;
        producer.sent.push(sent);
    }

    async fn end(&mut self, handle: &PartitionHandle) {
        let outcome = if self.below(2) == 0 { Outcome::Abort } else { Outcome::Commit };
        let Some((id, producer)) = self.producers.iter_mut().find(|(_, producer)| producer.in_transaction) else {
            return;
        };
        producer.epoch += 1;
        (producer.next, producer.in_transaction) = (0, false);
        producer.sent.clear();
        let (producer, epoch) = (ProducerId(*id), ProducerEpoch(producer.epoch));
        let marker = Marker { producer, epoch, coordinator_epoch: 0, outcome };
        handle.end_transaction(&marker, Version::Bumping).await.unwrap();
    }

    /// Each producer sends its last batches again: they are known.
    async fn check_duplicates(&self, handle: &PartitionHandle, seed: u64) {
        for producer in self.producers.values() {
            for sent in producer.sent.iter().rev().take(IN_FLIGHT) {
                let batch = sent.batch(sent.producer >= 2);
                let again = handle.append(vec![batch], AppendOptions::new(Origin::Client)).await;
                let again = again.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                assert!(again.duplicate, "seed {seed}: a record is there twice");
                assert_eq!(again.base_offset.0, sent.offset, "seed {seed}");
            }
        }
    }
}

fn unverified(sent: &Sent) -> Unverified {
    let (producer, epoch) = (ProducerId(sent.producer), ProducerEpoch(sent.epoch));
    Unverified { producer, epoch, first_sequence: sent.sequence, bumps: true }
}

async fn facts(node: &Node) -> Facts {
    let handle = node.t0();
    let bounds = handle.bounds();
    let request = ReadRequest { isolation: Isolation::ReadCommitted, ..ReadRequest::new(Offset(0), 10 << 20) };
    let aborted = handle.log().aborted(Offset(0), bounds.log_end).await.unwrap();
    assert_eq!(handle.read(request).await.unwrap().bounds.last_stable, bounds.last_stable);
    Facts {
        producers: handle.active_producers(),
        ends: (bounds.log_start, bounds.last_stable, bounds.log_end),
        aborted: aborted.iter().map(|txn| (txn.first_offset.0, txn.last_offset.0)).collect(),
        values: values(&handle, 0).await.len(),
    }
}

/// The same disk, of which the log alone is left to say what producers did.
async fn without_snapshots(disk: &SimDisk) -> Arc<SimDisk> {
    let copy = disk.after_power_cut(|most| most);
    for path in snapshots(&copy).into_iter().chain([PathBuf::from(KEPT)]) {
        if copy.exists(&path).await.unwrap() {
            copy.remove_file(&path).await.unwrap();
        }
    }
    Arc::new(copy)
}

fn snapshots(disk: &SimDisk) -> Vec<PathBuf> {
    let is_snapshot = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "snapshot");
    disk.files().into_iter().map(|(path, _)| path).filter(is_snapshot).collect()
}

/// How much of the log was read since [`SimDisk::watch_reads`].
fn log_bytes_read(disk: &SimDisk) -> u64 {
    let reads = disk.take_reads();
    let of_log = reads.iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "log"));
    of_log.map(|(_, range)| range.end - range.start).sum()
}

#[tokio::test]
async fn what_was_kept_and_the_log_after_it_say_what_the_whole_log_says() {
    let mut kept = 0;
    for seed in 0..seeds() {
        let disk = Arc::new(SimDisk::new());
        let mut world = World::new(seed);
        let mut node = Node::start(&disk, image(&[])).await;
        for _ in 0..4 {
            for _ in 0..10 + world.below(40) {
                world.step(&node).await;
            }
            node.kill().await;
            kept += u64::from(node::file(&disk, KEPT).is_some());
            let whole = Node::start(&without_snapshots(&disk).await, image(&[])).await;
            node = Node::start(&disk, image(&[])).await;
            assert_eq!(facts(&node).await, facts(&whole).await, "seed {seed}");
            world.check_duplicates(&whole.t0(), seed).await;
            world.check_duplicates(&node.t0(), seed).await;
            whole.kill().await;
        }
        node.kill().await;
    }
    assert!(kept > seeds() * 3, "{kept}");
}

#[tokio::test]
async fn what_was_kept_and_is_missing_cut_or_flipped_is_done_without() {
    for damage in 0..4 {
        for rolls in [false, true] {
            let disk = Arc::new(SimDisk::new());
            let mut world = World::new(7);
            let node = Node::start(&disk, image(&[])).await;
            for step in 0..60 {
                world.write(&node.t0()).await;
                if step % 5 == 0 {
                    world.end(&node.t0()).await;
                }
                if rolls && step == 30 {
                    node.t0().roll().await.unwrap();
                    world.write(&node.t0()).await;
                }
            }
            node.partitions.flush_now().await;
            node.partitions.checkpoint_now().await;
            node.kill().await;
            let len = usize::try_from(node::file(&disk, KEPT).unwrap()).unwrap();
            match damage {
                0 => disk.remove_file(Path::new(KEPT)).await.unwrap(),
                1 => {
                    let file = disk.open(Path::new(KEPT), millstream_runtime::OpenMode::Append).await.unwrap();
                    file.truncate(len as u64 - 7).await.unwrap();
                }
                2 => assert!(disk.flip(Path::new(KEPT), len / 2, 1)),
                _ => assert!(disk.flip(Path::new(KEPT), 9, 1)),
            }
            let whole = Node::start(&without_snapshots(&disk).await, image(&[])).await;
            let node = Node::start(&disk, image(&[])).await;
            // Kafka's snapshot, which there is where a segment was begun, has the last batch of each producer; what follows it has the rest.
            assert_eq!(facts(&node).await, facts(&whole).await, "damage {damage}, rolls {rolls}");
            if !rolls {
                world.check_duplicates(&node.t0(), 7).await;
            }
            node.kill().await;
            whole.kill().await;
        }
    }
}

#[tokio::test]
async fn a_start_after_a_kill_reads_what_was_written_since_the_checkpoint() {
    let disk = Arc::new(SimDisk::new());
    let mut world = World::new(1);
    let node = Node::start(&disk, image(&[])).await;
    let mut after = 0;
    for step in 0..1_500 {
        world.write(&node.t0()).await;
        if step % 9 == 0 {
            world.end(&node.t0()).await;
        }
        if step == 1_400 {
            node.partitions.flush_now().await;
            node.partitions.checkpoint_now().await;
            after = node.t0().size();
        }
    }
    let size = node.t0().size();
    node.kill().await;
    disk.watch_reads();
    let node = Node::start(&disk, image(&[])).await;
    let read = log_bytes_read(&disk);
    assert!(read < 3 * (size - after) + 20_000, "{read} bytes of {size}, of which {} came after", size - after);
    world.check_duplicates(&node.t0(), 1).await;
    node.kill().await;
}

#[tokio::test]
async fn what_a_power_cut_took_is_not_known_of_producers_either() {
    for seed in 0..seeds() {
        let disk = Arc::new(SimDisk::new());
        let mut world = World::new(seed);
        let node = Node::start(&disk, image(&[])).await;
        for _ in 0..60 {
            world.step(&node).await;
        }
        let random = SeededRandom::new(seed);
        let cut = Arc::new(disk.after_power_cut(|most| random.below(most.saturating_add(1)).min(most)));
        node.kill().await;
        let whole = Node::after_power_cut(&without_snapshots(&cut).await, image(&[])).await;
        let node = Node::after_power_cut(&cut, image(&[])).await;
        assert_eq!(facts(&node).await, facts(&whole).await, "seed {seed}");
        node.kill().await;
        whole.kill().await;
    }
}
