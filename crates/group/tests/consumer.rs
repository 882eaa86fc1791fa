//! The new protocol (KIP-848): joining, reconciling, leaving, fencing, patterns, as tables of heartbeats and their answers.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;

use desk::{Desk, GROUP};
use millstream_group::{
    Beaten, ByTopic, CommitRequest, Config, ConsumerConfig, ConsumerHeartbeatRequest, Error, FetchRequest, GroupState,
    GroupTimes, GroupType, ListFilter, OffsetCommit, Partitions, WriteError,
};
use millstream_types::{LeaderEpoch, Offset, TopicId};

fn desk() -> Desk {
    Desk::new(Config::default())
}

/// The first heartbeat of a member.
fn joins(member: &str, topics: &[&str]) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest {
        group: GROUP.into(),
        member: member.into(),
        rebalance_timeout_ms: Some(60_000),
        topics: Some(topics.iter().map(|name| (*name).to_owned()).collect()),
        owned: Some(Partitions::new()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        makes_ids: true,
        ..ConsumerHeartbeatRequest::default()
    }
}

/// A heartbeat that says nothing new.
fn still(member: &str, epoch: i32) -> ConsumerHeartbeatRequest {
    let silent = ConsumerHeartbeatRequest { epoch, ..joins(member, &[]) };
    ConsumerHeartbeatRequest { rebalance_timeout_ms: None, topics: None, owned: None, ..silent }
}

fn owns(member: &str, epoch: i32, owned: &Partitions) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest { owned: Some(owned.clone()), ..still(member, epoch) }
}

fn of(topic: TopicId, partitions: &[i32]) -> Partitions {
    if partitions.is_empty() {
        Partitions::new()
    } else {
        Partitions::from([(topic, partitions.iter().copied().collect())])
    }
}

fn has(beaten: &Beaten) -> &Partitions {
    beaten.assignment.as_ref().expect("the member is told what it has")
}

fn state(desk: &Desk) -> GroupState {
    desk.shard.describe_consumer(GROUP).unwrap().state
}

/// Two members that share four partitions, `a` two and `b` two, both in epoch 2.
fn pair(desk: &mut Desk) -> TopicId {
    let topic = desk.town.make("t", 4);
    desk.beat(joins("a", &["t"])).unwrap();
    desk.beat(joins("b", &["t"])).unwrap();
    let told = desk.beat(still("a", 1)).unwrap();
    desk.beat(owns("a", 1, has(&told))).unwrap();
    desk.beat(still("b", 2)).unwrap();
    assert_eq!(state(desk), GroupState::Stable);
    topic
}

#[test]
fn the_first_member_has_everything_at_once() {
    let mut desk = desk();
    let topic = desk.town.make("t", 3);
    let beaten = desk.beat(joins("a", &["t"])).unwrap();
    let expected = Beaten { member: "a".into(), epoch: 1, interval_ms: 5_000, assignment: Some(of(topic, &[0, 1, 2])) };
    assert_eq!(beaten, expected);
    // What has not changed is not told again.
    assert_eq!(desk.beat(still("a", 1)).unwrap().assignment, None);
    assert_eq!(state(&desk), GroupState::Stable);
}

#[test]
fn a_partition_is_given_on_only_when_it_was_given_back() {
    let mut desk = desk();
    let topic = desk.town.make("t", 4);
    desk.beat(joins("a", &["t"])).unwrap();
    let second = desk.beat(joins("b", &["t"])).unwrap();
    assert_eq!((second.epoch, has(&second)), (2, &Partitions::new()));
    assert_eq!(state(&desk), GroupState::Reconciling);

    // `a` learns what it keeps, in its old epoch, and still has the rest until it says otherwise.
    let told = desk.beat(still("a", 1)).unwrap();
    assert_eq!((told.epoch, has(&told)), (1, &of(topic, &[0, 1])));
    assert_eq!(desk.beat(owns("a", 1, &of(topic, &[0, 1, 2]))).unwrap().epoch, 1);
    assert_eq!(desk.beat(still("b", 2)).unwrap().assignment, None);

    let done = desk.beat(owns("a", 1, &of(topic, &[0, 1]))).unwrap();
    assert_eq!((done.epoch, done.assignment), (2, None));
    assert_eq!(has(&desk.beat(still("b", 2)).unwrap()), &of(topic, &[2, 3]));
    assert_eq!(state(&desk), GroupState::Stable);
}

