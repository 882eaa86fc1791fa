//! The log against a model in memory, by random operations: appends, rolls, reads anywhere, truncation, retention, restarts, kills and power cuts.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

#[path = "model/harness.rs"]
mod harness;

use harness::Harness;

/// More by `MODEL_SEEDS`.
const SEEDS: u64 = 150;
const STEPS: usize = 120;

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("MODEL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let first = std::env::var("MODEL_FIRST").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    first..first + count
}

#[tokio::test]
async fn the_log_does_what_the_model_does() {
    let mut done = std::collections::BTreeMap::new();
    for seed in seeds() {
        let mut harness = Harness::new(seed).await;
        for _ in 0..STEPS {
            harness.step().await;
        }
        harness.check_all().await;
        for (name, count) in harness.done() {
            *done.entry(name).or_insert(0) += count;
        }
    }
    // A harness that stopped doing something would still pass: it says so here.
    for name in [
        "append",
        "roll",
        "read",
        "read across",
        "truncate",
        "delete before",
        "retain",
        "clean restart",
        "kill",
        "power cut",
        "power cut lost",
        "offset for time",
        "disk full",
    ] {
        assert!(done.get(name).copied().unwrap_or(0) > 0, "{name} never happened: {done:?}");
    }
}
