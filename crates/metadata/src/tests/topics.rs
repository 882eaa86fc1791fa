//! Topics are created, grown and deleted by Kafka's rules.

use super::{assigned, cluster, commit, create, one_broker};
use crate::partitions::{Grow, create_partitions};
use crate::topics::{self, Create, Layout, NAME_LEN_MAX, PARTITIONS_MAX, TopicRef, check_name};
use crate::{Error, Image};
use millstream_types::{BrokerId, ErrorKind, PartitionIndex, TopicId};
use uuid::Uuid;

fn counts(partitions: i32, replication_factor: i16) -> Layout {
    Layout::Counts { partitions, replication_factor, draw: 0 }
}

fn by_name(name: &str) -> TopicRef {
    TopicRef::Name(name.into())
}

#[test]
fn names_follow_kafkas_rules() {
    let longest = "n".repeat(NAME_LEN_MAX);
    for good in ["a", "A.b_c-9", "...", "__consumer_offsets", longest.as_str()] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
    let too_long = "n".repeat(NAME_LEN_MAX + 1);
    for bad in ["", ".", "..", "a b", "a/b", "a\0", "ä", "a:b", too_long.as_str()] {
        assert!(matches!(check_name(bad), Err(Error::InvalidTopicName { .. })), "{bad:?}");
    }
}

#[test]
fn a_topic_is_created_with_its_partitions_led() {
    let mut image = one_broker();
    let created = {
        let made = topics::create(&image, &create("flights", 7));
        commit(&mut image, made)
    };
    assert_eq!((created.partitions, created.replication_factor, created.id), (3, 1, TopicId(Uuid::from_u128(7))));
    let topic = image.topic_named("flights").unwrap();
    assert_eq!(image.topic(created.id), Some(topic));
    assert_eq!(topic.partitions.len(), 3);
    for (_, partition) in topic.partitions() {
        assert_eq!((partition.leader, partition.leader_epoch.0), (BrokerId(1), 0));
        assert_eq!((&partition.replicas, &partition.isr), (&vec![BrokerId(1)], &vec![BrokerId(1)]));
    }
    assert!(topic.partition(PartitionIndex(3)).is_none() && topic.partition(PartitionIndex(-1)).is_none());
}

#[test]
fn a_topic_that_is_ensured_is_created_once_and_answered_as_it_is_then() {
    let mut image = one_broker();
    let made = topics::ensure(&image, &create("__offsets", 7));
    let first = commit(&mut image, made);
    let again = topics::ensure(&image, &create("__offsets", 8)).unwrap();
    assert_eq!((again.answer, again.records), (first, Vec::new()));
}

#[test]
fn a_name_that_is_taken_or_collides_is_refused() {
    let mut image = one_broker();
    let made = topics::create(&image, &create("a.b", 1));
    commit(&mut image, made);
    assert_eq!(topics::create(&image, &create("a.b", 2)), Err(Error::TopicExists { name: "a.b".into() }));
    let collision = Error::TopicNameCollision { name: "a_b".into(), existing: "a.b".into() };
    assert_eq!(topics::create(&image, &create("a_b", 2)), Err(collision));
    assert!(
        matches!(topics::create(&image, &create("other", 1)), Err(Error::InvalidRequest { .. })),
        "the id is taken"
    );
}