#[test]
fn who_does_not_give_back_in_time_is_out() {
    let mut desk = desk();
    let topic = desk.town.make("t", 2);
    desk.beat(joins("a", &["t"])).unwrap();
    desk.beat(joins("b", &["t"])).unwrap();
    desk.beat(still("a", 1)).unwrap();
    for _ in 0..7 {
        desk.advance(10_000);
        let _ = desk.beat(still("a", 1));
        desk.beat(still("b", 2)).or_else(|_| desk.beat(still("b", 3))).unwrap();
    }
    assert_eq!(
        desk.beat(still("a", 1)).unwrap_err(),
        Error::UnknownMemberId { group: GROUP.into(), member: "a".into() }
    );
    let description = desk.shard.describe_consumer(GROUP).unwrap();
    assert_eq!(description.members.len(), 1);
    assert_eq!(description.members[0].assignment, of(topic, &[0, 1]));
}

#[test]
fn a_silent_member_loses_what_it_had_to_the_others() {
    let mut desk = desk();
    let topic = pair(&mut desk);
    desk.advance(40_000);
    desk.beat(still("a", 2)).unwrap();
    desk.advance(6_000);
    let beaten = desk.beat(still("a", 2)).unwrap();
    assert_eq!((beaten.epoch, has(&beaten)), (3, &of(topic, &[0, 1, 2, 3])));
}

#[test]
fn a_group_may_have_times_of_its_own_within_the_brokers() {
    let mut desk = desk();
    desk.town.set_times(
        GROUP,
        GroupTimes { session_timeout_ms: Some(50_000), heartbeat_interval_ms: Some(1), ..GroupTimes::default() },
    );
    assert_eq!(desk.beat(joins("a", &["t"])).unwrap().interval_ms, 5_000);
    desk.advance(46_000);
    assert_eq!(desk.shard.describe_consumer(GROUP).unwrap().members.len(), 1);
    desk.advance(5_000);
    assert_eq!(state(&desk), GroupState::Empty);
}

#[test]
fn an_epoch_that_is_not_the_members_is_fenced() {
    let mut desk = desk();
    let topic = pair(&mut desk);
    let fenced = |sent| Error::FencedMemberEpoch { sent, current: 2 };
    assert_eq!(desk.beat(still("a", 3)).unwrap_err(), fenced(3));
    // The epoch before is fine from who has nothing else than what it was given: the answer may have been lost.
    assert_eq!(desk.beat(still("a", 1)).unwrap_err(), fenced(1));
    assert_eq!(desk.beat(owns("a", 1, &of(topic, &[3]))).unwrap_err(), fenced(1));
    assert_eq!(desk.beat(owns("a", 1, &of(topic, &[0]))).unwrap().epoch, 2);
    // Epoch 0 is always a new beginning, and tells all.
    assert_eq!(has(&desk.beat(joins("a", &["t"])).unwrap()), &of(topic, &[0, 1]));
}

#[test]
fn unknown_members_and_groups_are_told_so() {
    let mut desk = desk();
    assert_eq!(desk.beat(still("a", 4)).unwrap_err(), Error::GroupIdNotFound { group: GROUP.into() });
    pair(&mut desk);
    let unknown = Error::UnknownMemberId { group: GROUP.into(), member: "c".into() };
    assert_eq!(desk.beat(still("c", 4)).unwrap_err(), unknown);
    assert_eq!(desk.beat(still("c", -1)).unwrap_err(), unknown);
    assert!(matches!(desk.shard.describe(GROUP), Err(Error::OtherProtocol { .. })));
}

