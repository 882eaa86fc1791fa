//! Joining: the first rebalance, ids, votes, leaders, limits, and who comes back.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;

use bytes::Bytes;
use desk::{Desk, GROUP, join_of, subscription};
use millstream_group::{Config, Error, GroupState, JoinRequest, Protocol};

fn desk() -> Desk {
    Desk::new(Config::default())
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    names.iter().map(|name| Protocol { name: (*name).into(), metadata: Bytes::from_static(b"x") }).collect()
}

fn state(desk: &Desk) -> GroupState {
    desk.shard.describe(GROUP).unwrap().state
}

#[test]
fn a_first_member_waits_for_others_and_then_leads() {
    let mut desk = desk();
    let join = desk.join(join_of(""));
    assert_eq!(state(&desk), GroupState::PreparingRebalance);
    desk.advance(2_999);
    assert!(desk.is_waiting(join));
    desk.advance(1);
    let joined = desk.joined(join);
    assert_eq!((joined.generation, joined.protocol.as_deref()), (1, Some("range")));
    assert_eq!((joined.leader.as_str(), joined.members.len()), (joined.member.as_str(), 1));
    assert!(joined.member.starts_with("client-"), "{}", joined.member);
    assert_eq!(state(&desk), GroupState::CompletingRebalance);
}

#[test]
fn the_first_rebalance_waits_on_while_members_come_but_not_past_their_timeout() {
    let mut desk = desk();
    let first = desk.join(JoinRequest { rebalance_timeout_ms: 10_000, ..join_of("") });
    let mut joins = vec![first];
    for _ in 0..3 {
        desk.advance(2_500);
        joins.push(desk.join(JoinRequest { rebalance_timeout_ms: 10_000, ..join_of("") }));
    }
    // Extended at 3, 6 and 9 s, the last time by the one second that is left of ten.
    desk.advance(2_400);
    assert!(desk.is_waiting(first), "at 9.9 s");
    desk.advance(100);
    let answers: Vec<_> = joins.iter().map(|join| desk.joined(*join)).collect();
    assert!(answers.iter().all(|joined| joined.generation == 1 && joined.leader == answers[0].leader));
    assert_eq!(
        answers.iter().filter(|joined| joined.members.len() == 4).count(),
        1,
        "only the leader sees the members"
    );
}

#[test]
fn without_a_delay_the_first_rebalance_is_over_at_the_next_tick() {
    let mut desk = Desk::new(Config { initial_rebalance_delay_ms: 0, ..Config::default() });
    let join = desk.join(join_of(""));
    desk.advance(0);
    assert_eq!(desk.joined(join).generation, 1);
}

#[test]
fn a_new_client_is_given_an_id_and_must_join_with_it() {
    let mut desk = desk();
    let first = desk.join(JoinRequest { requires_known_member: true, ..join_of("") });
    let refused = desk.join_error(first);
    assert_eq!(refused.error, Error::MemberIdRequired { group: GROUP.into(), member: refused.member.clone() });
    assert_eq!(state(&desk), GroupState::Empty);
    let second = desk.join(JoinRequest { requires_known_member: true, ..join_of(&refused.member) });
    desk.advance(3_000);
    assert_eq!(desk.joined(second).member, refused.member);
}

#[test]
fn an_id_that_nobody_joins_with_is_forgotten_with_its_group() {
    let mut desk = desk();
    let first = desk.join(JoinRequest { requires_known_member: true, ..join_of("") });
    let id = desk.join_error(first).member;
    desk.advance(10_000);
    assert_eq!(desk.shard.group_count(), 0);
    let late = desk.join(join_of(&id));
    assert_eq!(desk.join_error(late).error, Error::UnknownMemberId { group: GROUP.into(), member: id });
    assert!(desk.log.is_empty());
}

#[test]
fn a_rebalance_waits_for_an_id_that_was_given_out() {
    let mut desk = desk();
    let (ids, generation) = desk.stable(1);
    let first = desk.join(JoinRequest { requires_known_member: true, ..join_of("") });
    let id = desk.join_error(first).member;
    assert_eq!(desk.heartbeat(&ids[0], generation), Ok(()), "an id alone changes nothing");
    let again = desk.join(join_of(&ids[0]));
    assert!(desk.is_waiting(again));
    let second = desk.join(join_of(&id));
    assert_eq!(desk.joined(again).generation, 2);
    assert_eq!(desk.joined(second).generation, 2);
}

