//! Stores that refuse, lose answers, tear uploads, damage reads or are away; objects that were changed.

use crate::faulty::Fault;
use crate::harness::{Harness, TOPIC, id, read_all};
use millstream_tier::Error;
use millstream_types::{ErrorKind, Offset};

#[tokio::test]
async fn an_upload_that_fails_is_tried_again_within_the_round() {
    for (name, fault) in
        [(".log", Fault::Refuse), (".log", Fault::Tear), (".chunks", Fault::Refuse), (".index", Fault::LoseAnswer)]
    {
        let harness = Harness::new(&[]).await;
        harness.segments(1, 10).await;
        let local = harness.local().await;
        harness.faults.puts(name, 2, fault);
        harness.tier.offload(&harness.source).await.unwrap();
        assert_eq!(read_all(&harness.tier, Offset(0), 1 << 20).await, local, "{name} {fault:?}");
    }
}

#[tokio::test]
async fn a_store_that_goes_on_refusing_is_said_and_then_waited_for() {
    let harness = Harness::new(&[]).await;
    harness.segments(2, 10).await;
    harness.faults.puts("segments/", usize::MAX, Fault::Refuse);
    let error = harness.tier.tend(&harness.source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let status = harness.tier.status_of(id()).unwrap();
    assert!(status.error.unwrap().contains("503 slow down"));
    assert_eq!((status.segments, status.end), (0, None));
    // Nothing was named, so nothing may go from local disk.
    assert_eq!(harness.tier.drop_local(&harness.source).await.unwrap(), 0);
    assert_eq!(harness.source.log.local_start(), Offset(0));
}

#[tokio::test]
async fn a_round_waits_after_a_failure_and_an_order_does_not() {
    let mut harness = Harness::new(&[]).await;
    let config = millstream_tier::Config {
        backoff_min: std::time::Duration::from_secs(3_600),
        backoff_max: std::time::Duration::from_secs(3_600),
        ..crate::harness::config(harness.dir.path())
    };
    harness.tier = crate::harness::tier(&harness.runtime, &harness.store, &harness.faults, config);
    harness.segments(1, 10).await;
    harness.faults.set_away(true);
    harness.tier.tend(&harness.source).await.unwrap_err();
    harness.faults.set_away(false);
    assert_eq!(harness.tier.tend(&harness.source).await.unwrap().offloaded.segments, 0);
    assert_eq!(harness.tier.offload(&harness.source).await.unwrap().segments, 1);
    assert_eq!(harness.tier.status_of(id()).unwrap().error, None);
}

#[tokio::test]
async fn a_manifest_whose_answer_was_lost_counts() {
    let harness = Harness::new(&[]).await;
    harness.segments(1, 10).await;
    harness.faults.puts("manifest/", 1, Fault::LoseAnswer);
    harness.tier.offload(&harness.source).await.unwrap();
    assert_eq!(harness.objects("/manifest/").await.len(), 1);
    assert_eq!(harness.tier.status_of(id()).unwrap().manifest, 1);
}

#[tokio::test]
async fn a_crash_between_upload_and_manifest_leaves_garbage_that_a_sweep_removes() {
    let harness = Harness::new(&[]).await;
    harness.segments(1, 10).await;
    harness.tier.offload(&harness.source).await.unwrap();
    harness.segments(1, 10).await;
    harness.faults.puts("manifest/", 1, Fault::Refuse);
    harness.tier.offload(&harness.source).await.unwrap_err();

    let restarted = harness.new_tier("other");
    assert_eq!(restarted.load(TOPIC, id()).await.unwrap().end(), Some(Offset(30)));
    let local = harness.local().await;
    restarted.offload(&harness.source).await.unwrap();
    let objects = harness.objects("/segments/").await.len();
    // What is young may be an upload on its way.
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(restarted.sweep(&harness.source, day).await.unwrap(), 0);
    let removed = restarted.sweep(&harness.source, std::time::Duration::ZERO).await.unwrap();
    assert_eq!((removed, objects - removed), (5, 10), "five objects of each segment");
    assert_eq!(read_all(&restarted, Offset(0), 1 << 20).await, local);
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable_and_comes_back() {
    let harness = Harness::new(&[]).await;
    harness.segments(1, 10).await;
    let local = harness.local().await;
    harness.tier.offload(&harness.source).await.unwrap();
    let restarted = harness.new_tier("other");
    // Before anyone has said so, "not there" would make consumers begin anew elsewhere.
    assert_eq!(restarted.read(id(), Offset(0), 1).await.unwrap_err().kind(), ErrorKind::Unavailable);
    restarted.register(TOPIC, id());
    harness.faults.set_away(true);
    assert_eq!(restarted.load(TOPIC, id()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let error = restarted.read(id(), Offset(0), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("the test's store"), "{error}");
    assert_eq!(restarted.log_start(id()), None);
    harness.faults.set_away(false);
    assert_eq!(read_all(&restarted, Offset(0), 1 << 20).await, local);
}

#[tokio::test]
async fn what_arrives_damaged_once_is_fetched_again() {
    let harness = Harness::new(&[]).await;
    harness.segments(1, 10).await;
    let local = harness.local().await;
    harness.tier.offload(&harness.source).await.unwrap();
    // The chunk index comes first.
    harness.tier.read(id(), Offset(0), 1).await.unwrap();
    let restarted = harness.new_tier("other");
    restarted.load(TOPIC, id()).await.unwrap();
    restarted.read(id(), Offset(0), 1).await.unwrap();
    harness.faults.damage_reads(1);
    assert_eq!(read_all(&restarted, Offset(0), 1 << 20).await, local);
}

#[tokio::test]
async fn a_corrupt_object_is_refused_by_name() {
    for kind in [".log", ".chunks", "/manifest/"] {
        let harness = Harness::new(&[]).await;
        harness.segments(1, 10).await;
        harness.tier.offload(&harness.source).await.unwrap();
        let name = harness.damage(kind).await;
        let restarted = harness.new_tier("other");
        restarted.register(TOPIC, id());
        let error = restarted.read(id(), Offset(15), 1 << 20).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(name.filename().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_missing_object_is_refused_by_name() {
    use object_store::ObjectStoreExt;
    let harness = Harness::new(&[]).await;
    harness.segments(1, 10).await;
    harness.tier.offload(&harness.source).await.unwrap();
    let [name] = harness.objects(".log").await.try_into().unwrap();
    harness.store.delete(&name).await.unwrap();
    let error = harness.tier.read(id(), Offset(0), 1).await.unwrap_err();
    assert!(matches!(&error, Error::Missing { object, .. } if *object == name.to_string()), "{error}");
}

#[tokio::test]
async fn a_local_segment_that_is_corrupt_is_not_copied() {
    let harness = Harness::new(&[]).await;
    harness.segments(1, 10).await;
    let path = harness.source.log.folder().join("00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = harness.tier.offload(&harness.source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("00000000000000000000.log"), "{error}");
    assert!(harness.objects("/manifest/").await.is_empty());
}
