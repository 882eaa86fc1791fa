//! Online upgrade and downgrade between the protocols (KIP-848), as tables of requests and their answers.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;

use bytes::Bytes;
use desk::{Desk, GROUP, join_of, subscription};
use millstream_group::{
    Config, ConsumerConfig, ConsumerHeartbeatRequest, Error, GroupState, GroupType, JoinRequest, ListFilter, Migration,
    Partitions, Protocol, SyncRequest, WriteError,
};
use std::collections::BTreeSet;

fn joins(member: &str) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest {
        group: GROUP.into(),
        member: member.into(),
        rebalance_timeout_ms: Some(60_000),
        topics: Some(["t".to_owned()].into()),
        owned: Some(Partitions::new()),
        client_id: "c".into(),
        client_host: "/h".into(),
        makes_ids: true,
        ..ConsumerHeartbeatRequest::default()
    }
}

fn still(member: &str, epoch: i32) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest { epoch, rebalance_timeout_ms: None, topics: None, owned: None, ..joins(member) }
}

/// An assignment of partitions of "t", as consumers write it.
fn assignment(partitions: &[i32]) -> Bytes {
    let mut out = vec![0, 1, 0, 0, 0, 1, 0, 1, b't'];
    out.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
    partitions.iter().for_each(|one| out.extend(one.to_be_bytes()));
    out.extend((-1i32).to_be_bytes());
    out.into()
}

/// The partitions of an assignment that the server wrote.
fn read(assignment: &Bytes) -> BTreeSet<i32> {
    let topics = i32::from_be_bytes(assignment[2..6].try_into().unwrap());
    if topics == 0 {
        return BTreeSet::new();
    }
    assert_eq!(&assignment[6..9], [0, 1, b't']);
    let count = usize::try_from(i32::from_be_bytes(assignment[9..13].try_into().unwrap())).unwrap();
    let one = |index: usize| i32::from_be_bytes(assignment[13 + index * 4..17 + index * 4].try_into().unwrap());
    (0..count).map(one).collect()
}

/// A subscription that says what its member has.
fn owning(partitions: &[i32]) -> Vec<Protocol> {
    let mut metadata = subscription(&["t"]).to_vec();
    metadata.extend([0, 0, 0, 1, 0, 1, b't']);
    metadata.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
    partitions.iter().for_each(|one| metadata.extend(one.to_be_bytes()));
    vec![Protocol { name: "range".into(), metadata: metadata.into() }]
}

/// Joins of the classic protocol; what a member has is part of each.
fn classic(member: &str, owned: &[i32]) -> JoinRequest {
    JoinRequest { protocols: owning(owned), ..join_of(member) }
}

fn sync(desk: &mut Desk, member: &str, generation: i32) -> Result<BTreeSet<i32>, Error> {
    let waiter = desk.sync_with(SyncRequest {
        group: GROUP.into(),
        member: member.into(),
        instance: None,
        generation,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignments: Vec::new(),
    });
    desk.synced(waiter).map(|synced| read(&synced.assignment))
}

/// A classic group of one member that has four partitions; its id and generation.
fn one_classic(desk: &mut Desk) -> (String, i32) {
    desk.town.make("t", 4);
    let join = desk.join(classic("", &[]));
    desk.advance(desk.config.initial_rebalance_delay_ms);
    let joined = desk.joined(join);
    let waiter = desk.sync_with(SyncRequest {
        group: GROUP.into(),
        member: joined.member.clone(),
        instance: None,
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments: vec![(joined.member.clone(), assignment(&[0, 1, 2, 3]))],
    });
    desk.synced(waiter).unwrap();
    (joined.member, joined.generation)
}

fn rebalancing<T: std::fmt::Debug>(answer: Result<T, Error>) {
    assert_eq!(answer.unwrap_err(), Error::RebalanceInProgress { group: GROUP.into() });
}

fn desk_with(migration: Migration) -> Desk {
    let consumer = ConsumerConfig { migration, ..ConsumerConfig::default() };
    Desk::new(Config { consumer, ..Config::default() })
}