#[test]
fn a_join_that_can_not_be_is_refused_and_makes_no_group() {
    let mut desk = desk();
    let table = [
        ("group", JoinRequest { group: String::new(), ..join_of("") }, Error::InvalidGroupId),
        (
            "session too short",
            JoinRequest { session_timeout_ms: 5_999, ..join_of("") },
            Error::InvalidSessionTimeout { sent_ms: 5_999, min_ms: 6_000, max_ms: 1_800_000 },
        ),
        (
            "session too long",
            JoinRequest { session_timeout_ms: 1_800_001, ..join_of("") },
            Error::InvalidSessionTimeout { sent_ms: 1_800_001, min_ms: 6_000, max_ms: 1_800_000 },
        ),
        ("unknown member", join_of("m"), Error::UnknownMemberId { group: GROUP.into(), member: "m".into() }),
        (
            "no protocol",
            JoinRequest { protocols: Vec::new(), ..join_of("") },
            Error::InconsistentGroupProtocol {
                group: GROUP.into(),
                protocol_type: "consumer".into(),
                protocols: Vec::new(),
            },
        ),
        (
            "no protocol type",
            JoinRequest { protocol_type: String::new(), ..join_of("") },
            Error::InconsistentGroupProtocol {
                group: GROUP.into(),
                protocol_type: String::new(),
                protocols: vec!["range".into()],
            },
        ),
    ];
    for (name, request, expected) in table {
        let join = desk.join(request);
        assert_eq!(desk.join_error(join).error, expected, "{name}");
        assert_eq!(desk.shard.group_count(), 0, "{name}");
    }
}

#[test]
fn a_member_without_a_common_protocol_is_refused() {
    let mut desk = desk();
    desk.join(JoinRequest { protocols: protocols(&["range", "sticky"]), ..join_of("") });
    let other = desk.join(JoinRequest { protocols: protocols(&["roundrobin"]), ..join_of("") });
    assert!(matches!(desk.join_error(other).error, Error::InconsistentGroupProtocol { .. }));
    let other_type = desk.join(JoinRequest { protocol_type: "connect".into(), ..join_of("") });
    assert!(matches!(desk.join_error(other_type).error, Error::InconsistentGroupProtocol { .. }));
}

#[test]
fn the_protocol_with_most_votes_among_the_common_ones_is_chosen() {
    for (lists, chosen) in [
        (vec![vec!["a", "b"], vec!["b", "a"], vec!["b", "a"]], "b"),
        (vec![vec!["a", "b", "c"], vec!["c", "b"], vec!["c", "b"]], "c"),
        (vec![vec!["only-mine", "b"], vec!["b", "x"]], "b"),
    ] {
        let mut desk = desk();
        let joins: Vec<_> =
            lists.iter().map(|list| desk.join(JoinRequest { protocols: protocols(list), ..join_of("") })).collect();
        desk.advance(6_000);
        assert_eq!(desk.joined(joins[0]).protocol.as_deref(), Some(chosen), "{lists:?}");
    }
}

#[test]
fn a_new_member_makes_a_stable_group_rebalance() {
    let mut desk = desk();
    let (ids, generation) = desk.stable(1);
    let second = desk.join(join_of(""));
    assert!(desk.is_waiting(second));
    assert_eq!(desk.heartbeat(&ids[0], generation), Err(Error::RebalanceInProgress { group: GROUP.into() }));
    let first = desk.join(join_of(&ids[0]));
    assert_eq!((desk.joined(first).generation, desk.joined(second).generation), (2, 2));
    assert_eq!(desk.joined(first).leader, ids[0], "the leader stays");
    assert_eq!(desk.joined(first).members.len(), 2);
    assert!(desk.joined(second).members.is_empty());
}

#[test]
fn who_does_not_come_back_in_time_is_out() {
    let mut desk = desk();
    let (ids, _) = desk.stable(2);
    let second = desk.join(JoinRequest { protocols: protocols(&["range"]), ..join_of(&ids[1]) });
    // Member 0 lives (it sends heartbeats) but does not join.
    for _ in 0..12 {
        desk.advance(5_000);
        let _ = desk.heartbeat(&ids[0], 1);
    }
    let joined = desk.joined(second);
    assert_eq!((joined.generation, joined.leader.as_str(), joined.members.len()), (2, ids[1].as_str(), 1));
    assert!(matches!(desk.heartbeat(&ids[0], 1), Err(Error::UnknownMemberId { .. })));
}

