//! Syncing, heartbeats, leaving, expiry: what keeps a generation going and what ends it.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;

use desk::{Desk, GROUP, join_of};
use millstream_group::{Config, Error, GroupState, LeaveRequest, SyncRequest, Waiter, WriteError};

fn desk() -> Desk {
    Desk::new(Config::default())
}

fn state(desk: &Desk) -> GroupState {
    desk.shard.describe(GROUP).unwrap().state
}

/// Two members that have joined generation 1 and not synced: the leader and the follower.
fn completing(desk: &mut Desk) -> (String, String) {
    let joins = [desk.join(join_of("")), desk.join(join_of(""))];
    desk.advance(6_000);
    let joined = joins.map(|join| desk.joined(join));
    let follower = joined.iter().find(|one| one.member != one.leader).unwrap();
    (follower.leader.clone(), follower.member.clone())
}

fn unknown(member: &str) -> Error {
    Error::UnknownMemberId { group: GROUP.into(), member: member.into() }
}

#[test]
fn everyone_gets_what_the_leader_gave_once_it_is_stored() {
    let mut desk = desk();
    let (leader, follower) = completing(&mut desk);
    desk.writes_at_once = false;
    let waiting = desk.sync(&follower, 1, &[]);
    let leading = desk.sync(&leader, 1, &[(&leader, b"p0"), (&follower, b"p1")]);
    assert!(desk.is_waiting(waiting) && desk.is_waiting(leading), "nothing is stored yet");
    desk.settle(Ok(()));
    assert_eq!(desk.synced(leading).unwrap().assignment.as_ref(), b"p0");
    let synced = desk.synced(waiting).unwrap();
    assert_eq!((synced.assignment.as_ref(), synced.protocol.as_deref()), (b"p1".as_slice(), Some("range")));
    assert_eq!((state(&desk), desk.log.len()), (GroupState::Stable, 1));
    let late = desk.sync(&follower, 1, &[]);
    assert_eq!(desk.synced(late).unwrap().assignment.as_ref(), b"p1", "asked again, it is answered at once");
}

#[test]
fn a_member_the_leader_forgot_gets_nothing() {
    let mut desk = desk();
    let (leader, follower) = completing(&mut desk);
    let waiting = desk.sync(&follower, 1, &[]);
    desk.sync(&leader, 1, &[(&leader, b"p0")]);
    assert!(desk.synced(waiting).unwrap().assignment.is_empty());
}

#[test]
fn an_assignment_that_could_not_be_stored_makes_the_group_rebalance() {
    for (cause, expected) in [
        (WriteError::NotAvailable, Error::CoordinatorNotAvailable { group: GROUP.into() }),
        (WriteError::NotLeader, Error::NotCoordinator { group: GROUP.into() }),
        (WriteError::TooLarge, Error::RecordTooLarge { group: GROUP.into() }),
    ] {
        let mut desk = desk();
        let (leader, follower) = completing(&mut desk);
        desk.writes_at_once = false;
        let waiting = desk.sync(&follower, 1, &[]);
        let leading = desk.sync(&leader, 1, &[]);
        desk.settle(Err(cause));
        assert_eq!(desk.synced(leading), Err(expected.clone()));
        assert_eq!(desk.synced(waiting), Err(expected));
        assert_eq!(state(&desk), GroupState::PreparingRebalance);
    }
}

#[test]
fn an_assignment_stored_too_late_is_not_given_out() {
    let mut desk = desk();
    let (leader, follower) = completing(&mut desk);
    desk.writes_at_once = false;
    let leading = desk.sync(&leader, 1, &[]);
    desk.leave(&[(&follower, None)]).unwrap();
    assert_eq!(desk.synced(leading), Err(Error::RebalanceInProgress { group: GROUP.into() }));
    desk.settle(Ok(()));
    assert_eq!(state(&desk), GroupState::PreparingRebalance);
}

