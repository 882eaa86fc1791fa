//! A whole node in a simulated world: random requests, power cuts that lose what was not synced, restarts. A seed run twice leaves the
//! same trace, and what was acknowledged with `flush.messages=1` is there after every cut.

use crate::node::{Node, code, produce, sequenced};
use millstream_partition::ReadRequest;
use millstream_runtime::{Random, SeededRandom, SimDisk};
use millstream_types::{Offset, PartitionIndex, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PARTITIONS: i32 = 3;
const STEPS: u64 = 60;
const TOPIC: &str = "simulated";

/// FNV-1a over everything that was seen.
struct Trace(u64);

impl Trace {
    fn note(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
}

struct World {
    seed: u64,
    disk: Arc<SimDisk>,
    node: Node,
    draw: SeededRandom,
    trace: Trace,
    /// The next sequence of each partition's producer.
    sequences: BTreeMap<i32, i32>,
    /// What was acknowledged: each partition's values by offset.
    acked: BTreeMap<(i32, i64), String>,
    restarts: u64,
}

impl World {
    async fn new(seed: u64) -> Self {
        let disk = Arc::new(SimDisk::new());
        let node = Node::on(seed, disk.clone(), &[]).await;
        node.topic(TOPIC, PARTITIONS, &[("flush.messages", "1"), ("segment.bytes", "4096"), ("retention.ms", "-1")])
            .await;
        let (sequences, acked) = (BTreeMap::new(), BTreeMap::new());
        Self {
            seed,
            disk,
            node,
            draw: SeededRandom::new(seed),
            trace: Trace(0xCBF2_9CE4_8422_2325),
            sequences,
            acked,
            restarts: 0,
        }
    }

    fn partition(&self, index: i32) -> TopicPartition {
        let id = self.node.quorum.image().topic_id(TOPIC).unwrap();
        TopicPartition::new(id, PartitionIndex(index))
    }

    async fn step(&mut self, step: u64) {
        let index = i32::try_from(self.draw.below(u64::from(PARTITIONS.unsigned_abs()))).unwrap();
        match self.draw.below(10) {
            0 => self.cut().await,
            1 | 2 => self.read(index).await,
            _ => self.produce(index, step).await,
        }
    }

    async fn produce(&mut self, index: i32, step: u64) {
        let sequence = self.sequences.get(&index).copied().unwrap_or(0);
        let values: Vec<String> = (0..=self.draw.below(3))
            .map(|n| format!("{step}-{n}-{}", "x".repeat(usize::try_from(self.draw.below(400)).unwrap())))
            .collect();
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let records = sequenced(i64::from(index) + 1, sequence, &texts);
        let response = self.node.ask(9, &produce(TOPIC, index, Some(records), -1)).await;
        assert_eq!(code(&response), 0, "seed {}", self.seed);
        let base = response.responses[0].partition_responses[0].base_offset;
        self.trace.note(&base.to_be_bytes());
        self.sequences.insert(index, sequence + i32::try_from(values.len()).unwrap());
        self.acked.extend(values.into_iter().zip(base..).map(|(value, offset)| ((index, offset), value)));
    }

    /// Reads a partition from its start and holds it to what was acknowledged: once each, in order, nothing else.
    async fn read(&mut self, index: i32) {
        let handle = self.node.partitions.ready(self.partition(index), Duration::from_secs(10)).await.unwrap();
        let mut seen: BTreeMap<(i32, i64), String> = BTreeMap::new();
        let mut from = Offset::ZERO;
        while from < handle.bounds().high_watermark {
            let (bytes, _) = handle.read_bytes(ReadRequest::new(from, 1 << 20)).await.unwrap();
            self.trace.note(&bytes);
            for batch in millstream_record::split(bytes).unwrap() {
                let records = batch.records(&millstream_record::Limits::default()).unwrap();
                let values = records.values.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap());
                seen.extend(records.offsets.iter().map(|offset| (index, *offset)).zip(values));
                from = batch.next_offset();
            }
        }
        let expected: BTreeMap<(i32, i64), String> = self
            .acked
            .iter()
            .filter(|((partition, _), _)| *partition == index)
            .map(|(place, value)| (*place, value.clone()))
            .collect();
        assert_eq!(seen, expected, "seed {}", self.seed);
    }

    /// A power cut, and a start over what it left.
    async fn cut(&mut self) {
        let draw = &self.draw;
        self.disk.crash(|bound| draw.below(bound + 1));
        self.node.runtime.tasks.stop_and_wait(Duration::from_secs(60)).await;
        // The process is gone: what it still does goes to files that nobody sees.
        let _ = self.node.quorum.stop().await;
        self.restarts += 1;
        self.node = Node::on(self.seed + self.restarts, self.disk.clone(), &[]).await;
    }
}

async fn run(seed: u64) -> u64 {
    let mut world = World::new(seed).await;
    for step in 0..STEPS {
        world.step(step).await;
    }
    world.cut().await;
    for index in 0..PARTITIONS {
        world.read(index).await;
    }
    for (path, len) in world.disk.files() {
        world.trace.note(path.to_string_lossy().as_bytes());
        world.trace.note(&len.to_be_bytes());
    }
    let _ = world.node.quorum.stop().await;
    world.trace.0
}

fn world(seed: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(run(seed))
}

/// `MILLSTREAM_SEEDS` runs more of them.
fn seeds() -> u64 {
    std::env::var("MILLSTREAM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    for seed in 0..seeds() {
        world(seed);
    }
}

#[test]
fn a_seed_leaves_the_same_trace_again() {
    for seed in 0..5 {
        assert_eq!(world(seed), world(seed), "seed {seed}");
    }
}
