//! A whole share group from a seed: members whose heartbeats are lost, late or come twice, who die, are silent and leave; the records they
//! acquire, accept, release, reject, renew or keep too long; leaders that change, coordinators that crash, writes that fail; topics that grow,
//! logs that are compacted and cut. What KIP-932 promises is checked at every step, offset by offset.

#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../support/desk.rs"]
mod desk;
#[path = "../support/dice.rs"]
mod dice;
mod keeper;
mod partition;
mod state;
mod world;

use world::{Seen, World};

fn run(seed: u64) -> (Seen, String) {
    let mut world = World::new(seed);
    for _ in 0..500 {
        world.step();
    }
    world.calm_down();
    world.check_converged();
    let stored = format!("{:?} {:?}", world.desk.log, world.keeper.log);
    (world.seen, stored)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how many seeds is the caller's to say, not the crate's to decide by")]
fn promises_hold_for_many_seeds() {
    let seeds: u64 = std::env::var("MILLSTREAM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let mut total = Seen::default();
    for seed in 0..seeds {
        total.add(&run(seed).0);
    }
    println!("{total:?}");
    // A simulation in which nothing happens proves nothing: floors for ten seeds.
    let scarce = total.below(usize::try_from(seeds).unwrap());
    assert!(scarce.is_empty(), "too few of {scarce:?}: {total:?}");
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let (seen, stored) = run(7);
    let (again, stored_again) = run(7);
    assert_eq!((format!("{seen:?}"), stored), (format!("{again:?}"), stored_again));
}