/// A group that was classic, with a classic member and one of the new protocol, which have two partitions each. The classic member and its
/// generation.
fn mixed(desk: &mut Desk) -> (String, i32) {
    let (old, generation) = one_classic(desk);
    assert_eq!(desk.beat(joins("new")).unwrap().epoch, generation + 1);
    // The classic member is told to join again: with all it has, then without what it gave back.
    rebalancing(desk.heartbeat(&old, generation));
    let join = desk.join(classic(&old, &[0, 1, 2, 3]));
    let generation = desk.joined(join).generation;
    let kept = sync(desk, &old, generation).unwrap();
    assert_eq!(kept.len(), 2);
    rebalancing(desk.heartbeat(&old, generation));
    let kept: Vec<i32> = kept.into_iter().collect();
    let join = desk.join(classic(&old, &kept));
    let generation = desk.joined(join).generation;
    assert_eq!(sync(desk, &old, generation).unwrap().len(), 2);
    assert_eq!(desk.heartbeat(&old, generation), Ok(()));
    let told = desk.beat(still("new", generation)).unwrap();
    assert_eq!(told.assignment.unwrap().values().map(BTreeSet::len).sum::<usize>(), 2);
    (old, generation)
}

fn group_type(desk: &Desk) -> GroupType {
    desk.shard.list(&ListFilter::default())[0].group_type
}

#[test]
fn a_live_classic_group_goes_over_member_by_member() {
    let mut desk = desk_with(Migration::Bidirectional);
    let (old, _) = mixed(&mut desk);
    assert_eq!(group_type(&desk), GroupType::Consumer);
    let description = desk.shard.describe_consumer(GROUP).unwrap();
    assert_eq!(description.state, GroupState::Stable);
    let of = |member: &str| description.members.iter().find(|one| one.member == member).unwrap().metadata.clone();
    assert!(of(&old).classic.is_some() && of("new").classic.is_none());
    // The last classic member is restarted with the new protocol.
    desk.leave(&[(&old, None)]).unwrap();
    let epoch = desk.beat(joins("newer")).unwrap().epoch;
    assert_eq!(desk.beat(still("new", desk_epoch(&desk, "new"))).unwrap().epoch, epoch);
    desk.reload();
    assert_eq!(group_type(&desk), GroupType::Consumer);
    assert_eq!(desk.shard.describe_consumer(GROUP).unwrap().members.len(), 2);
}

fn desk_epoch(desk: &Desk, member: &str) -> i32 {
    let description = desk.shard.describe_consumer(GROUP).unwrap();
    description.members.iter().find(|one| one.member == member).unwrap().epoch
}

#[test]
fn offsets_stay_with_the_group() {
    let mut desk = desk_with(Migration::Bidirectional);
    desk.commit(desk::commit_of("t", 7));
    mixed(&mut desk);
    assert_eq!(desk.fetched("t"), 7);
    desk.reload();
    assert_eq!(desk.fetched("t"), 7);
}

#[test]
fn the_group_is_a_classic_one_again_when_the_last_new_member_has_gone() {
    for silent in [false, true] {
        let mut desk = desk_with(Migration::Bidirectional);
        let (old, generation) = mixed(&mut desk);
        if silent {
            for _ in 0..10 {
                desk.advance(5_000);
                let _ = desk.heartbeat(&old, generation);
            }
        } else {
            desk.beat(still("new", -1)).unwrap();
        }
        assert_eq!(group_type(&desk), GroupType::Classic);
        desk.reload();
        assert_eq!(group_type(&desk), GroupType::Classic, "so it is stored");
        // A reload forgets the rebalance, so that the member goes on with what it had.
        let described = desk.shard.describe(GROUP).unwrap();
        assert_eq!((described.members.len(), described.members[0].member.as_str()), (1, old.as_str()));
        let join = desk.join(classic(&old, &[0, 1]));
        desk.advance(60_000);
        assert!(desk.joined(join).generation > generation);
    }
}

