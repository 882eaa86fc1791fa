//! Several writers of one partition's manifests: exactly one wins each number, and an older leader stops.

use crate::harness::{Harness, TOPIC, id, open, read_all};
use millstream_storage::{LogId, Recovery};
use millstream_tier::{Error, LogSource};
use millstream_types::{LeaderEpoch, Offset};
use std::sync::Arc;

#[tokio::test]
async fn of_concurrent_writers_exactly_one_wins_each_number() {
    for in_folder in [false, true] {
        let harness = if in_folder { Harness::in_folder(&[]).await } else { Harness::new(&[]).await };
        harness.segments(3, 10).await;
        let local = harness.local().await;
        let tiers: Vec<_> = (0..6).map(|node| harness.new_tier(&format!("cache-{node}"))).collect();
        let outcomes = futures::future::join_all(tiers.iter().map(|tier| tier.offload(&harness.source))).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        // All wanted to write the same; the first did, and the others found that there was nothing left to add.
        assert_eq!(harness.objects("/manifest/").await.len(), 1);
        let reader = harness.new_tier("reader");
        let manifest = reader.load(TOPIC, id()).await.unwrap();
        assert_eq!((manifest.number, manifest.segments.len()), (1, 3));
        assert_eq!(read_all(&reader, Offset(0), 1 << 20).await, local);
    }
}

#[tokio::test]
async fn a_writer_that_was_overtaken_goes_on_from_the_newer_manifest() {
    let harness = Harness::new(&[]).await;
    harness.segments(1, 10).await;
    let (first, second) = (harness.new_tier("first"), harness.new_tier("second"));
    first.load(TOPIC, id()).await.unwrap();
    second.offload(&harness.source).await.unwrap();
    harness.segments(1, 10).await;
    // It thinks that nothing is cold yet, copies both, and adds the one that is missing.
    first.offload(&harness.source).await.unwrap();
    let manifest = first.manifest(id()).unwrap();
    assert_eq!((manifest.number, manifest.segments.len(), manifest.end()), (2, 2, Some(Offset(60))));
}

#[tokio::test]
async fn a_stale_leader_is_fenced() {
    let harness = Harness::new(&[]).await;
    harness.segments(1, 10).await;
    let old = harness.new_tier("old");
    old.load(TOPIC, id()).await.unwrap();
    harness.source.log.assign_epoch(LeaderEpoch(3)).await.unwrap();
    harness.tier.offload(&harness.source).await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let log = open(&harness.runtime, dir.path(), &harness.options, Recovery::CLEAN).await;
    let stale = Harness { source: LogSource { log, ..harness.source.clone() }, ..Harness::new(&[]).await };
    stale.segments(2, 10).await;
    let error = old.offload(&stale.source).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { ours: LeaderEpoch(0), theirs: LeaderEpoch(3), .. }), "{error}");
    assert_eq!(harness.objects("/manifest/").await.len(), 1);
}

#[tokio::test]
async fn a_log_that_lost_its_folder_is_refused() {
    let harness = Harness::new(&[]).await;
    harness.segments(2, 10).await;
    harness.tier.offload(&harness.source).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log_id = LogId { dir: dir.path().to_owned(), ..harness.source.log.id().clone() };
    let config = Arc::new(millstream_types::TopicConfig::parse(&harness.options).unwrap());
    let log = millstream_storage::Log::open(harness.runtime.clone(), log_id, config, Recovery::CLEAN).await.unwrap();
    let empty = LogSource { log, ..harness.source.clone() };
    let error = harness.tier.offload(&empty).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "orders-0: the object store ends at offset 60, the log here ends at 0; nothing is copied, recover the topic or delete its copy"
    );
}

#[tokio::test]
async fn only_recent_manifests_are_kept() {
    let harness = Harness::new(&[]).await;
    for _ in 0..13 {
        harness.segments(1, 1).await;
        harness.tier.offload(&harness.source).await.unwrap();
    }
    let names = harness.objects("/manifest/").await;
    assert_eq!(names.len(), 10);
    assert_eq!(names[0].filename(), Some("00000000000000000004.json"));
}
