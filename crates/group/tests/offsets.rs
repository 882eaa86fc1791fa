//! Committed offsets: who may commit, what is seen when, what expires, what is deleted.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;

use desk::{Desk, GROUP, commit_of, join_of};
use millstream_group::{
    ByTopic, CommitRequest, Config, Error, FetchRequest, GroupState, JoinRequest, ListFilter, OffsetDeleteRequest,
    Reply, Waiter, WriteError,
};

const MINUTE: u64 = 60_000;
/// Room for the retention check that runs every ten minutes.
const CHECK: u64 = 10 * MINUTE;

fn desk() -> Desk {
    Desk::new(Config { offsets_retention_ms: 60 * MINUTE as i64, ..Config::default() })
}

fn by(member: &str, generation: i32, offset: i64) -> CommitRequest {
    CommitRequest { member: member.into(), generation, ..commit_of("t", offset) }
}

fn is_done(desk: &Desk, waiter: Waiter) -> bool {
    desk.offsets(waiter)
        .is_ok_and(|topics| topics.iter().flat_map(|topic| &topic.partitions).all(|one| one.result.is_ok()))
}

fn delete_offsets(desk: &mut Desk, topic: &str, partition: i32) -> Result<(), Error> {
    let topics = vec![ByTopic { topic: topic.into(), partitions: vec![partition] }];
    let request = OffsetDeleteRequest { group: GROUP.into(), topics };
    let mut effects = desk.shard.delete_offsets(&request, Waiter(0), desk.now());
    let Some(index) = effects.replies.iter().position(|(waiter, _)| *waiter == Waiter(0)) else {
        assert!(desk.writes_at_once && effects.writes.len() == 1);
        let write = effects.writes.remove(0);
        desk.log.extend(write.records);
        let told = desk.shard.written(write.ticket, Ok(()), desk.now());
        return result_of(&told.replies[0].1);
    };
    result_of(&effects.replies[index].1)
}

fn result_of(reply: &Reply) -> Result<(), Error> {
    match reply {
        Reply::Offsets(Ok(topics)) => topics[0].partitions[0].result.clone(),
        Reply::Offsets(Err(error)) => Err(error.clone()),
        other => panic!("no answer to an offset delete: {other:?}"),
    }
}

#[test]
fn an_offset_is_seen_once_it_is_stored() {
    let mut desk = desk();
    desk.writes_at_once = false;
    let commit = desk.commit(commit_of("t", 5));
    assert!(desk.is_waiting(commit));
    assert_eq!(desk.fetched("t"), -1);
    desk.settle(Ok(()));
    assert!(is_done(&desk, commit));
    assert_eq!(desk.fetched("t"), 5);
    desk.reload();
    assert_eq!(desk.fetched("t"), 5);
}

#[test]
fn an_offset_that_could_not_be_stored_is_never_seen() {
    let mut desk = desk();
    desk.writes_at_once = false;
    let commit = desk.commit(commit_of("t", 5));
    desk.settle(Err(WriteError::NotAvailable));
    assert_eq!(desk.offsets(commit), Err(Error::CoordinatorNotAvailable { group: GROUP.into() }));
    assert_eq!((desk.fetched("t"), desk.shard.group_count()), (-1, 0));
}

