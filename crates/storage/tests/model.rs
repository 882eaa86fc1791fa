//! The log against a model in memory, by random operations: appends, rolls, reads anywhere, truncation, retention, restarts, kills and power cuts.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

#[path = "model/harness.rs"]
mod harness;

use harness::Harness;

/// More by `MODEL_SEEDS`.
const SEEDS: u64 = 150;
const STEPS: usize = 120;
/// How often each thing happens at least in a hundred seeds.
const FLOORS: [(&str, u64); 13] = [
    ("append", 5_000),
    ("roll", 260),
    ("read", 2_500),
    ("read across", 1_000),
    ("truncate", 260),
    ("delete before", 190),
    ("retain", 14),
    ("clean restart", 180),
    ("kill", 170),
    ("power cut", 290),
    ("power cut lost", 180),
    ("offset for time", 330),
    ("disk full", 170),
];

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("MODEL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let first = std::env::var("MODEL_FIRST").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    first..first + count
}

/// What a seed does. In a runtime of its own: whose turn it is depends on how often it was somebody's before.
#[tokio::main(flavor = "current_thread")]
async fn run(seed: u64) -> Harness {
    let mut harness = Harness::new(seed).await;
    for _ in 0..STEPS {
        harness.step().await;
    }
    harness.check_all().await;
    harness
}

#[test]
fn the_log_does_what_the_model_does() {
    let mut done = std::collections::BTreeMap::new();
    for seed in seeds() {
        let harness = run(seed);
        for (name, count) in harness.done() {
            *done.entry(name).or_insert(0) += count;
        }
    }
    println!("{} seeds: {done:?}", seeds().end - seeds().start);
    // A harness that does little proves little.
    for (name, of_hundred) in FLOORS {
        let (floor, count) = (of_hundred * (seeds().end - seeds().start) / 100, done.get(name).copied().unwrap_or(0));
        assert!(count >= floor, "{name}: {count} of at least {floor}; all: {done:?}");
    }
}

#[test]
fn a_seed_gives_the_same_log_again() {
    for seed in seeds().step_by(50) {
        let traces = [run(seed), run(seed)].map(trace);
        assert!(traces[0] == traces[1], "seed {seed}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn trace(harness: Harness) -> String {
    harness.trace().await
}
