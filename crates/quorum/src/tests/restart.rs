//! What was decided is there after a restart, of whatever sort.

use super::{DATA, config, create, life, start, topic_names};
use crate::{Config, Service};
use millstream_metadata::{Image, configs, producer_ids};
use millstream_runtime::{Disk, Runtime, SimDisk};
use millstream_types::{BrokerId, LeaderEpoch};
use std::path::Path;
use std::sync::Arc;

/// What must not differ between two lives: all but epochs, which every start raises.
fn lasting(image: &Image) -> (Vec<String>, i64, Vec<Vec<BrokerId>>) {
    let replicas =
        image.topics().flat_map(|topic| topic.partitions.iter().map(|partition| partition.replicas.clone())).collect();
    (topic_names(image), image.next_producer_id().0, replicas)
}

#[test]
fn a_first_start_forms_a_cluster_and_leads_it_at_once() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let before = runtime.clock.elapsed();
        let handle = start(&runtime).await;
        let image = handle.image();
        assert_eq!(image.cluster_id(), Some(handle.cluster_id()));
        assert_eq!(handle.controller(), Some(BrokerId(1)));
        assert_eq!(
            image.broker(BrokerId(1)).map(|broker| (broker.fenced, Some(broker.epoch))),
            Some((false, handle.broker_epoch()))
        );
        assert_eq!(image.controller_epoch().0, 1);
        let took = runtime.clock.elapsed() - before;
        assert!(took.as_millis() < 500, "an election timeout was waited for: {took:?}");
    });
}

#[test]
fn a_stop_and_a_start_keep_everything() {
    let disk = Arc::new(SimDisk::new());
    let before = life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        create(&handle, "flights", 1).await.unwrap();
        let (broker, epoch) = (handle.node_id(), handle.broker_epoch().unwrap());
        let block = handle.decide(|image| producer_ids::allocate_block(image, broker, epoch)).await.unwrap();
        assert_eq!(block, 0..1000);
        handle.stop().await.unwrap();
        handle.image()
    });
    life(2, &disk, async |runtime| {
        let handle = start(&runtime).await;
        let image = handle.image();
        assert_eq!(lasting(&image), lasting(&before));
        assert_eq!(handle.cluster_id(), before.cluster_id().unwrap());
        assert!(image.controller_epoch() > before.controller_epoch());
        assert!(handle.broker_epoch().unwrap() > before.last_broker_epoch());
    });
}

#[test]
fn a_restart_bumps_the_leader_epoch_as_a_fencing_and_an_election_do() {
    let disk = Arc::new(SimDisk::new());
    let epoch = |image: &Image| image.topic_named("flights").unwrap().partitions[0].leader_epoch;
    life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        create(&handle, "flights", 1).await.unwrap();
        assert_eq!(epoch(&handle.image()), LeaderEpoch(0));
    });
    life(2, &disk, async |runtime| {
        let handle = start(&runtime).await;
        assert_eq!(epoch(&handle.image()), LeaderEpoch(2));
        assert_eq!(handle.image().topic_named("flights").unwrap().partitions[0].leader, BrokerId(1));
    });
}

#[test]
fn a_broker_that_is_to_wait_leads_when_it_is_told() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle =
            Service::start(&runtime, Config { unfence: crate::Unfence::WhenTold, ..config(DATA) }).await.unwrap();
        assert!(handle.image().broker(BrokerId(1)).unwrap().fenced);
        assert!(create(&handle, "early", 1).await.is_err(), "every broker is fenced");
        assert!(!handle.heartbeat(false).await.unwrap());
        create(&handle, "late", 2).await.unwrap();
        assert!(handle.heartbeat(true).await.unwrap());
        assert_eq!(handle.image().topic_named("late").unwrap().partitions[0].leader, BrokerId::NONE);
    });
}

#[test]
fn a_restart_from_a_snapshot_keeps_everything_and_lets_old_files_go() {
    let disk = Arc::new(SimDisk::new());
    let small = || Config { snapshot_entries: 50, kept_entries: 10, segment_bytes_max: 8 << 10, ..config(DATA) };
    for round in 0..4u64 {
        let before = life(round, &disk, async |runtime| {
            let handle = Service::start(&runtime, small()).await.unwrap();
            for number in 0..100 {
                create(&handle, &format!("topic-{round}-{number}"), u128::from(round) << 64 | number).await.unwrap();
            }
            // Purging goes on behind the last decision.
            runtime.clock.sleep(std::time::Duration::from_secs(5)).await;
            handle.image()
        });
        life(100 + round, &disk, async |runtime| {
            let handle = Service::start(&runtime, small()).await.unwrap();
            assert_eq!(lasting(&handle.image()), lasting(&before));
            assert_eq!(handle.image().topic_count(), 100 * (usize::try_from(round).unwrap() + 1));
        });
    }
    let names: Vec<String> = disk.files().into_iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".snapshot")).count(), 1, "{names:?}");
    assert!(
        !names.iter().any(|name| name.ends_with("00000000000000000001.log")),
        "the first file should have been let go: {names:?}"
    );
}