#[test]
fn commits_are_judged_by_member_generation_and_state() {
    let mut desk = desk();
    let none = desk.commit(by("m", 1, 5));
    assert_eq!(desk.offsets(none), Err(Error::GroupIdNotFound { group: GROUP.into() }), "no such group");
    let (ids, generation) = desk.stable(1);
    let good = desk.commit(by(&ids[0], generation, 5));
    assert!(is_done(&desk, good));
    let unknown = |member: &str| Error::UnknownMemberId { group: GROUP.into(), member: member.into() };
    let table = [
        ("unknown member", by("m", generation, 6), unknown("m")),
        ("without membership", commit_of("t", 6), unknown("")),
        (
            "another generation",
            by(&ids[0], 0, 6),
            Error::IllegalGeneration { group: GROUP.into(), sent: 0, current: 1 },
        ),
        (
            "a member without a generation",
            by(&ids[0], -1, 6),
            Error::IllegalGeneration { group: GROUP.into(), sent: -1, current: 1 },
        ),
    ];
    for (name, request, expected) in table {
        let commit = desk.commit(request);
        assert_eq!(desk.offsets(commit), Err(expected), "{name}");
    }
    desk.join(join_of(""));
    let preparing = desk.commit(by(&ids[0], generation, 7));
    assert!(is_done(&desk, preparing), "members commit before they join again");
    desk.join(join_of(&ids[0]));
    let completing = desk.commit(by(&ids[0], 2, 8));
    assert_eq!(desk.offsets(completing), Err(Error::RebalanceInProgress { group: GROUP.into() }));
    assert_eq!(desk.fetched("t"), 7);
}

#[test]
fn a_commit_keeps_a_session_alive() {
    let mut desk = desk();
    let (ids, generation) = desk.stable(1);
    for offset in 0..5 {
        desk.advance(9_000);
        let commit = desk.commit(by(&ids[0], generation, offset));
        assert!(is_done(&desk, commit));
    }
}

#[test]
fn an_empty_group_with_members_before_takes_commits_without_membership() {
    let mut desk = desk();
    let (ids, _) = desk.stable(1);
    desk.leave(&[(&ids[0], None)]).unwrap();
    let commit = desk.commit(commit_of("t", 3));
    assert!(is_done(&desk, commit));
}

#[test]
fn metadata_over_the_limit_is_refused_for_its_partition_only() {
    let mut desk = desk();
    let mut request = commit_of("t", 5);
    let mut long = request.topics[0].partitions[0].clone();
    (long.partition, long.metadata) = (1, "x".repeat(4_097));
    request.topics[0].partitions.push(long);
    let commit = desk.commit(request);
    let results: Vec<_> = desk.offsets(commit).unwrap()[0].partitions.iter().map(|one| one.result.clone()).collect();
    assert_eq!(results, [Ok(()), Err(Error::OffsetMetadataTooLarge { bytes: 4_097, max: 4_096 })]);
    assert_eq!(desk.fetched("t"), 5);
}

#[test]
fn all_offsets_are_fetched_when_no_topic_is_named() {
    let mut desk = desk();
    desk.commit(commit_of("b", 2));
    desk.commit(commit_of("a", 1));
    let all = desk
        .shard
        .fetch(&FetchRequest { group: GROUP.into(), topics: None, member: None, require_stable: true })
        .unwrap();
    let seen: Vec<_> = all.iter().map(|topic| (topic.topic.as_str(), topic.partitions[0].offset.0)).collect();
    assert_eq!(seen, [("a", 1), ("b", 2)]);
    let unknown = desk
        .shard
        .fetch(&FetchRequest { group: "h".into(), topics: None, member: None, require_stable: false })
        .unwrap();
    assert!(unknown.is_empty());
}

#[test]
fn offsets_without_membership_expire_after_the_last_commit_and_their_group_with_them() {
    let mut desk = desk();
    desk.commit(commit_of("t", 1));
    desk.advance(30 * MINUTE);
    desk.commit(commit_of("u", 1));
    desk.advance(30 * MINUTE + CHECK);
    assert_eq!((desk.fetched("t"), desk.fetched("u")), (-1, 1));
    desk.advance(30 * MINUTE);
    assert_eq!((desk.fetched("u"), desk.shard.group_count()), (-1, 0));
    desk.reload();
    assert_eq!(desk.shard.group_count(), 0, "the log says the same");
}

