//! Producers, partitions and a coordinator over a network that delays, repeats and loses, with crashes and failing writes, from seeds.
//!
//! What must hold: records of a transaction whose commit was answered are committed, all of them; of one whose abort was answered, none;
//! every transaction has one fate in all partitions, and is committed only if its client asked for that; nothing hangs at the end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod client;
mod world;

use std::collections::BTreeMap;
use world::World;

/// More by `SIMULATION_SEEDS`, from `SIMULATION_FIRST` on.
const SEEDS: u64 = 1_500;
const STEPS: usize = 1_500;
/// How often each thing happens at least: in every seed, and in a hundred seeds together.
const FLOORS: [(&str, u64, u64); 10] = [
    ("commit answered", 0, 650),
    ("abort answered", 0, 280),
    ("records committed", 0, 1_800),
    ("records aborted", 0, 1_400),
    ("crash", 0, 230),
    ("write failed", 0, 270),
    ("fenced", 0, 340),
    ("timed out", 0, 150),
    ("late append refused", 0, 6),
    ("producer id changed", 0, 75),
];

fn seeds() -> std::ops::Range<u64> {
    let number = |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let first = number("SIMULATION_FIRST", 0);
    first..first + number("SIMULATION_SEEDS", SEEDS)
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    (0..STEPS).for_each(|_| world.step());
    world.heal();
    world
}

#[test]
fn no_seed_breaks_a_promise() {
    let mut totals: BTreeMap<&str, (u64, u64)> = FLOORS.map(|(event, ..)| (event, (u64::MAX, 0))).into();
    let seeds = seeds();
    for seed in seeds.clone() {
        let mut world = run(seed);
        world.check();
        for (event, (least, total)) in &mut totals {
            let count = world.counts.get(event).copied().unwrap_or(0);
            (*least, *total) = ((*least).min(count), *total + count);
        }
    }
    println!("{} seeds, the least in one and the total: {totals:?}", seeds.end - seeds.start);
    // A simulation in which little happens proves little.
    for (event, each, of_hundred) in FLOORS {
        let (least, total) = totals[event];
        let floor = of_hundred * (seeds.end - seeds.start) / 100;
        assert!(least >= each && total >= floor, "{event}: {least} in a seed, {total} of at least {floor} in all");
    }
}

#[test]
fn a_seed_runs_alike_twice() {
    for seed in seeds().step_by(100) {
        assert_eq!(run(seed).trace(), run(seed).trace(), "seed {seed}");
    }
}
