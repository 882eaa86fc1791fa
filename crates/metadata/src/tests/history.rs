//! Properties over random histories: what is replayed from the log, or from a snapshot, is what was decided.

use super::cluster;
use crate::brokers::tests::registration;
use crate::brokers::{Heartbeat, heartbeat, register, unregister};
use crate::configs::{Alter, Operation, Resource, incremental_alter};
use crate::partitions::{Grow, create_partitions};
use crate::schemas::{self, delete_subject, delete_version, set_compatibility};
use crate::topics::{Create, Layout, TopicRef};
use crate::{
    Decision, DeploymentRecord, Error, Image, Record, Schema, SchemaType, decode, deployments, encode, producer_ids,
    topics,
};
use millstream_types::{BrokerId, TopicId};
use proptest::prelude::*;
use uuid::Uuid;

/// A request of somebody; small numbers, so that requests meet.
#[derive(Debug, Clone)]
enum Request {
    Create { name: u8, id: u8, partitions: i32, factor: i16 },
    Delete { name: u8 },
    Grow { name: u8, count: i32 },
    Alter { name: u8, option: usize, value: Option<u16> },
    Default { option: usize, value: Option<u16> },
    Register { broker: i32, incarnation: u128 },
    Beat { broker: i32, want_fence: bool },
    Unregister { broker: i32 },
    Producers { broker: i32 },
    Deploy { name: u8, generation: u32 },
    Undeploy { name: u8 },
    Schema { subject: u8, text: u8 },
    DropVersion { subject: u8, version: i32, permanent: bool },
    DropSubject { subject: u8, permanent: bool },
    Compatibility { subject: Option<u8>, level: usize },
}

const OPTIONS: &[(&str, &str)] = &[("segment.bytes", "log.segment.bytes"), ("retention.ms", "log.retention.ms")];

fn requests() -> impl Strategy<Value = Request> {
    use Request::*;
    prop_oneof![
        (0u8..6, 1u8..9, 1..4i32, 1..3i16).prop_map(|(name, id, partitions, factor)| Create {
            name,
            id,
            partitions,
            factor
        }),
        (0u8..6).prop_map(|name| Delete { name }),
        (0u8..6, 1..8i32).prop_map(|(name, count)| Grow { name, count }),
        (0u8..6, 0usize..2, prop::option::of(14u16..)).prop_map(|(name, option, value)| Alter { name, option, value }),
        (0usize..2, prop::option::of(14u16..)).prop_map(|(option, value)| Default { option, value }),
        (1..4i32, 1u128..4).prop_map(|(broker, incarnation)| Register { broker, incarnation }),
        (1..4i32, any::<bool>()).prop_map(|(broker, want_fence)| Beat { broker, want_fence }),
        (1..4i32).prop_map(|broker| Unregister { broker }),
        (1..4i32).prop_map(|broker| Producers { broker }),
        (0u8..3, 1u32..4).prop_map(|(name, generation)| Deploy { name, generation }),
        (0u8..3).prop_map(|name| Undeploy { name }),
        (0u8..3, 0u8..4).prop_map(|(subject, text)| Schema { subject, text }),
        (0u8..3, 1..4i32, any::<bool>()).prop_map(|(subject, version, permanent)| DropVersion {
            subject,
            version,
            permanent
        }),
        (0u8..3, any::<bool>()).prop_map(|(subject, permanent)| DropSubject { subject, permanent }),
        (prop::option::of(0u8..3), 0usize..7).prop_map(|(subject, level)| Compatibility { subject, level }),
    ]
}

fn records<T>(decision: Result<Decision<T>, Error>) -> Result<Vec<Record>, Error> {
    decision.map(|decision| decision.records)
}

fn by_name(name: u8) -> TopicRef {
    TopicRef::Name(format!("topic.{name}"))
}

fn change(name: &str, value: Option<u16>) -> Alter {
    let operation = value.map_or(Operation::Delete, |value| Operation::Set(value.to_string()));
    Alter { name: name.into(), operation }
}

fn creation(name: impl std::fmt::Display, id: TopicId, layout: Layout) -> Create {
    Create { name: format!("topic.{name}"), id, layout, configs: Default::default(), validate_only: false }
}