#[test]
fn offsets_of_a_group_with_members_stay_until_it_was_empty_for_the_retention() {
    let mut desk = desk();
    let (ids, generation) = desk.stable(1);
    desk.commit(by(&ids[0], generation, 1));
    for _ in 0..40 {
        desk.advance(9_000);
        desk.heartbeat(&ids[0], generation).unwrap();
    }
    let beat = |desk: &mut Desk, minutes: u64| {
        for _ in 0..minutes * 10 {
            desk.advance(6_000);
            desk.heartbeat(&ids[0], generation).unwrap();
        }
    };
    beat(&mut desk, 80);
    assert_eq!(desk.fetched("t"), 1, "subscribed");
    desk.leave(&[(&ids[0], None)]).unwrap();
    desk.advance(59 * MINUTE);
    assert_eq!(desk.fetched("t"), 1);
    desk.advance(MINUTE + CHECK);
    assert_eq!((desk.fetched("t"), desk.shard.group_count()), (-1, 0));
}

#[test]
fn a_topic_that_a_group_no_longer_reads_expires() {
    let mut desk = desk();
    desk.commit(commit_of("old", 1));
    let (ids, generation) = desk.stable(1);
    desk.commit(by(&ids[0], generation, 1));
    for _ in 0..(80 * 10) {
        desk.advance(6_000);
        desk.heartbeat(&ids[0], generation).unwrap();
    }
    assert_eq!((desk.fetched("old"), desk.fetched("t")), (-1, 1));
}

#[test]
fn offsets_of_a_group_without_a_name_are_not_deleted() {
    let mut desk = desk();
    let request = OffsetDeleteRequest { group: String::new(), topics: Vec::new() };
    let effects = desk.shard.delete_offsets(&request, Waiter(0), desk.now());
    assert_eq!(result_of(&effects.replies[0].1), Err(Error::InvalidGroupId));
}

#[test]
fn a_retention_in_the_request_holds_for_its_offsets() {
    let mut desk = desk();
    desk.commit(CommitRequest { retention_ms: Some(5 * MINUTE as i64), ..commit_of("short", 1) });
    desk.commit(CommitRequest { retention_ms: Some(500 * MINUTE as i64), ..commit_of("long", 1) });
    desk.reload();
    desk.advance(60 * MINUTE + CHECK);
    assert_eq!((desk.fetched("short"), desk.fetched("long")), (-1, 1));
}

#[test]
fn a_group_is_deleted_with_its_offsets() {
    let mut desk = desk();
    let (ids, generation) = desk.stable(1);
    desk.commit(by(&ids[0], generation, 1));
    let refused = desk.delete(&[GROUP, "h"]);
    assert_eq!(
        desk.deleted(refused),
        [
            (GROUP.into(), Err(Error::NonEmptyGroup { group: GROUP.into(), state: GroupState::Stable })),
            ("h".into(), Err(Error::GroupIdNotFound { group: "h".into() })),
        ]
    );
    desk.leave(&[(&ids[0], None)]).unwrap();
    let deleted = desk.delete(&[GROUP]);
    assert_eq!(desk.deleted(deleted), [(GROUP.into(), Ok(()))]);
    assert_eq!((desk.shard.group_count(), desk.fetched("t")), (0, -1));
    desk.reload();
    assert_eq!((desk.shard.group_count(), desk.fetched("t")), (0, -1));
}

#[test]
fn a_group_being_deleted_takes_nothing_and_comes_back_if_that_fails() {
    let mut desk = desk();
    desk.commit(commit_of("t", 1));
    desk.writes_at_once = false;
    let deleting = desk.delete(&[GROUP]);
    let commit = desk.commit(commit_of("t", 2));
    assert_eq!(desk.offsets(commit), Err(Error::CoordinatorNotAvailable { group: GROUP.into() }));
    let join = desk.join(join_of(""));
    assert_eq!(desk.join_error(join).error, Error::CoordinatorNotAvailable { group: GROUP.into() });
    desk.settle(Err(WriteError::NotAvailable));
    let error = Error::CoordinatorNotAvailable { group: GROUP.into() };
    assert_eq!(desk.deleted(deleting), [(GROUP.into(), Err(error))]);
    assert_eq!(desk.fetched("t"), 1);
    desk.writes_at_once = true;
    let again = desk.delete(&[GROUP]);
    assert_eq!(desk.deleted(again), [(GROUP.into(), Ok(()))]);
}

