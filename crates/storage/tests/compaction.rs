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
    println!("{done:?}");
    // A harness that stopped doing something would still pass: it says so here.
    for name in [
        "aborted",
        "aborted data gone",
        "cleaned",
        "cleaned to the end",
        "committed",
        "full map",
        "joined segments",
        "kill",
        "kill in a compaction",
        "kill in a swap",
        "marker gone",
        "power cut",
        "power cut in a compaction",
        "record without key gone",
        "tombstone gone",
        "tombstone kept",
    ] {
        assert!(done.get(name).copied().unwrap_or(0) > 0, "{name} never happened: {done:?}");
    }
}