fn decide(image: &Image, request: &Request) -> Result<Vec<Record>, Error> {
    let epoch =
        |broker: i32| image.broker(BrokerId(broker)).map_or(millstream_types::BrokerEpoch(0), |broker| broker.epoch);
    match request.clone() {
        Request::Create { name, id, partitions, factor } => {
            let layout = Layout::Counts { partitions, replication_factor: factor, draw: id.into() };
            records(topics::create(image, &creation(name, TopicId(Uuid::from_u128(id.into())), layout)))
        }
        Request::Delete { name } => records(topics::delete(image, &by_name(name))),
        Request::Grow { name, count } => records(create_partitions(
            image,
            &Grow { topic: by_name(name), count, assignments: None, draw: 1, validate_only: false },
        )),
        Request::Alter { name, option, value } => records(incremental_alter(
            image,
            &Resource::Topic(by_name(name)),
            &[change(OPTIONS[option].0, value)],
            false,
        )),
        Request::Default { option, value } => {
            records(incremental_alter(image, &Resource::Broker(None), &[change(OPTIONS[option].1, value)], false))
        }
        Request::Register { broker, incarnation } => records(register(image, &registration(broker, incarnation, None))),
        Request::Beat { broker, want_fence } => {
            records(heartbeat(image, Heartbeat { broker: BrokerId(broker), epoch: epoch(broker), want_fence }))
        }
        Request::Unregister { broker } => records(unregister(image, BrokerId(broker))),
        Request::Producers { broker } => records(producer_ids::allocate_block(image, BrokerId(broker), epoch(broker))),
        Request::Deploy { name, generation } => records(deployments::put(
            image,
            DeploymentRecord {
                kind: "rule".into(),
                name: format!("{name}"),
                generation,
                value: serde_json::json!({ "n": generation }),
            },
        )),
        Request::Undeploy { name } => records(deployments::delete(image, "rule", &format!("{name}"))),
        Request::Schema { subject, text } => records(schemas::register(
            image,
            &schemas::Register {
                subject: format!("{subject}"),
                schema: Schema { schema_type: SchemaType::Json, text: format!("{text}"), references: Vec::new() },
                checked_against: None,
            },
        )),
        Request::DropVersion { subject, version, permanent } => {
            records(delete_version(image, &format!("{subject}"), Some(version), permanent))
        }
        Request::DropSubject { subject, permanent } => records(delete_subject(image, &format!("{subject}"), permanent)),
        Request::Compatibility { subject, level } => {
            let subject = subject.map(|subject| format!("{subject}"));
            records(set_compatibility(image, subject.as_deref(), schemas::COMPATIBILITY_LEVELS[level]))
        }
    }
}

/// What must hold at every moment.
fn check(image: &Image) {
    for topic in image.topics() {
        assert_eq!(image.topic(topic.id), Some(topic));
        for partition in &topic.partitions {
            assert!(!partition.isr.is_empty(), "{}: nobody has everything acknowledged", topic.name);
            assert!(partition.isr.iter().all(|broker| partition.replicas.contains(broker)));
            if partition.leader != BrokerId::NONE {
                assert!(
                    partition.isr.contains(&partition.leader) && image.is_alive(partition.leader),
                    "{}",
                    topic.name
                );
            }
        }
    }
    for (name, subject) in image.subjects() {
        assert!(!subject.versions.is_empty(), "{name}");
        assert!(subject.versions.values().all(|version| image.schema(version.id).is_some()));
    }
}

fn leader_epochs(image: &Image) -> Vec<(TopicId, Vec<(i32, i32)>)> {
    let epochs =
        |topic: &crate::Topic| topic.partitions.iter().map(|one| (one.leader_epoch.0, one.partition_epoch)).collect();
    image.topics().map(|topic| (topic.id, epochs(topic))).collect()
}

proptest! {
    #[test]
    fn every_history_replays_alike(history in prop::collection::vec(requests(), 1..120)) {
        let start = cluster(&[(1, None, false), (2, Some("a"), false)]);
        let mut image = start.clone();
        let mut log: Vec<Vec<u8>> = Vec::new();
        for request in &history {
            let before = image.clone();
            let Ok(records) = decide(&image, request) else {
                prop_assert_eq!(&image, &before);
                continue;
            };
            image.replay_all(&records).unwrap();
            check(&image);
            for (id, epochs) in leader_epochs(&before) {
                let Some(topic) = image.topic(id) else { continue };
                for (now, then) in topic.partitions.iter().zip(epochs) {
                    prop_assert!(now.leader_epoch.0 >= then.0 && now.partition_epoch >= then.1, "an epoch went back");
                }
            }
            log.push(encode(&records));
        }
        let mut replayed = start;
        for stored in &log {
            replayed.replay_all(&decode(stored).unwrap()).unwrap();
        }
        prop_assert_eq!(&replayed, &image);

        let snapshot: Vec<Record> = decode(&encode(&image.records().collect::<Vec<_>>())).unwrap();
        let mut restored = Image::default();
        restored.replay_all(&snapshot).unwrap();
        prop_assert_eq!(&restored, &image);
        // What is decided next is decided alike, whichever way the image came about.
        for request in &history {
            prop_assert_eq!(decide(&restored, request), decide(&image, request));
        }
    }
}
