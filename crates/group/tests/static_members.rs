//! Static members: they come back without a rebalance, and fence their older selves.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;

use bytes::Bytes;
use desk::{Desk, GROUP, join_of};
use millstream_group::{Config, Error, GroupState, JoinRequest, Protocol, WriteError};

fn static_join(id: &str, instance: &str) -> JoinRequest {
    JoinRequest { instance: Some(instance.into()), requires_known_member: true, ..join_of(id) }
}

fn fenced(sent: &str, current: &str) -> Error {
    Error::FencedInstanceId { group: GROUP.into(), instance: "i1".into(), sent: sent.into(), current: current.into() }
}

/// A stable group of the static members i1 (which leads) and i2: their ids.
fn stable() -> (Desk, String, String) {
    let mut desk = Desk::new(Config::default());
    let first = desk.join(static_join("", "i1"));
    let second = desk.join(static_join("", "i2"));
    desk.advance(6_000);
    let (first, second) = (desk.joined(first), desk.joined(second));
    assert_eq!(first.leader, first.member, "the first to join leads");
    desk.sync(&second.member, 1, &[]);
    desk.sync(&first.member, 1, &[(&first.member, b"p1"), (&second.member, b"p2")]);
    (desk, first.member, second.member)
}

fn state(desk: &Desk) -> GroupState {
    desk.shard.describe(GROUP).unwrap().state
}

#[test]
fn a_static_member_needs_no_second_join() {
    let (desk, first, _) = stable();
    assert!(first.starts_with("i1-"), "{first}");
    assert_eq!(state(&desk), GroupState::Stable);
}

#[test]
fn a_static_follower_comes_back_to_its_assignment_without_a_rebalance() {
    let (mut desk, first, second) = stable();
    let join = desk.join(static_join("", "i2"));
    let joined = desk.joined(join);
    assert_eq!((joined.generation, joined.leader.as_str(), joined.skip_assignment), (1, first.as_str(), false));
    assert_ne!(joined.member, second);
    let sync = desk.sync(&joined.member, 1, &[]);
    assert_eq!(desk.synced(sync).unwrap().assignment.as_ref(), b"p2");
    assert_eq!((state(&desk), desk.heartbeat(&first, 1)), (GroupState::Stable, Ok(())));
    desk.reload();
    assert_eq!(desk.heartbeat(&joined.member, 1), Ok(()), "the new id is stored");
}

#[test]
fn a_static_leader_that_comes_back_may_skip_the_assignment() {
    for supports in [true, false] {
        let (mut desk, first, _) = stable();
        let join = desk.join(JoinRequest { supports_skipping_assignment: supports, ..static_join("", "i1") });
        let joined = desk.joined(join);
        assert_eq!((joined.skip_assignment, joined.members.len()), (supports, if supports { 2 } else { 0 }));
        // An old client is told of its older self as the leader, or it would assign.
        assert_eq!(joined.leader, if supports { joined.member.clone() } else { first });
        assert_eq!(state(&desk), GroupState::Stable);
    }
}

#[test]
fn a_static_member_whose_votes_change_the_protocol_makes_the_group_rebalance() {
    let (mut desk, ..) = stable();
    let protocols = ["sticky", "range"].map(|name| Protocol { name: name.into(), metadata: Bytes::new() });
    let join = desk.join(JoinRequest { protocols: protocols.to_vec(), ..static_join("", "i2") });
    // Only `range` is common: nothing changes.
    assert_eq!(desk.joined(join).generation, 1);
    let (mut desk, ..) = stable();
    let join = desk.join(JoinRequest { protocols: protocols[..1].to_vec(), ..static_join("", "i2") });
    assert!(matches!(desk.join_error(join).error, Error::InconsistentGroupProtocol { .. }));
}

#[test]
fn the_older_of_two_with_one_name_is_fenced() {
    let (mut desk, first, _) = stable();
    let join = desk.join(static_join("", "i1"));
    let newer = desk.joined(join).member;
    let request = millstream_group::HeartbeatRequest {
        group: GROUP.into(),
        member: first.clone(),
        instance: Some("i1".into()),
        generation: 1,
    };
    assert_eq!(desk.shard.heartbeat(&request, desk.now()), Err(fenced(&first, &newer)));
    let again = desk.join(static_join(&first, "i1"));
    assert_eq!(desk.join_error(again).error, fenced(&first, &newer));
    let left = desk.leave(&[(&first, Some("i1"))]).unwrap();
    assert_eq!(left[0].result, Err(fenced(&first, &newer)));
    let commit = desk.commit(millstream_group::CommitRequest {
        member: first.clone(),
        instance: Some("i1".into()),
        generation: 1,
        ..desk::commit_of("t", 1)
    });
    assert_eq!(desk.offsets(commit), Err(fenced(&first, &newer)));
}

#[test]
fn a_join_that_waits_is_fenced_by_a_newer_one_of_its_name() {
    let (mut desk, first, _) = stable();
    let waiting = desk.join(static_join(&first, "i1"));
    assert!(desk.is_waiting(waiting), "the leader asks for a rebalance");
    let newer = desk.join(static_join("", "i1"));
    assert!(matches!(desk.join_error(waiting).error, Error::FencedInstanceId { .. }));
    assert!(desk.is_waiting(newer));
}

#[test]
fn a_replacement_during_an_assignment_starts_the_rebalance_again() {
    let mut desk = Desk::new(Config::default());
    let joins = [desk.join(static_join("", "i1")), desk.join(static_join("", "i2"))];
    desk.advance(6_000);
    let second = desk.joined(joins[1]).member;
    let waiting = desk.sync(&second, 1, &[]);
    let newer = desk.join(static_join("", "i2"));
    assert!(matches!(desk.synced(waiting), Err(Error::FencedInstanceId { .. })));
    assert!(desk.is_waiting(newer));
    assert_eq!(state(&desk), GroupState::PreparingRebalance);
}

#[test]
fn a_replacement_that_could_not_be_stored_leaves_the_old_member() {
    let (mut desk, first, _) = stable();
    desk.writes_at_once = false;
    let join = desk.join(static_join("", "i1"));
    assert!(desk.is_waiting(join));
    desk.settle(Err(WriteError::NotAvailable));
    assert_eq!(desk.join_error(join).error, Error::CoordinatorNotAvailable { group: GROUP.into() });
    assert_eq!(desk.heartbeat(&first, 1), Ok(()));
    assert_eq!(desk.shard.describe(GROUP).unwrap().members.len(), 2);
}

#[test]
fn a_static_member_that_is_late_for_a_rebalance_stays_until_its_session_ends() {
    let (mut desk, first, second) = stable();
    let join = desk.join(JoinRequest { session_timeout_ms: 600_000, ..static_join(&first, "i1") });
    for _ in 0..6 {
        desk.advance(9_999);
        let _ = desk.heartbeat(&second, 1);
    }
    desk.advance(6);
    let joined = desk.joined(join);
    assert_eq!((joined.generation, joined.members.len()), (2, 2), "it is still assigned to");
    desk.sync(&first, 2, &[]);
    desk.advance(10_000);
    assert_eq!(desk.shard.describe(GROUP).unwrap().members.len(), 1, "its session is over");
}

#[test]
fn an_administrator_removes_a_static_member_by_name() {
    let (mut desk, _, second) = stable();
    let left = desk.leave(&[("", Some("i2"))]).unwrap();
    assert_eq!(left[0].result, Ok(()));
    assert_eq!(desk.heartbeat(&second, 1), Err(Error::UnknownMemberId { group: GROUP.into(), member: second.clone() }));
}
