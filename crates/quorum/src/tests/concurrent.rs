//! Many decisions at once: one order, one winner, and no waiting for each other's commits.

use super::{DATA, config, create, life, look, start, topic, topic_names};
use crate::{Error, Service};
use millstream_metadata::topics;
use millstream_runtime::{Runtime, SimDisk};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_want_one_name_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::real();
    let handle = Service::start(&runtime, config(folder.path())).await.unwrap();
    let tasks = (0..400u128).map(|number| {
        let handle = handle.clone();
        runtime.compute.run(async move { create(&handle, &format!("topic-{}", number % 100), number).await })
    });
    let results: Vec<_> = futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let won = results.iter().filter(|result| result.is_ok()).count();
    let conflicts = results
        .iter()
        .filter(|result| matches!(result, Err(Error::Refused(millstream_metadata::Error::TopicExists { .. }))))
        .count();
    assert_eq!((won, conflicts), (100, 300));
    assert_eq!(handle.image().topic_count(), 100);
    handle.stop().await.unwrap();
}

#[test]
fn who_is_answered_reads_what_was_decided() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        let mut watch = handle.watch();
        for number in 0..50 {
            let name = format!("topic-{number}");
            let created = create(&handle, &name, number).await.unwrap();
            assert_eq!(handle.image().topic_named(&name).unwrap().id, created.id);
            assert!(watch.borrow_and_update().topic_named(&name).is_some());
        }
    });
}

#[test]
fn a_decision_that_changes_nothing_waits_for_what_it_rests_on() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        let (created, seen) = tokio::join!(create(&handle, "flights", 1), async {
            let seen = handle.decide(look).await.unwrap();
            assert_eq!(seen, topic_names(&handle.image()), "answered before it was committed");
            seen
        });
        created.unwrap();
        assert_eq!(seen, ["flights"]);
    });
}

#[test]
fn a_refused_decision_leaves_nothing_behind() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        assert!(matches!(create(&handle, "no/name", 1).await, Err(Error::Refused(_))));
        create(&handle, "name", 1).await.unwrap();
        assert_eq!(topic_names(&handle.image()), ["name"]);
    });
}

#[test]
fn a_caller_that_goes_away_harms_nobody() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        for number in 0..20 {
            let request = topic(&format!("dropped-{number}"), number);
            // Polled once: decided and queued, and then nobody waits.
            let decision = handle.decide(|image| topics::create(image, &request));
            let _ = futures::FutureExt::now_or_never(decision);
        }
        create(&handle, "kept", 1000).await.unwrap();
        assert!(matches!(create(&handle, "kept", 1001).await, Err(Error::Refused(_))));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "measures how long the real thing takes")]
async fn ten_thousand_topics_are_made_in_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::real();
    let handle = Service::start(&runtime, config(folder.path())).await.unwrap();
    let begun = Instant::now();
    let creations = (0..10_000u128).map(|number| {
        let handle = handle.clone();
        async move { create(&handle, &format!("topic-{number}"), number).await.map(|_| ()) }
    });
    let all = futures::StreamExt::collect::<Vec<_>>(futures::StreamExt::buffer_unordered(
        futures::stream::iter(creations),
        500,
    ))
    .await;
    assert!(all.into_iter().all(|result| result.is_ok()));
    let took = begun.elapsed();
    eprintln!("10,000 topics: {took:?}");
    assert!(took < Duration::from_secs(60), "10,000 topics took {took:?}");
    handle.stop().await.unwrap();
    let begun = Instant::now();
    let handle = Service::start(&Runtime::real(), config(folder.path())).await.unwrap();
    eprintln!("restart with 10,000 topics: {:?}", begun.elapsed());
    assert_eq!(handle.image().topic_count(), 10_000);
    handle.stop().await.unwrap();
}

#[test]
fn after_a_stop_decisions_are_told_so() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle = Service::start(&runtime, config(DATA)).await.unwrap();
        handle.stop().await.unwrap();
        assert!(matches!(create(&handle, "late", 1).await, Err(Error::Stopped { .. })));
        assert!(matches!(handle.health(), Err(Error::Stopped { .. })));
    });
}