#[test]
fn a_commit_under_way_does_not_outlive_its_group() {
    let mut desk = desk();
    desk.commit(commit_of("t", 1));
    desk.writes_at_once = false;
    desk.commit(commit_of("u", 2));
    desk.delete(&[GROUP]);
    desk.settle(Ok(()));
    desk.settle(Ok(()));
    assert_eq!(desk.shard.group_count(), 0);
    desk.reload();
    assert_eq!(desk.shard.group_count(), 0);
}

#[test]
fn offsets_are_deleted_unless_their_topic_is_read() {
    let mut desk = desk();
    assert_eq!(delete_offsets(&mut desk, "t", 0), Err(Error::GroupIdNotFound { group: GROUP.into() }));
    desk.commit(commit_of("old", 1));
    let (ids, generation) = desk.stable(1);
    desk.commit(by(&ids[0], generation, 1));
    let subscribed = Error::GroupSubscribedToTopic { group: GROUP.into(), topic: "t".into() };
    assert_eq!(delete_offsets(&mut desk, "t", 0), Err(subscribed));
    assert_eq!(delete_offsets(&mut desk, "old", 0), Ok(()));
    assert_eq!(delete_offsets(&mut desk, "old", 5), Ok(()), "what is not there is as good as deleted");
    assert_eq!((desk.fetched("old"), desk.fetched("t")), (-1, 1));
}

#[test]
fn offsets_of_an_active_group_of_another_type_are_not_deleted() {
    let mut desk = desk();
    desk.join(JoinRequest { protocol_type: "connect".into(), ..join_of("") });
    let state = GroupState::PreparingRebalance;
    assert_eq!(delete_offsets(&mut desk, "t", 0), Err(Error::NonEmptyGroup { group: GROUP.into(), state }));
}

#[test]
fn a_deleted_topic_is_forgotten_by_every_group() {
    let mut desk = desk();
    desk.commit(commit_of("t", 1));
    desk.commit(CommitRequest { group: "h".into(), ..commit_of("t", 2) });
    desk.commit(commit_of("u", 3));
    let deleted = desk.topic_deleted("t");
    assert_eq!(desk.deleted(deleted).len(), 2);
    assert_eq!((desk.fetched("t"), desk.fetched("u")), (-1, 3));
    let again = desk.topic_deleted("t");
    assert_eq!(desk.deleted(again), []);
    desk.reload();
    assert_eq!((desk.fetched("t"), desk.fetched("u"), desk.shard.group_count()), (-1, 3, 1));
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut desk = desk();
    desk.stable(1);
    desk.commit(CommitRequest { group: "h".into(), ..commit_of("t", 2) });
    let names = |states: &[&str], types: &[&str]| -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let filter = ListFilter { states: own(states), types: own(types) };
        desk.shard.list(&filter).into_iter().map(|listed| listed.group).collect()
    };
    assert_eq!(names(&[], &[]), ["g", "h"]);
    assert_eq!(names(&["stable"], &[]), ["g"]);
    assert_eq!(names(&["Empty", "Stable"], &["Classic"]), ["g", "h"]);
    assert_eq!(names(&["nonsense"], &[]), [""; 0]);
    assert_eq!(names(&[], &["consumer"]), [""; 0]);
}

#[test]
fn a_description_shows_assignments_of_a_stable_group_only() {
    let mut desk = desk();
    let (ids, _) = desk.stable(2);
    let described = desk.shard.describe(GROUP).unwrap();
    assert_eq!((described.protocol_type.as_str(), described.protocol.as_str()), ("consumer", "range"));
    assert!(
        described.members.iter().all(|member| member.assignment.as_ref() == b"part" && !member.metadata.is_empty())
    );
    desk.join(join_of(&ids[0]));
    let described = desk.shard.describe(GROUP).unwrap();
    assert_eq!((described.state, described.protocol.as_str()), (GroupState::PreparingRebalance, ""));
    assert!(described.members.iter().all(|member| member.assignment.is_empty() && member.metadata.is_empty()));
    assert_eq!(desk.shard.describe("h"), Err(Error::GroupIdNotFound { group: "h".into() }));
}