#[test]
fn a_sync_that_can_not_be_is_refused() {
    let mut desk = desk();
    let (leader, _) = completing(&mut desk);
    let good = SyncRequest {
        group: GROUP.into(),
        member: leader.clone(),
        instance: None,
        generation: 1,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignments: Vec::new(),
    };
    let inconsistent = |protocol_type: &str, protocol: &str| Error::InconsistentGroupProtocol {
        group: GROUP.into(),
        protocol_type: protocol_type.into(),
        protocols: vec![protocol.into()],
    };
    let table = [
        ("no group", SyncRequest { group: String::new(), ..good.clone() }, Error::InvalidGroupId),
        (
            "unknown group",
            SyncRequest { group: "h".into(), ..good.clone() },
            Error::UnknownMemberId { group: "h".into(), member: leader.clone() },
        ),
        ("unknown member", SyncRequest { member: "m".into(), ..good.clone() }, unknown("m")),
        ("unknown instance", SyncRequest { instance: Some("i".into()), ..good.clone() }, unknown("i")),
        (
            "another generation",
            SyncRequest { generation: 0, ..good.clone() },
            Error::IllegalGeneration { group: GROUP.into(), sent: 0, current: 1 },
        ),
        (
            "another type",
            SyncRequest { protocol_type: Some("connect".into()), ..good.clone() },
            inconsistent("connect", "range"),
        ),
        (
            "another protocol",
            SyncRequest { protocol: Some("sticky".into()), ..good },
            inconsistent("consumer", "sticky"),
        ),
    ];
    for (name, request, expected) in table {
        let sync = desk.sync_with(request);
        assert_eq!(desk.synced(sync), Err(expected), "{name}");
    }
    assert_eq!(state(&desk), GroupState::CompletingRebalance);
}

#[test]
fn heartbeats_are_answered_by_state() {
    let mut desk = desk();
    assert_eq!(desk.heartbeat("m", 1), Err(unknown("m")), "no group");
    let (leader, follower) = completing(&mut desk);
    assert_eq!(desk.heartbeat(&leader, 1), Ok(()), "completing");
    assert_eq!(desk.heartbeat(&leader, 0), Err(Error::IllegalGeneration { group: GROUP.into(), sent: 0, current: 1 }));
    assert_eq!(desk.heartbeat("m", 1), Err(unknown("m")));
    desk.sync(&leader, 1, &[]);
    assert_eq!(desk.heartbeat(&follower, 1), Ok(()), "stable");
    desk.join(join_of(""));
    assert_eq!(desk.heartbeat(&follower, 1), Err(Error::RebalanceInProgress { group: GROUP.into() }), "preparing");
}

#[test]
fn a_silent_member_is_out_and_heartbeats_keep_one_in() {
    let mut desk = desk();
    let (ids, generation) = desk.stable(2);
    for _ in 0..4 {
        desk.advance(4_000);
        let _ = desk.heartbeat(&ids[0], generation);
    }
    assert_eq!(desk.heartbeat(&ids[1], generation), Err(unknown(&ids[1])));
    let join = desk.join(join_of(&ids[0]));
    assert_eq!((desk.joined(join).generation, desk.joined(join).members.len()), (2, 1));
}

#[test]
fn a_member_whose_sync_waits_is_not_silent() {
    let mut desk = desk();
    let (leader, follower) = completing(&mut desk);
    let waiting = desk.sync(&follower, 1, &[]);
    for _ in 0..4 {
        desk.advance(9_000);
        assert_eq!(desk.heartbeat(&leader, 1), Ok(()));
    }
    assert!(desk.is_waiting(waiting));
    desk.sync(&leader, 1, &[]);
    assert!(desk.synced(waiting).is_ok());
    desk.advance(9_999);
    assert_eq!(desk.heartbeat(&follower, 1), Ok(()), "its session begins anew with the answer");
}

#[test]
fn who_does_not_sync_in_time_is_out_though_it_sends_heartbeats() {
    let mut desk = desk();
    let (leader, follower) = completing(&mut desk);
    let waiting = desk.sync(&follower, 1, &[]);
    for _ in 0..12 {
        desk.advance(5_000);
        let _ = desk.heartbeat(&leader, 1);
    }
    assert_eq!(desk.synced(waiting), Err(Error::RebalanceInProgress { group: GROUP.into() }));
    assert_eq!(desk.heartbeat(&leader, 1), Err(unknown(&leader)));
    let join = desk.join(join_of(&follower));
    assert_eq!(desk.joined(join).leader, follower);
}

