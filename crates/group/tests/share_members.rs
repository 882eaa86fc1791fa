//! Members of share groups (KIP-932): joining, sharing, leaving, fencing, and the state that their partitions need first.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;

use desk::{Desk, GROUP, commit_of, join_of};
use millstream_group::{
    AlterShares, Beaten, Config, ConsumerHeartbeatRequest, Error, GroupState, GroupType, ListFilter, Partitions, Reply,
    ShareConfig, ShareHeartbeatRequest, ShareStart, ShareWork, WriteError,
};
use millstream_types::TopicId;

const UNDECIDED: i64 = -1;

fn desk() -> Desk {
    Desk::new(Config::default())
}

fn joins(member: &str, topics: &[&str]) -> ShareHeartbeatRequest {
    ShareHeartbeatRequest {
        group: GROUP.into(),
        member: member.into(),
        topics: Some(topics.iter().map(|name| (*name).to_owned()).collect()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        ..ShareHeartbeatRequest::default()
    }
}

fn still(member: &str, epoch: i32) -> ShareHeartbeatRequest {
    ShareHeartbeatRequest { epoch, topics: None, ..joins(member, &[]) }
}

fn beat(desk: &mut Desk, request: ShareHeartbeatRequest) -> Result<Beaten, Error> {
    let waiter = desk.share_beat_later(request);
    desk.beaten(waiter)
}

fn of(topic: TopicId, partitions: &[i32]) -> Partitions {
    Partitions::from([(topic, partitions.iter().copied().collect())])
}

/// A group with member `a`, which reads all of a topic of two partitions.
fn group(desk: &mut Desk) -> TopicId {
    let topic = desk.town.make("t", 2);
    let waiter = desk.share_beat_later(joins("a", &["t"]));
    desk.share_work(false);
    assert_eq!(desk.beaten(waiter).unwrap().assignment, Some(of(topic, &[0, 1])));
    topic
}

fn altered(desk: &mut Desk, partition: i32, start: i64) -> millstream_types::Waiter {
    let waiter = desk.next_waiter();
    let request = AlterShares { group: GROUP.into(), topics: vec![("t".into(), vec![(partition, start)])] };
    let effects = desk.shard.alter_shares(request, waiter, desk.now());
    desk.absorb(effects);
    waiter
}

fn deleted(desk: &mut Desk, topics: Option<&[&str]>) -> millstream_types::Waiter {
    let waiter = desk.next_waiter();
    let topics = topics.map(|topics| topics.iter().map(|name| (*name).to_owned()).collect());
    let effects = desk.shard.delete_shares(GROUP, topics, waiter, desk.now());
    desk.absorb(effects);
    waiter
}

#[test]
fn the_first_member_has_everything_once_it_has_a_state() {
    let mut desk = desk();
    let topic = desk.town.make("t", 2);
    let waiter = desk.share_beat_later(joins("a", &["t"]));
    assert!(desk.is_waiting(waiter), "nothing can be assigned before");
    let starts = [0, 1].map(|partition| ShareStart { topic, partition, start: UNDECIDED }).to_vec();
    let expected = ShareWork::Initialize { group: GROUP.into(), state_epoch: 1, starts };
    assert_eq!(desk.share_work(false), expected);
    let beaten = desk.beaten(waiter).unwrap();
    assert_eq!((beaten.epoch, beaten.interval_ms, beaten.assignment), (2, 5_000, Some(of(topic, &[0, 1]))));
    assert_eq!(beat(&mut desk, still("a", 2)).unwrap().assignment, None, "what has not changed is not told again");
    assert_eq!(desk.shard.shared_partitions(GROUP), of(topic, &[0, 1]));
}

#[test]
fn members_share_partitions_and_get_what_others_leave() {
    let mut desk = desk();
    let topic = group(&mut desk);
    let second = beat(&mut desk, joins("b", &["t"])).unwrap();
    assert_eq!(second.assignment.unwrap()[&topic].len(), 1);
    let gave = beat(&mut desk, still("a", 2)).unwrap();
    assert_eq!(gave.assignment.unwrap()[&topic].len(), 1, "who had all gives some");
    let third = beat(&mut desk, joins("c", &["t"])).unwrap();
    assert_eq!(third.assignment.unwrap()[&topic].len(), 1, "with more members than partitions some share one");
    let left = beat(&mut desk, still("b", -1)).unwrap();
    assert_eq!((left.epoch, left.assignment), (-1, None));
    beat(&mut desk, still("c", -1)).unwrap();
    assert_eq!(beat(&mut desk, still("a", gave.epoch)).unwrap().assignment, Some(of(topic, &[0, 1])));
    assert_eq!(
        beat(&mut desk, still("b", 1)).unwrap_err(),
        Error::UnknownMemberId { group: GROUP.into(), member: "b".into() }
    );
}

#[test]
fn an_epoch_that_is_not_the_members_is_fenced_but_for_the_one_before() {
    let mut desk = desk();
    let topic = group(&mut desk);
    assert_eq!(beat(&mut desk, still("a", 1)).unwrap().epoch, 2, "the answer with 2 may have been lost");
    assert_eq!(beat(&mut desk, still("a", 3)).unwrap_err(), Error::FencedMemberEpoch { sent: 3, current: 2 });
    assert_eq!(
        beat(&mut desk, joins("a", &["t"])).unwrap().assignment,
        Some(of(topic, &[0, 1])),
        "who joins again is told all"
    );
}

#[test]
fn a_silent_member_is_removed_and_the_group_stays() {
    let mut desk = desk();
    group(&mut desk);
    desk.advance(44_999);
    assert_eq!(desk.shard.describe_share(GROUP).unwrap().members.len(), 1);
    desk.advance(1);
    let described = desk.shard.describe_share(GROUP).unwrap();
    assert_eq!((described.state, described.epoch, described.members.len()), (GroupState::Empty, 3, 0));
    desk.advance(100 * 24 * 3_600_000);
    assert!(desk.shard.describe_share(GROUP).is_ok(), "how far it is does not expire");
}

#[test]
fn a_restart_loses_nothing() {
    let mut desk = desk();
    let topic = group(&mut desk);
    desk.reload();
    assert_eq!(beat(&mut desk, still("a", 2)).unwrap().epoch, 2);
    assert_eq!(desk.shard.shared_partitions(GROUP), of(topic, &[0, 1]));
    let listed = desk.shard.list(&ListFilter { types: vec!["share".into()], ..ListFilter::default() });
    assert_eq!(
        (listed[0].group_type, listed[0].protocol_type.as_str(), listed[0].state),
        (GroupType::Share, "share", GroupState::Stable)
    );
}

#[test]
fn a_state_that_was_being_made_at_a_crash_is_made_again() {
    let mut desk = desk();
    let topic = desk.town.make("t", 1);
    desk.share_beat_later(joins("a", &["t"]));
    desk.reload();
    let waiter = desk.share_beat_later(joins("a", &["t"]));
    desk.share_work(false);
    assert_eq!(desk.beaten(waiter).unwrap().assignment, Some(of(topic, &[0])));
}

#[test]
fn a_state_that_could_not_be_made_is_tried_again_with_a_later_heartbeat() {
    let mut desk = desk();
    let topic = desk.town.make("t", 1);
    let waiter = desk.share_beat_later(joins("a", &["t"]));
    desk.share_work(true);
    assert_eq!(desk.beaten(waiter).unwrap().assignment, Some(Partitions::new()));
    let told = beat(&mut desk, still("a", 1)).unwrap();
    assert_eq!(told.assignment, None, "who says nothing new does not wait");
    desk.share_work(false);
    assert_eq!(beat(&mut desk, still("a", 1)).unwrap().assignment, Some(of(topic, &[0])));
}

#[test]
fn new_partitions_and_new_topics_are_assigned_once_they_have_a_state() {
    let mut desk = desk();
    let topic = group(&mut desk);
    desk.town.grow("t", 3);
    assert_eq!(beat(&mut desk, still("a", 2)).unwrap().assignment, None);
    assert!(matches!(desk.share_work(false), ShareWork::Initialize { starts, .. } if starts.len() == 1));
    assert_eq!(beat(&mut desk, still("a", 3)).unwrap().assignment, Some(of(topic, &[0, 1, 2])));
}

#[test]
fn what_could_not_be_written_is_undone_and_the_group_forgotten() {
    let mut desk = desk();
    desk.town.make("t", 1);
    desk.writes_at_once = false;
    let waiter = desk.share_beat_later(joins("a", &["t"]));
    desk.settle(Err(WriteError::NotAvailable));
    assert_eq!(desk.beaten(waiter).unwrap_err(), Error::CoordinatorNotAvailable { group: GROUP.into() });
    assert!(desk.shares.is_empty(), "nothing is asked for what is not");
    assert_eq!(desk.shard.group_count(), 0);
}

#[test]
fn requests_that_contradict_themselves_are_refused() {
    let mut desk = desk();
    let refused = |desk: &mut Desk, request| match beat(desk, request).unwrap_err() {
        Error::InvalidRequest { why, .. } => why,
        other => panic!("{other}"),
    };
    assert_eq!(refused(&mut desk, joins("", &["t"])), "the member id is empty");
    assert_eq!(refused(&mut desk, joins("a", &[])), "who joins has to subscribe to topics");
    assert_eq!(refused(&mut desk, still("a", -2)), "the member epoch is below -1");
    let racked = ShareHeartbeatRequest { rack: Some(String::new()), ..joins("a", &["t"]) };
    assert_eq!(refused(&mut desk, racked), "the rack is empty: leave it out, or name one");
    assert_eq!(beat(&mut desk, still("a", 1)).unwrap_err(), Error::GroupIdNotFound { group: GROUP.into() });
    assert_eq!(desk.shard.group_count(), 0, "nothing is left of them");
}

#[test]
fn a_full_group_takes_nobody_in() {
    let share = ShareConfig { members_max: 1, ..ShareConfig::default() };
    let mut desk = Desk::new(Config { share, ..Config::default() });
    group(&mut desk);
    assert_eq!(
        beat(&mut desk, joins("b", &["t"])).unwrap_err(),
        Error::GroupMaxSizeReached { group: GROUP.into(), max: 1 }
    );
}

#[test]
fn a_group_of_one_kind_is_none_of_another() {
    let mut desk = desk();
    group(&mut desk);
    let consumer = ConsumerHeartbeatRequest {
        group: GROUP.into(),
        member: "c".into(),
        rebalance_timeout_ms: Some(1),
        topics: Some(["t".to_owned()].into()),
        owned: Some(Partitions::new()),
        makes_ids: true,
        ..ConsumerHeartbeatRequest::default()
    };
    let other = |wanted| Error::OtherProtocol { group: GROUP.into(), wanted };
    assert_eq!(desk.beat(consumer.clone()).unwrap_err(), other("consumer"));
    assert_eq!(desk.shard.describe(GROUP).unwrap_err(), other("classic"));
    assert_eq!(desk.shard.describe_consumer(GROUP).unwrap_err(), other("consumer"));
    let join = desk.join(join_of(""));
    assert!(matches!(desk.join_error(join).error, Error::InconsistentGroupProtocol { .. }));
    let commit = desk.commit(commit_of("t", 1));
    assert_eq!(desk.offsets(commit).unwrap_err(), other("consumer"));
    let unknown = Error::UnknownMemberId { group: GROUP.into(), member: "a".into() };
    assert_eq!(desk.heartbeat("a", 2).unwrap_err(), unknown);
    assert_eq!(desk.leave(&[("a", None)]).unwrap_err(), unknown);

    let mut desk = self::desk();
    desk.town.make("t", 1);
    desk.beat(consumer).unwrap();
    assert_eq!(beat(&mut desk, joins("a", &["t"])).unwrap_err(), other("share"));
    assert_eq!(desk.shard.describe_share(GROUP).unwrap_err(), other("share"));
}

#[test]
fn offsets_are_set_and_deleted_without_members_only() {
    let mut desk = desk();
    let topic = group(&mut desk);
    let busy = Error::NonEmptyGroup { group: GROUP.into(), state: GroupState::Stable };
    let refused = altered(&mut desk, 0, 5);
    assert_eq!(desk.replies[&refused], Reply::SharesAltered(Err(busy.clone())));
    let refused = deleted(&mut desk, Some(&["t"]));
    assert_eq!(desk.replies[&refused], Reply::SharesDeleted(Err(busy)));
    beat(&mut desk, still("a", -1)).unwrap();

    let done = altered(&mut desk, 1, 5);
    let starts = vec![ShareStart { topic, partition: 1, start: 5 }];
    assert_eq!(desk.share_work(false), ShareWork::Initialize { group: GROUP.into(), state_epoch: 3, starts });
    let Reply::SharesAltered(Ok(topics)) = &desk.replies[&done] else { panic!("it is done") };
    assert!(topics[0].partitions[0].result.is_ok());
    let unknown = altered(&mut desk, 2, 5);
    let Reply::SharesAltered(Ok(topics)) = &desk.replies[&unknown] else { panic!("it is answered") };
    assert!(matches!(topics[0].partitions[0].result, Err(Error::UnknownShareOffset { .. })));

    let done = deleted(&mut desk, Some(&["t", "u"]));
    assert_eq!(desk.shard.shared_partitions(GROUP), Partitions::new());
    assert_eq!(desk.share_work(false), ShareWork::Delete { group: GROUP.into(), partitions: of(topic, &[0, 1]) });
    let Reply::SharesDeleted(Ok(topics)) = &desk.replies[&done] else { panic!("it is done") };
    assert_eq!(topics.iter().map(|topic| topic.result.is_ok()).collect::<Vec<_>>(), [true, false]);
    let nothing = deleted(&mut desk, Some(&["t"]));
    let Reply::SharesDeleted(Ok(topics)) = &desk.replies[&nothing] else { panic!("it is answered") };
    assert!(matches!(topics[0].result, Err(Error::UnknownShareOffset { .. })));
}

#[test]
fn a_group_is_deleted_after_its_states() {
    let mut desk = desk();
    let topic = group(&mut desk);
    beat(&mut desk, still("a", -1)).unwrap();
    let states = deleted(&mut desk, None);
    assert_eq!(desk.delete_one(), Err(Error::CoordinatorNotAvailable { group: GROUP.into() }), "a state may be left");
    assert_eq!(desk.share_work(false), ShareWork::Delete { group: GROUP.into(), partitions: of(topic, &[0, 1]) });
    assert_eq!(desk.replies[&states], Reply::SharesDeleted(Ok(Vec::new())));
    assert_eq!(desk.delete_one(), Ok(()));
    assert_eq!(desk.shard.group_count(), 0);
    desk.reload();
    assert_eq!(desk.shard.group_count(), 0, "every record has its tombstone");
}

#[test]
fn what_a_deleted_topic_had_is_forgotten() {
    let mut desk = desk();
    let topic = group(&mut desk);
    let again = desk.town.make("t", 1);
    desk.topic_deleted("t");
    assert_eq!(desk.shares.pop(), Some(ShareWork::Forget { group: GROUP.into(), partitions: of(topic, &[0, 1]) }));
    assert_eq!(desk.shard.shared_partitions(GROUP), Partitions::new());
    beat(&mut desk, still("a", 2)).unwrap();
    desk.share_work(false);
    let epoch = desk.shard.describe_share(GROUP).unwrap().members[0].epoch;
    assert_eq!(beat(&mut desk, still("a", epoch)).unwrap().assignment, Some(of(again, &[0])));
}