#[test]
fn a_heartbeat_that_contradicts_itself_is_refused() {
    let mut desk = desk();
    let table = [
        ConsumerHeartbeatRequest { group: String::new(), ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { member: String::new(), ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { instance: Some(String::new()), ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { rack: Some(String::new()), ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { rebalance_timeout_ms: None, ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { owned: None, ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { owned: Some(of(TopicId::ZERO, &[1])), ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { topics: None, ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { makes_ids: false, ..joins("a", &[]) },
        ConsumerHeartbeatRequest { epoch: -2, ..joins("a", &["t"]) },
        ConsumerHeartbeatRequest { epoch: -3, ..joins("a", &["t"]) },
    ];
    for request in table {
        assert!(matches!(desk.beat(request.clone()), Err(Error::InvalidRequest { .. })), "{request:?}");
    }
    let request = ConsumerHeartbeatRequest { assignor: Some("sticky".into()), ..joins("a", &["t"]) };
    assert!(matches!(desk.beat(request), Err(Error::UnsupportedAssignor { .. })));
    assert_eq!(desk.shard.group_count(), 0);
    assert!(desk.log.is_empty());
}

#[test]
fn a_member_of_version_0_is_given_an_id() {
    let mut desk = desk();
    desk.town.make("t", 1);
    let beaten = desk.beat(ConsumerHeartbeatRequest { makes_ids: false, ..joins("", &["t"]) }).unwrap();
    assert_eq!(beaten.member.len(), 36);
    assert_eq!(desk.beat(still(&beaten.member, 1)).unwrap().epoch, 1);
}

#[test]
fn who_leaves_gives_its_partitions_to_the_others() {
    let mut desk = desk();
    let topic = pair(&mut desk);
    assert_eq!(desk.beat(still("b", -1)).unwrap().epoch, -1);
    assert_eq!(has(&desk.beat(still("a", 2)).unwrap()), &of(topic, &[0, 1, 2, 3]));
    desk.beat(still("a", -1)).unwrap();
    assert_eq!(state(&desk), GroupState::Empty);
}

#[test]
fn new_partitions_and_topics_are_seen_by_the_next_heartbeat() {
    let mut desk = desk();
    let topic = desk.town.make("t", 1);
    desk.beat(joins("a", &["t", "u"])).unwrap();
    desk.town.grow("t", 2);
    let beaten = desk.beat(still("a", 1)).unwrap();
    assert_eq!((beaten.epoch, has(&beaten)), (2, &of(topic, &[0, 1])));
    let other = desk.town.make("u", 1);
    let beaten = desk.beat(still("a", 2)).unwrap();
    assert_eq!(has(&beaten).get(&other), Some(&[0].into()));
    desk.town.make("v", 1);
    assert_eq!(desk.beat(still("a", 3)).unwrap().epoch, 3, "a topic that nobody reads changes nothing");
    desk.town.delete("u");
    let told = desk.beat(still("a", 3)).unwrap();
    assert_eq!(has(&told), &of(topic, &[0, 1]));
}

#[test]
fn a_static_member_that_will_be_back_keeps_what_it_has() {
    let mut desk = desk();
    let topic = desk.town.make("t", 2);
    let named = |request: ConsumerHeartbeatRequest| ConsumerHeartbeatRequest { instance: Some("i".into()), ..request };
    desk.beat(named(joins("a", &["t"]))).unwrap();
    // The name is held: another process can't have it.
    let held = Error::UnreleasedInstanceId { group: GROUP.into(), instance: "i".into() };
    assert_eq!(desk.beat(named(joins("b", &["t"]))).unwrap_err(), held);
    assert_eq!(desk.beat(named(still("a", -2))).unwrap().epoch, -2);
    let before = desk.shard.describe_consumer(GROUP).unwrap().epoch;
    let back = desk.beat(named(joins("b", &["t"]))).unwrap();
    assert_eq!((back.epoch, has(&back)), (1, &of(topic, &[0, 1])));
    let description = desk.shard.describe_consumer(GROUP).unwrap();
    assert_eq!((description.epoch, description.members.len()), (before, 1), "nobody else notices");
    let fenced =
        Error::FencedInstanceId { group: GROUP.into(), instance: "i".into(), sent: "a".into(), current: "b".into() };
    assert_eq!(desk.beat(named(still("a", 1))).unwrap_err(), fenced);
}

#[test]
fn a_static_member_that_does_not_come_back_is_out_after_its_session() {
    let mut desk = desk();
    desk.town.make("t", 2);
    let named = |request: ConsumerHeartbeatRequest| ConsumerHeartbeatRequest { instance: Some("i".into()), ..request };
    desk.beat(named(joins("a", &["t"]))).unwrap();
    desk.beat(named(still("a", -2))).unwrap();
    desk.advance(46_000);
    assert_eq!(state(&desk), GroupState::Empty);
}

#[test]
fn a_pattern_is_matched_by_the_server() {
    let mut desk = desk();
    let (first, _) = (desk.town.make("orders-1", 1), desk.town.make("other", 1));
    let pattern = |request| ConsumerHeartbeatRequest { regex: Some("orders-.*".into()), topics: None, ..request };
    let joined = desk.beat(pattern(joins("a", &[]))).unwrap();
    assert_eq!(has(&joined), &Partitions::new(), "not matched yet");
    desk.match_patterns();
    let told = desk.beat(still("a", joined.epoch)).unwrap();
    assert_eq!(has(&told), &of(first, &[0]));
    // A new topic is found once patterns may be matched again.
    let second = desk.town.make("orders-2", 1);
    desk.advance(11_000);
    desk.beat(still("a", told.epoch)).unwrap();
    desk.match_patterns();
    assert_eq!(has(&desk.beat(still("a", told.epoch)).unwrap()).get(&second), Some(&[0].into()));
    let bad = ConsumerHeartbeatRequest { regex: Some("(".into()), topics: None, ..joins("b", &[]) };
    assert!(matches!(desk.beat(bad), Err(Error::InvalidRegularExpression { .. })));
}

#[test]
fn a_pattern_that_nobody_has_any_more_is_forgotten() {
    let mut desk = desk();
    desk.town.make("orders-1", 1);
    let joined =
        desk.beat(ConsumerHeartbeatRequest { regex: Some("o.*".into()), topics: None, ..joins("a", &[]) }).unwrap();
    desk.match_patterns();
    let told = desk.beat(still("a", joined.epoch)).unwrap();
    let none = ConsumerHeartbeatRequest { regex: Some(String::new()), ..still("a", told.epoch) };
    let after = desk.beat(none).unwrap();
    assert_eq!(has(&after), &Partitions::new());
    let last = desk.log.iter().rev().find(|record| record.key.starts_with(&[0, 16])).unwrap();
    assert_eq!(last.value, None);
}

#[test]
fn the_assignor_that_most_ask_for_is_used() {
    let mut desk = desk();
    desk.town.make("t", 1);
    let asks =
        |member, assignor: &str| ConsumerHeartbeatRequest { assignor: Some(assignor.into()), ..joins(member, &["t"]) };
    desk.beat(joins("a", &["t"])).unwrap();
    assert_eq!(desk.shard.describe_consumer(GROUP).unwrap().assignor, "uniform");
    desk.beat(asks("b", "range")).unwrap();
    assert_eq!(desk.shard.describe_consumer(GROUP).unwrap().assignor, "range");
}

#[test]
fn a_full_group_takes_nobody_else() {
    let consumer = ConsumerConfig { members_max: 1, ..ConsumerConfig::default() };
    let mut desk = Desk::new(Config { consumer, ..Config::default() });
    desk.beat(joins("a", &["t"])).unwrap();
    assert!(matches!(desk.beat(joins("b", &["t"])), Err(Error::GroupMaxSizeReached { max: 1, .. })));
    assert!(desk.beat(joins("a", &["t"])).is_ok());
}

#[test]
fn nothing_is_answered_before_it_is_written_and_what_waits_is_written_together() {
    let mut desk = desk();
    desk.town.make("t", 3);
    desk.writes_at_once = false;
    let first = desk.beat_later(joins("a", &["t"]));
    let others = [desk.beat_later(joins("b", &["t"])), desk.beat_later(joins("c", &["t"]))];
    assert!(desk.is_waiting(first));
    desk.settle(Ok(()));
    assert_eq!(desk.beaten(first).unwrap().epoch, 1);
    assert!(others.iter().all(|waiter| desk.is_waiting(*waiter)));
    assert_eq!(desk.held.len(), 1, "one write for both");
    desk.settle(Ok(()));
    assert_eq!(others.map(|waiter| desk.beaten(waiter).unwrap().epoch), [2, 3]);
}

#[test]
fn what_could_not_be_written_has_not_happened() {
    let mut desk = desk();
    let topic = pair(&mut desk);
    let before = desk.shard.describe_consumer(GROUP).unwrap();
    desk.writes_at_once = false;
    let leave = desk.beat_later(still("b", -1));
    let join = desk.beat_later(joins("c", &["t"]));
    desk.settle(Err(WriteError::NotAvailable));
    assert_eq!(desk.beaten(leave).unwrap_err(), Error::CoordinatorNotAvailable { group: GROUP.into() });
    desk.settle(Err(WriteError::NotAvailable));
    assert!(desk.beaten(join).is_err());
    assert_eq!(desk.shard.describe_consumer(GROUP).unwrap(), before);
    desk.writes_at_once = true;
    assert_eq!(has(&desk.beat(joins("b", &["t"])).unwrap()), &of(topic, &[2, 3]));
}

#[test]
fn a_restart_finds_everything_as_it_was() {
    let mut desk = desk();
    let topic = desk.town.make("t", 4);
    desk.beat(joins("a", &["t"])).unwrap();
    desk.beat(joins("b", &["t"])).unwrap();
    desk.beat(still("a", 1)).unwrap();
    let before = desk.shard.describe_consumer(GROUP).unwrap();
    desk.reload();
    assert_eq!(desk.shard.describe_consumer(GROUP).unwrap(), before);
    let done = desk.beat(owns("a", 1, &of(topic, &[0, 1]))).unwrap();
    assert_eq!(done.epoch, 2);
    assert_eq!(has(&desk.beat(still("b", 2)).unwrap()), &of(topic, &[2, 3]));
}

fn commits(member: &str, epoch: i32, partition: i32) -> CommitRequest {
    let commit = OffsetCommit {
        partition,
        offset: Offset(7),
        leader_epoch: LeaderEpoch(0),
        metadata: String::new(),
        topic_id: TopicId::ZERO,
    };
    CommitRequest {
        group: GROUP.into(),
        member: member.into(),
        instance: None,
        generation: epoch,
        speaks_epochs: true,
        retention_ms: None,
        topics: vec![ByTopic { topic: "t".into(), partitions: vec![commit] }],
    }
}

fn committed(desk: &mut Desk, request: CommitRequest) -> Result<(), Error> {
    let waiter = desk.commit(request);
    desk.offsets(waiter)?.remove(0).partitions.remove(0).result
}

#[test]
fn only_members_commit_and_only_in_an_epoch_since_which_they_have_the_partition() {
    let mut desk = desk();
    pair(&mut desk);
    let stale = |sent| Error::StaleMemberEpoch { group: GROUP.into(), sent, current: 2 };
    assert_eq!(committed(&mut desk, commits("a", 2, 0)), Ok(()));
    // `a` has had partition 0 since epoch 1, `b` has 2 since epoch 2 (KIP-1251).
    assert_eq!(committed(&mut desk, commits("a", 1, 0)), Ok(()));
    assert_eq!(committed(&mut desk, commits("a", 1, 2)), Err(stale(1)));
    assert_eq!(committed(&mut desk, commits("b", 1, 2)), Err(stale(1)));
    assert_eq!(committed(&mut desk, commits("a", 3, 0)), Err(stale(3)));
    let unknown = |member: &str| Error::UnknownMemberId { group: GROUP.into(), member: member.into() };
    assert_eq!(committed(&mut desk, commits("c", 2, 0)), Err(unknown("c")));
    assert_eq!(committed(&mut desk, commits("", -1, 0)), Err(unknown("")));
    let old = CommitRequest { speaks_epochs: false, ..commits("a", 2, 0) };
    assert_eq!(committed(&mut desk, old), Err(Error::UnsupportedVersion { group: GROUP.into() }));
    let fetch = |member: &str, epoch| FetchRequest {
        group: GROUP.into(),
        member: Some((member.to_owned(), epoch)),
        topics: None,
        require_stable: false,
    };
    assert!(desk.shard.fetch(&fetch("a", 2)).is_ok());
    assert_eq!(desk.shard.fetch(&fetch("a", 1)), Err(stale(1)));
    assert_eq!(desk.shard.fetch(&fetch("c", 1)), Err(unknown("c")));
}

#[test]
fn an_empty_group_is_listed_deleted_and_its_offsets_may_be_set() {
    let mut desk = desk();
    pair(&mut desk);
    assert!(matches!(desk.delete_one(), Err(Error::NonEmptyGroup { .. })));
    let listed =
        |desk: &Desk, types: &str| desk.shard.list(&ListFilter { types: vec![types.into()], states: Vec::new() });
    assert_eq!(listed(&desk, "Consumer")[0].group_type, GroupType::Consumer);
    assert!(listed(&desk, "classic").is_empty());
    for member in ["a", "b"] {
        desk.beat(still(member, -1)).unwrap();
    }
    assert_eq!(committed(&mut desk, commits("", -1, 0)), Ok(()));
    assert_eq!(desk.delete_one(), Ok(()));
    assert_eq!(desk.shard.group_count(), 0);
    desk.reload();
    assert_eq!(desk.shard.group_count(), 0, "nothing of it is left in the log");
}