#[test]
fn a_group_whose_last_member_leaves_is_empty_and_stored_so() {
    let mut desk = desk();
    let (ids, _) = desk.stable(1);
    let left = desk.leave(&[(&ids[0], None)]).unwrap();
    assert_eq!(left[0].result, Ok(()));
    let described = desk.shard.describe(GROUP).unwrap();
    assert_eq!((described.state, described.generation, described.members.len()), (GroupState::Empty, 2, 0));
    assert_eq!(desk.log.len(), 2);
    desk.reload();
    assert_eq!(desk.shard.describe(GROUP).unwrap(), described);
    let join = desk.join(join_of(""));
    desk.advance(3_000);
    assert_eq!(desk.joined(join).generation, 3);
}

#[test]
fn a_leave_is_answered_for_each_member() {
    let mut desk = desk();
    let (ids, _) = desk.stable(2);
    let left = desk.leave(&[(&ids[1], None), ("m", None), ("", Some("i")), ("", None)]).unwrap();
    let results: Vec<_> = left.into_iter().map(|one| one.result).collect();
    assert_eq!(results, [Ok(()), Err(unknown("m")), Err(unknown("i")), Err(unknown(""))]);
    assert_eq!(state(&desk), GroupState::PreparingRebalance);
}

#[test]
fn a_leave_that_empties_the_group_is_answered_once_it_is_stored() {
    let mut desk = desk();
    let (ids, _) = desk.stable(1);
    desk.writes_at_once = false;
    let members = vec![millstream_group::Leaving { member: ids[0].clone(), instance: None }];
    let request = LeaveRequest { group: GROUP.into(), members };
    let effects = desk.shard.leave(&request, Waiter(0), desk.now());
    assert!(effects.replies.is_empty() && effects.writes.len() == 1, "{effects:?}");
    let told = desk.shard.written(effects.writes[0].ticket, Err(WriteError::NotAvailable), desk.now());
    let error = Error::CoordinatorNotAvailable { group: GROUP.into() };
    assert_eq!(told.replies, [(Waiter(0), millstream_group::Reply::Leave(Err(error)))]);
}

#[test]
fn the_last_to_be_waited_for_leaves_and_the_rebalance_goes_on() {
    let mut desk = desk();
    let (ids, _) = desk.stable(2);
    let join = desk.join(join_of(&ids[0]));
    assert!(desk.is_waiting(join));
    desk.leave(&[(&ids[1], None)]).unwrap();
    assert_eq!(desk.joined(join).generation, 2);
}

#[test]
fn members_are_there_after_a_reload_and_silent_ones_go() {
    let mut desk = desk();
    let (ids, generation) = desk.stable(2);
    desk.reload();
    assert_eq!((state(&desk), desk.heartbeat(&ids[0], generation)), (GroupState::Stable, Ok(())));
    let sync = desk.sync(&ids[1], generation, &[]);
    assert_eq!(desk.synced(sync).unwrap().assignment.as_ref(), b"part");
    desk.advance(25_000);
    assert_eq!(state(&desk), GroupState::Empty);
}

#[test]
fn whoever_waits_when_the_group_is_unloaded_is_sent_away() {
    let mut desk = desk();
    let (ids, _) = desk.stable(2);
    let joining = desk.join(join_of(&ids[0]));
    desk.writes_at_once = false;
    let committing = desk.commit(desk::commit_of("t", 1));
    let other = desk.join(millstream_group::JoinRequest { group: "h".into(), ..join_of("") });
    let effects = desk.shard.unload(desk.now());
    desk.absorb(effects);
    assert!(matches!(desk.join_error(joining).error, Error::NotCoordinator { .. }));
    assert!(matches!(desk.join_error(other).error, Error::NotCoordinator { .. }));
    assert!(!desk.is_waiting(committing));
    assert_eq!(desk.shard.group_count(), 0);
}