#[test]
fn wrong_layouts_are_refused_with_their_kind() {
    let image = cluster(&[(1, None, false), (2, None, false), (3, None, true)]);
    let gap = Layout::Assigned([(0, vec![BrokerId(1)]), (2, vec![BrokerId(1)])].into());
    type Check = fn(&Error) -> bool;
    let table: Vec<(Layout, Check)> = vec![
        (counts(0, 1), |e| matches!(e, Error::InvalidPartitions { .. })),
        (counts(-1, 1), |e| matches!(e, Error::InvalidPartitions { .. })),
        (counts(PARTITIONS_MAX + 1, 1), |e| matches!(e, Error::InvalidPartitions { .. })),
        (counts(1, 0), |e| matches!(e, Error::InvalidReplicationFactor { .. })),
        (counts(1, 4), |e| matches!(e, Error::InvalidReplicationFactor { .. })),
        (assigned(&[]), |e| matches!(e, Error::InvalidPartitions { .. })),
        (assigned(&[&[]]), |e| matches!(e, Error::InvalidReplicaAssignment { .. })),
        (assigned(&[&[1, 1]]), |e| matches!(e, Error::InvalidReplicaAssignment { .. })),
        (assigned(&[&[9]]), |e| matches!(e, Error::InvalidReplicaAssignment { .. })),
        (assigned(&[&[3]]), |e| matches!(e, Error::InvalidReplicaAssignment { .. })),
        (assigned(&[&[1], &[1, 2]]), |e| matches!(e, Error::InvalidReplicaAssignment { .. })),
        (gap, |e| matches!(e, Error::InvalidReplicaAssignment { .. })),
    ];
    for (layout, is_right) in table {
        let error = topics::create(&image, &Create { layout: layout.clone(), ..create("t", 1) }).unwrap_err();
        assert!(is_right(&error), "{layout:?}: {error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert!(topics::create(&image, &Create { layout: counts(2, 3), ..create("t", 1) }).is_ok());
}

#[test]
fn an_assignment_is_kept_and_led_by_its_first_living_replica() {
    let mut image = cluster(&[(1, None, false), (2, None, false), (3, None, true)]);
    let made = topics::create(&image, &Create { layout: assigned(&[&[2, 1], &[3, 2]]), ..create("t", 1) });
    commit(&mut image, made);
    let partitions = &image.topic_named("t").unwrap().partitions;
    assert_eq!((partitions[0].leader, &partitions[0].isr), (BrokerId(2), &vec![BrokerId(2), BrokerId(1)]));
    assert_eq!((partitions[1].leader, &partitions[1].isr), (BrokerId(2), &vec![BrokerId(2)]));
}

#[test]
fn validation_alone_changes_nothing() {
    let image = one_broker();
    let decision = topics::create(&image, &Create { validate_only: true, ..create("t", 1) }).unwrap();
    assert_eq!((decision.records.len(), decision.answer.id, decision.answer.partitions), (0, TopicId::ZERO, 3));
    assert!(topics::create(&image, &Create { validate_only: true, layout: counts(1, 2), ..create("t", 1) }).is_err());
}

#[test]
fn options_come_with_the_topic_or_refuse_it() {
    let mut image = one_broker();
    let with = |name: &str, value: Option<&str>| Create {
        configs: [(name.to_owned(), value.map(str::to_owned))].into(),
        ..create("t", 1)
    };
    assert!(matches!(topics::create(&image, &with("no.such", Some("1"))), Err(Error::InvalidConfig(_))));
    assert!(matches!(topics::create(&image, &with("retention.ms", Some("soon"))), Err(Error::InvalidConfig(_))));
    assert!(matches!(topics::create(&image, &with("retention.ms", None)), Err(Error::ConfigRefused { .. })));
    let made = topics::create(&image, &with("retention.ms", Some("60000")));
    commit(&mut image, made);
    assert_eq!(image.topic_named("t").unwrap().config.retention_ms, 60_000);
}

#[test]
fn a_topic_is_deleted_by_name_or_id_and_its_name_is_free_again() {
    let mut image = one_broker();
    for reference in [by_name("t"), TopicRef::Id(TopicId(Uuid::from_u128(1)))] {
        let made = topics::create(&image, &create("t", 1));
        commit(&mut image, made);
        let gone = topics::delete(&image, &reference);
        assert_eq!(&*commit(&mut image, gone).name, "t");
        assert_eq!(image.topic_count(), 0);
    }
    assert_eq!(topics::delete(&image, &by_name("t")), Err(Error::UnknownTopic { name: "t".into() }));
    let id = TopicId(Uuid::from_u128(1));
    assert_eq!(topics::delete(&image, &TopicRef::Id(id)), Err(Error::UnknownTopicId { id }));
}

fn grow(count: i32) -> Grow {
    Grow { topic: by_name("t"), count, assignments: None, draw: 3, validate_only: false }
}

fn with_topic() -> Image {
    let mut image = cluster(&[(1, None, false), (2, None, false)]);
    let made = topics::create(&image, &create("t", 1));
    commit(&mut image, made);
    image
}

#[test]
fn partitions_are_only_added() {
    let mut image = with_topic();
    for count in [3, 2, 0, -1, 3 + PARTITIONS_MAX + 1] {
        assert!(matches!(create_partitions(&image, &grow(count)), Err(Error::InvalidPartitions { .. })), "{count}");
    }
    let before = image.topic_named("t").unwrap().partitions.clone();
    let grown = create_partitions(&image, &grow(5));
    assert_eq!(commit(&mut image, grown), 5);
    let after = &image.topic_named("t").unwrap().partitions;
    assert_eq!((after.len(), &after[..3]), (5, &before[..]));
}

#[test]
fn added_partitions_may_be_assigned() {
    let mut image = with_topic();
    let to =
        |brokers: &[&[i32]]| Some(brokers.iter().map(|some| some.iter().copied().map(BrokerId).collect()).collect());
    for wrong in [to(&[&[1]]), to(&[&[1], &[9]]), to(&[&[1], &[1, 2]]), to(&[&[1], &[]])] {
        let request = Grow { assignments: wrong, ..grow(5) };
        assert!(matches!(create_partitions(&image, &request), Err(Error::InvalidReplicaAssignment { .. })));
    }
    let grown = create_partitions(&image, &Grow { assignments: to(&[&[2], &[1]]), ..grow(5) });
    commit(&mut image, grown);
    let leaders: Vec<i32> =
        image.topic_named("t").unwrap().partitions[3..].iter().map(|partition| partition.leader.0).collect();
    assert_eq!(leaders, [2, 1]);
}
