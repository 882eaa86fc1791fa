//! Producers, partitions and a coordinator over a network that delays, repeats and loses, with crashes and failing writes, from seeds.
//!
//! What must hold: records of a transaction whose commit was answered are committed, all of them; of one whose abort was answered, none;
//! every transaction has one fate in all partitions, and is committed only if its client asked for that; nothing hangs at the end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;
mod world;

use std::collections::BTreeMap;
use world::World;

const SEEDS: u64 = 1_500;
const STEPS: usize = 1_500;

#[test]
fn no_seed_breaks_a_promise() {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.heal();
        world.check();
        for (event, count) in &world.counts {
            *counts.entry(event).or_default() += count;
        }
    }
    // A simulation in which little happens proves little.
    for (event, floor) in [
        ("commit answered", 8_000),
        ("abort answered", 2_000),
        ("records committed", 15_000),
        ("records aborted", 5_000),
        ("crash", 3_000),
        ("write failed", 1_000),
        ("fenced", 1_500),
        ("timed out", 300),
        ("late append refused", 100),
        ("producer id changed", 100),
    ] {
        let seen = counts.get(event).copied().unwrap_or(0);
        assert!(seen >= floor, "{event}: {seen} of at least {floor}; all: {counts:?}");
    }
}

#[test]
fn a_seed_runs_alike_twice() {
    let run = |seed| {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.heal();
        world.trace()
    };
    for seed in [1, 77, 1_234] {
        assert_eq!(run(seed), run(seed));
    }
}