#[test]
fn a_policy_forbids_either_way() {
    let mut desk = desk_with(Migration::Downgrade);
    let (old, generation) = one_classic(&mut desk);
    assert!(matches!(desk.beat(joins("new")), Err(Error::NotMigratable { .. })));
    assert_eq!(desk.heartbeat(&old, generation), Ok(()), "nothing happened to the classic group");

    let mut desk = desk_with(Migration::Upgrade);
    mixed(&mut desk);
    desk.beat(still("new", -1)).unwrap();
    assert_eq!(group_type(&desk), GroupType::Consumer);
}

#[test]
fn an_empty_group_takes_whatever_protocol_comes() {
    let mut desk = desk_with(Migration::Disabled);
    let (old, _) = one_classic(&mut desk);
    desk.leave(&[(&old, None)]).unwrap();
    desk.advance(60_000);
    assert_eq!(desk.beat(joins("new")).unwrap().epoch, 1);
    desk.beat(still("new", -1)).unwrap();
    let join = desk.join(classic("", &[]));
    desk.advance(desk.config.initial_rebalance_delay_ms);
    assert_eq!(desk.joined(join).generation, 1);
    assert_eq!(group_type(&desk), GroupType::Classic);
}

#[test]
fn an_upgrade_that_could_not_be_written_leaves_the_classic_group() {
    let mut desk = desk_with(Migration::Bidirectional);
    let (old, generation) = one_classic(&mut desk);
    desk.writes_at_once = false;
    let beat = desk.beat_later(joins("new"));
    desk.settle(Err(WriteError::NotAvailable));
    assert_eq!(desk.beaten(beat).unwrap_err(), Error::CoordinatorNotAvailable { group: GROUP.into() });
    assert_eq!(group_type(&desk), GroupType::Classic);
    rebalancing(desk.heartbeat(&old, generation));
    desk.writes_at_once = true;
    let join = desk.join(classic(&old, &[0, 1, 2, 3]));
    assert_eq!(desk.joined(join).generation, generation + 1);
}

#[test]
fn groups_that_are_no_consumers_or_have_an_assignor_of_their_own_stay_classic() {
    let mut desk = desk_with(Migration::Bidirectional);
    let connect = JoinRequest { protocol_type: "connect".into(), ..join_of("") };
    desk.join(connect);
    desk.advance(desk.config.initial_rebalance_delay_ms);
    assert!(matches!(desk.beat(joins("new")), Err(Error::NotMigratable { .. })));
}

#[test]
fn a_classic_member_that_does_not_come_again_in_time_is_out() {
    let mut desk = desk_with(Migration::Upgrade);
    let (old, generation) = one_classic(&mut desk);
    desk.beat(joins("new")).unwrap();
    for _ in 0..8 {
        let _ = desk.heartbeat(&old, generation);
        desk.advance(8_000);
        let _ = desk.beat(still("new", desk_epoch(&desk, "new")));
    }
    let unknown = Error::UnknownMemberId { group: GROUP.into(), member: old.clone() };
    assert_eq!(desk.heartbeat(&old, generation).unwrap_err(), unknown);
}

#[test]
fn a_static_member_goes_over_by_a_restart() {
    let mut desk = desk_with(Migration::Bidirectional);
    desk.town.make("t", 2);
    let named = JoinRequest { instance: Some("i".into()), ..classic("", &[]) };
    let join = desk.join(named.clone());
    desk.advance(desk.config.initial_rebalance_delay_ms);
    let joined = desk.joined(join);
    let new = ConsumerHeartbeatRequest { instance: Some("i".into()), ..joins("new") };
    let beaten = desk.beat(new).unwrap();
    assert_eq!(beaten.assignment.unwrap().values().map(BTreeSet::len).sum::<usize>(), 2);
    assert!(desk.heartbeat(&joined.member, joined.generation).is_err());
    // And back: the last member of the new protocol is replaced by one of the classic protocol.
    let leaving = ConsumerHeartbeatRequest { instance: Some("i".into()), ..still("new", -2) };
    desk.beat(leaving).unwrap();
    let back = desk.join(named);
    desk.advance(desk.config.initial_rebalance_delay_ms);
    assert_eq!(desk.joined(back).protocol.as_deref(), Some("range"));
    assert_eq!(group_type(&desk), GroupType::Classic);
}
