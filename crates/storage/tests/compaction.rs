//! Compaction against a model, by random operations: keys, tombstones, transactions, several producers; kills and power cuts at every step of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

#[path = "compaction/model.rs"]
mod model;
#[path = "compaction/stopping_disk.rs"]
mod stopping_disk;
#[path = "compaction/world.rs"]
mod world;

use std::collections::BTreeMap;
use world::World;

/// More by `MODEL_SEEDS`.
const SEEDS: u64 = 120;
const STEPS: usize = 60;
/// How often each thing happens at least in a hundred seeds.
const FLOORS: [(&str, u64); 16] = [
    ("aborted", 300),
    ("aborted data gone", 6_000),
    ("cleaned", 150),
    ("cleaned to the end", 100),
    ("committed", 280),
    ("full map", 40),
    ("joined segments", 20),
    ("kill", 230),
    ("kill in a compaction", 15),
    ("kill in a swap", 1),
    ("marker gone", 20),
    ("power cut", 150),
    ("power cut in a compaction", 10),
    ("record without key gone", 550),
    ("tombstone gone", 25),
    ("tombstone kept", 700),
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(start_paused = true)]
async fn a_compacted_log_has_what_the_model_has() {
    let mut done = BTreeMap::new();
    let first = number("MODEL_FIRST", 0);
    for seed in first..first + number("MODEL_SEEDS", SEEDS) {
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        world.finish().await;
        for (name, count) in world.done() {
            *done.entry(name).or_insert(0) += count;
        }
    }
    let seeds = number("MODEL_SEEDS", SEEDS);
    println!("{seeds} seeds: {done:?}");
    // A harness that does little proves little.
    for (name, of_hundred) in FLOORS {
        let (floor, count) = (of_hundred * seeds / 100, done.get(name).copied().unwrap_or(0));
        assert!(count >= floor, "{name}: {count} of at least {floor}; all: {done:?}");
    }
}
