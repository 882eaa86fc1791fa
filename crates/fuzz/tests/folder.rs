//! Folders damaged at random, from a seed: a short run of what the fuzz target `folder` does for long.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use millstream_fuzz::folder::{Found, exercise};
use millstream_runtime::{Random, SeededRandom};
use std::collections::BTreeMap;

/// More by `MODEL_SEEDS`.
const SEEDS: u64 = 1_500;

#[test]
fn a_damaged_folder_is_refused_or_read_and_never_a_panic() {
    assert_eq!(exercise(&[]), Found::Whole, "the folder without damage");
    let seeds = std::env::var("MODEL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..seeds {
        let random = SeededRandom::new(seed);
        let len = random.below(300);
        let bytes: Vec<u8> = (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let outcome = std::panic::catch_unwind(|| exercise(&bytes));
        let outcome = outcome.unwrap_or_else(|_| panic!("seed {seed}"));
        *found.entry(format!("{outcome:?}")).or_default() += 1;
    }
    println!("{found:?}");
    // All three are met, or the damage tests nothing.
    assert!(found.len() == 3 && found.values().all(|count| count * 100 >= seeds), "{found:?}");
}