#[test]
fn a_follower_that_joins_again_unchanged_is_told_of_its_generation() {
    let mut desk = desk();
    let (ids, _) = desk.stable(2);
    let join = desk.join(join_of(&ids[1]));
    assert_eq!((desk.joined(join).generation, state(&desk)), (1, GroupState::Stable));
}

#[test]
fn a_leader_or_a_change_makes_a_stable_group_rebalance() {
    for (who, metadata) in [(0, subscription(&["t"])), (1, subscription(&["t", "u"]))] {
        let mut desk = desk();
        let (ids, _) = desk.stable(2);
        let join = desk
            .join(JoinRequest { protocols: vec![Protocol { name: "range".into(), metadata }], ..join_of(&ids[who]) });
        assert!(desk.is_waiting(join));
        assert_eq!(state(&desk), GroupState::PreparingRebalance);
    }
}

#[test]
fn an_answer_that_was_lost_is_given_again() {
    let mut desk = desk();
    let join = desk.join(join_of(""));
    desk.advance(3_000);
    let joined = desk.joined(join);
    let again = desk.join(join_of(&joined.member));
    assert_eq!(desk.joined(again), joined);
    assert_eq!(state(&desk), GroupState::CompletingRebalance);
}

#[test]
fn a_changed_member_restarts_an_assignment_and_frees_who_waits_for_it() {
    let mut desk = desk();
    let joins = [desk.join(join_of("")), desk.join(join_of(""))];
    desk.advance(6_000);
    let joined = joins.map(|join| desk.joined(join));
    let follower = joined.iter().find(|one| one.member != one.leader).unwrap();
    let waiting = desk.sync(&follower.member, 1, &[]);
    let changed = desk.join(JoinRequest { protocols: protocols(&["range"]), ..join_of(&follower.leader) });
    assert_eq!(desk.synced(waiting), Err(Error::RebalanceInProgress { group: GROUP.into() }));
    assert!(desk.is_waiting(changed));
}

#[test]
fn a_second_join_of_a_member_answers_the_first() {
    let mut desk = desk();
    let (ids, _) = desk.stable(2);
    let first = desk.join(join_of(&ids[0]));
    let second = desk.join(join_of(&ids[0]));
    assert_eq!(desk.join_error(first).error, Error::RebalanceInProgress { group: GROUP.into() });
    assert!(desk.is_waiting(second));
}

#[test]
fn a_full_group_takes_nobody_more() {
    let mut desk = Desk::new(Config { members_max: 2, ..Config::default() });
    let (ids, _) = desk.stable(2);
    let third = desk.join(join_of(""));
    assert_eq!(desk.join_error(third).error, Error::GroupMaxSizeReached { group: GROUP.into(), max: 2 });
    let known = desk.join(join_of(&ids[1]));
    assert_eq!(desk.joined(known).generation, 1);
}

#[test]
fn a_group_over_a_lowered_limit_rebalances_when_it_is_loaded() {
    let mut desk = desk();
    let (ids, _) = desk.stable(3);
    desk.config.members_max = 2;
    desk.reload();
    assert_eq!(state(&desk), GroupState::PreparingRebalance);
    let joins: Vec<_> = ids.iter().map(|id| desk.join(join_of(id))).collect();
    assert_eq!(desk.join_error(joins[2]).error, Error::GroupMaxSizeReached { group: GROUP.into(), max: 2 });
    assert_eq!((desk.joined(joins[0]).generation, desk.joined(joins[1]).generation), (2, 2));
}

#[test]
fn a_client_that_gave_up_during_a_long_first_join_is_out_after_five_minutes() {
    let mut desk = desk();
    let (ids, _) = desk.stable(1);
    let abandoned = desk.join(JoinRequest { rebalance_timeout_ms: 1_000_000, ..join_of("") });
    for _ in 0..60 {
        desk.advance(5_000);
        let _ = desk.heartbeat(&ids[0], 1);
    }
    assert!(matches!(desk.join_error(abandoned).error, Error::UnknownMemberId { .. }));
}
