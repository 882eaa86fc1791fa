//! Brokers come, go and come back; leaders follow, and what is stale is refused.

use super::{assigned, cluster, commit, create, one_broker};
use crate::brokers::tests::{registration, unfence};
use crate::brokers::{self, Heartbeat, Register, fence, form_cluster, heartbeat, register, unregister};
use crate::topics::Create;
use crate::{Error, Image, leaders, producer_ids, topics};
use millstream_types::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, LeaderEpoch, PartitionIndex, TopicId, TopicPartition,
};
use uuid::Uuid;

fn epoch(image: &Image, id: i32) -> BrokerEpoch {
    image.broker(BrokerId(id)).unwrap().epoch
}

fn state(image: &Image, partition: usize) -> (i32, i32, Vec<i32>) {
    let partition = &image.topic_named("t").unwrap().partitions[partition];
    (partition.leader.0, partition.leader_epoch.0, partition.isr.iter().map(|broker| broker.0).collect())
}

fn fence_now(image: &mut Image, id: i32) {
    let decision = fence(image, BrokerId(id), epoch(image, id));
    commit(image, decision);
}

#[test]
fn the_cluster_is_formed_once() {
    let mut image = Image::default();
    let (first, second) = (ClusterId(Uuid::from_u128(1)), ClusterId(Uuid::from_u128(2)));
    let formed = form_cluster(&image, first);
    assert_eq!(commit(&mut image, formed), first);
    let again = form_cluster(&image, second).unwrap();
    assert_eq!((again.answer, again.records.len(), image.feature_level()), (first, 0, 1));
}

#[test]
fn epochs_of_registrations_only_grow() {
    let mut image = Image::default();
    let mut last = BrokerEpoch(0);
    for (id, incarnation) in [(1, 1), (2, 1), (1, 2), (1, 3)] {
        let registered = register(&image, &registration(id, incarnation, None));
        let given = commit(&mut image, registered);
        assert!(given > last);
        assert!(image.broker(BrokerId(id)).unwrap().fenced, "a broker begins fenced");
        last = given;
    }
    fence_now(&mut image, 1);
    let gone = unregister(&image, BrokerId(1));
    commit(&mut image, gone);
    let registered = register(&image, &registration(1, 4, None));
    assert!(commit(&mut image, registered) > last, "an epoch must not come back with a broker that was forgotten");
}

#[test]
fn the_same_registration_again_changes_nothing() {
    let image = one_broker();
    let again = register(&image, &registration(1, 1, None)).unwrap();
    assert_eq!((again.answer, again.records.len()), (epoch(&image, 1), 0));
}

#[test]
fn registrations_that_can_not_be_are_refused() {
    let image = one_broker();
    let other = registration(1, 2, None);
    let alive = Register { predecessor_alive: true, ..other.clone() };
    assert_eq!(register(&image, &alive), Err(Error::DuplicateBroker { broker: BrokerId(1) }));
    let moved = Register { directory: DirectoryId(Uuid::from_u128(5)), ..other.clone() };
    assert!(matches!(register(&image, &moved), Err(Error::DirectoryChanged { .. })));
    let deaf = Register { listeners: Vec::new(), ..other.clone() };
    assert!(matches!(register(&image, &deaf), Err(Error::InvalidRequest { .. })));
    let twice = Register { listeners: [other.listeners.clone(), other.listeners.clone()].concat(), ..other.clone() };
    assert!(matches!(register(&image, &twice), Err(Error::InvalidRequest { .. })));
    assert!(matches!(register(&image, &Register { broker: BrokerId(-1), ..other }), Err(Error::InvalidRequest { .. })));
}

#[test]
fn a_stale_epoch_is_refused_everywhere() {
    let mut image = one_broker();
    let stale = epoch(&image, 1);
    let registered = register(&image, &registration(1, 2, None));
    commit(&mut image, registered);
    let current = epoch(&image, 1);
    let expected = Error::StaleBrokerEpoch { broker: BrokerId(1), given: stale, current };
    let beat = Heartbeat { broker: BrokerId(1), epoch: stale, want_fence: false };
    assert_eq!(heartbeat(&image, beat), Err(expected.clone()));
    assert_eq!(fence(&image, BrokerId(1), stale), Err(expected.clone()));
    assert_eq!(producer_ids::allocate_block(&image, BrokerId(1), stale), Err(expected));
    assert_eq!(fence(&image, BrokerId(2), stale), Err(Error::UnknownBroker { broker: BrokerId(2) }));
}