#[test]
fn a_power_cut_keeps_everything_acknowledged() {
    for seed in 0..100u64 {
        let disk = Arc::new(SimDisk::new());
        let mut acknowledged: Vec<String> = Vec::new();
        for round in 0..3u64 {
            let settings = Config { snapshot_entries: 20, kept_entries: 4, segment_bytes_max: 4 << 10, ..config(DATA) };
            let wave = life(seed * 10 + round, &disk, async |runtime| {
                let handle = Service::start(&runtime, settings)
                    .await
                    .unwrap_or_else(|error| panic!("seed {seed} round {round}: {error}"));
                let image = handle.image();
                let missing: Vec<_> = acknowledged.iter().filter(|name| image.topic_named(name).is_none()).collect();
                assert!(missing.is_empty(), "seed {seed} round {round} lost {missing:?}");
                // Many at once; the cut comes while some are under way.
                let wave: Vec<_> = (0..30u64)
                    .map(|number| (format!("t-{round}-{number}"), u128::from(round * 1000 + number)))
                    .collect();
                let mut running: futures::stream::FuturesUnordered<_> = wave
                    .into_iter()
                    .map(|(name, id)| {
                        let handle = handle.clone();
                        async move { create(&handle, &name, id).await.map(|_| name) }
                    })
                    .collect();
                let mut done = Vec::new();
                for _ in 0..runtime.random.below(31) {
                    if let Some(name) = futures::StreamExt::next(&mut running).await {
                        done.push(name.unwrap());
                    }
                }
                done
            });
            acknowledged.extend(wave);
            let random = millstream_runtime::SeededRandom::new(seed ^ (round << 32));
            disk.crash(|bytes| millstream_runtime::Random::below(&random, bytes + 1));
        }
    }
}

#[test]
fn a_seed_gives_the_same_files_again() {
    let run = || {
        let disk = Arc::new(SimDisk::new());
        life(7, &disk, async |runtime| {
            let handle = start(&runtime).await;
            for number in 0..20 {
                create(&handle, &format!("topic-{number}"), number).await.unwrap();
            }
            handle.stop().await.unwrap();
        });
        life(8, &disk, async |_| {
            let mut contents = Vec::new();
            for (path, _) in disk.files() {
                contents.push((path.clone(), disk.read(&path).await.unwrap()));
            }
            contents
        })
    };
    assert_eq!(run(), run());
}

#[tokio::test]
async fn the_real_disk_keeps_everything_too() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3u128 {
        let runtime = Runtime::real();
        let handle = Service::start(&runtime, config(folder.path())).await.unwrap();
        assert_eq!(handle.image().topic_count(), usize::try_from(round).unwrap());
        create(&handle, &format!("topic-{round}"), round).await.unwrap();
        handle.stop().await.unwrap();
    }
    let meta = std::fs::read_to_string(folder.path().join("meta.properties")).unwrap();
    assert!(meta.starts_with("version=1\ncluster.id="), "{meta}");
    assert!(Path::new(&folder.path().join("metadata/quorum-state")).exists());
}

#[test]
fn options_survive_with_their_parsed_form() {
    let disk = Arc::new(SimDisk::new());
    let alter = |resource: configs::Resource, name: &str, value: &str| {
        let change = configs::Alter { name: name.into(), operation: configs::Operation::Set(value.into()) };
        move |image: &Image| configs::incremental_alter(image, &resource, std::slice::from_ref(&change), false)
    };
    life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        create(&handle, "flights", 1).await.unwrap();
        let topic = configs::Resource::Topic(millstream_metadata::topics::TopicRef::Name("flights".into()));
        handle.decide(alter(topic, "retention.ms", "5000")).await.unwrap();
        handle.decide(alter(configs::Resource::Broker(None), "log.segment.bytes", "4096")).await.unwrap();
    });
    life(2, &disk, async |runtime| {
        let image = start(&runtime).await.image();
        let config = &image.topic_named("flights").unwrap().config;
        assert_eq!((config.retention_ms, config.segment_bytes), (5000, 4096));
    });
}