#[test]
fn a_running_broker_is_not_unregistered() {
    let mut image = one_broker();
    assert!(matches!(unregister(&image, BrokerId(1)), Err(Error::InvalidRequest { .. })));
    fence_now(&mut image, 1);
    let gone = unregister(&image, BrokerId(1));
    commit(&mut image, gone);
    assert!(image.broker(BrokerId(1)).is_none());
}

#[test]
fn leadership_moves_when_a_broker_goes_and_stays_when_it_comes_back() {
    let mut image = cluster(&[(1, None, false), (2, None, false), (3, None, false)]);
    let made = topics::create(&image, &Create { layout: assigned(&[&[1, 2, 3], &[2, 3, 1]]), ..create("t", 1) });
    commit(&mut image, made);
    fence_now(&mut image, 1);
    assert_eq!(state(&image, 0), (2, 1, vec![2, 3]));
    assert_eq!(state(&image, 1), (2, 0, vec![2, 3]), "the leader stays: no new epoch");
    fence_now(&mut image, 2);
    assert_eq!(state(&image, 0), (3, 2, vec![3]));
    fence_now(&mut image, 3);
    assert_eq!(state(&image, 0), (-1, 3, vec![3]), "the last in sync stays listed: only it has everything");
    unfence(&mut image, 2);
    assert_eq!(state(&image, 0), (-1, 3, vec![3]), "who is not in sync is not elected");
    unfence(&mut image, 3);
    assert_eq!(state(&image, 0), (3, 4, vec![3]));
}

#[test]
fn a_lone_brokers_restart_is_a_fencing_and_an_election() {
    let mut image = one_broker();
    let made = topics::create(&image, &create("t", 1));
    commit(&mut image, made);
    let registered = register(&image, &registration(1, 2, None));
    commit(&mut image, registered);
    assert_eq!(state(&image, 0), (-1, 1, vec![1]));
    unfence(&mut image, 1);
    assert_eq!(state(&image, 0), (1, 2, vec![1]));
    assert_eq!(image.topic_named("t").unwrap().partitions[0].partition_epoch, 2);
}

#[test]
fn the_preferred_replica_is_elected_when_it_can_lead() {
    let mut image = cluster(&[(1, None, false), (2, None, true)]);
    let made = topics::create(&image, &Create { layout: assigned(&[&[2, 1]]), ..create("t", 1) });
    commit(&mut image, made);
    let partition = TopicPartition::new(TopicId(Uuid::from_u128(1)), PartitionIndex(0));
    assert!(matches!(leaders::elect_preferred(&image, partition), Err(Error::InvalidRequest { .. })));
    image
        .replay(&crate::Record::PartitionChange(crate::PartitionChange {
            topic: partition.topic,
            partition: partition.partition,
            partition_epoch: 1,
            leader: None,
            isr: Some(vec![BrokerId(1), BrokerId(2)]),
            replicas: None,
        }))
        .unwrap();
    unfence(&mut image, 2);
    let elected = leaders::elect_preferred(&image, partition);
    commit(&mut image, elected);
    assert_eq!(
        image.partition(partition).map(|now| (now.leader, now.leader_epoch)),
        Some((BrokerId(2), LeaderEpoch(1)))
    );
    assert!(leaders::elect_preferred(&image, partition).unwrap().records.is_empty());
    let missing = TopicPartition::new(partition.topic, PartitionIndex(9));
    assert!(matches!(leaders::elect_preferred(&image, missing), Err(Error::UnknownPartition { .. })));
}

#[test]
fn blocks_of_producer_ids_do_not_overlap() {
    let mut image = one_broker();
    let mut expected = 0;
    for _ in 0..5 {
        let block = producer_ids::allocate_block(&image, BrokerId(1), epoch(&image, 1));
        let block = commit(&mut image, block);
        assert_eq!(block, expected..expected + producer_ids::BLOCK_LEN);
        expected = block.end;
    }
    let near_the_end =
        crate::Record::ProducerIdBlock { broker: BrokerId(1), next: millstream_types::ProducerId(i64::MAX - 5) };
    image.replay(&near_the_end).unwrap();
    let exhausted = producer_ids::allocate_block(&image, BrokerId(1), epoch(&image, 1));
    assert_eq!(exhausted, Err(Error::IdsExhausted { what: "producer ids" }));
}

#[test]
fn a_heartbeat_that_says_nothing_new_changes_nothing() {
    let image = one_broker();
    let beat = Heartbeat { broker: BrokerId(1), epoch: epoch(&image, 1), want_fence: false };
    assert!(heartbeat(&image, beat).unwrap().records.is_empty());
    assert_eq!(brokers::check_epoch(&image, BrokerId(1), beat.epoch).unwrap().id, BrokerId(1));
}
