//! Tables over the state of a replica: each row is a state, an event and what must come of it.

use super::*;
use proptest::prelude::*;

const ME: BrokerId = BrokerId(1);
const OTHER: BrokerId = BrokerId(2);
const THIRD: BrokerId = BrokerId(3);

fn assignment(leader: BrokerId, epoch: i32, replicas: &[BrokerId], isr: &[BrokerId]) -> Assignment {
    Assignment { leader, leader_epoch: LeaderEpoch(epoch), replicas: replicas.to_vec(), isr: isr.to_vec() }
}

fn replica(log_end: i64, assignments: &[Assignment]) -> Replica {
    let mut replica = Replica::new(ME, Offset(0), Offset(log_end), Offset(0));
    for assignment in assignments {
        replica.assign(assignment, 1).unwrap();
    }
    replica
}

fn alone(epoch: i32) -> Assignment {
    assignment(ME, epoch, &[ME], &[ME])
}

#[test]
fn a_single_replicas_high_watermark_is_its_log_end() {
    let mut replica = replica(7, &[alone(0)]);
    assert_eq!(replica.high_watermark(), Offset(7));
    assert!(replica.appended(Offset(9), 1));
    assert_eq!((replica.log_end(), replica.high_watermark()), (Offset(9), Offset(9)));
}

#[test]
fn leading_starts_the_epoch_at_the_log_end() {
    let mut replica = Replica::new(ME, Offset(0), Offset(5), Offset(3));
    assert_eq!(replica.assign(&alone(4), 1), Ok(Change::Leads { epoch: LeaderEpoch(4), start: Offset(5) }));
    assert_eq!(replica.assign(&alone(4), 1), Ok(Change::None));
}

#[test]
fn an_assignment_changes_what_it_says() {
    let table = [
        (assignment(OTHER, 2, &[ME, OTHER], &[OTHER]), Change::Follows { leader: OTHER, epoch: LeaderEpoch(2) }),
        (
            assignment(BrokerId::NONE, 2, &[ME], &[ME]),
            Change::Follows { leader: BrokerId::NONE, epoch: LeaderEpoch(2) },
        ),
        (assignment(ME, 1, &[ME, OTHER], &[ME]), Change::Members),
        (alone(3), Change::Leads { epoch: LeaderEpoch(3), start: Offset(0) }),
    ];
    for (given, change) in table {
        assert_eq!(replica(0, &[alone(1)]).assign(&given, 1), Ok(change), "{given:?}");
    }
}

#[test]
fn a_stale_assignment_is_refused() {
    let mut replica = replica(0, &[alone(5)]);
    let (given, current) = (LeaderEpoch(4), LeaderEpoch(5));
    assert_eq!(replica.assign(&alone(4), 1), Err(Error::StaleAssignment { given, current }));
    assert_eq!(replica.leader_epoch(), current);
}

#[test]
fn epochs_are_fenced_or_unknown() {
    let replica = replica(0, &[alone(5)]);
    let (four, five, six) = (LeaderEpoch(4), LeaderEpoch(5), LeaderEpoch(6));
    assert_eq!(replica.check_epoch(LeaderEpoch::NONE), Ok(()));
    assert_eq!(replica.check_epoch(five), Ok(()));
    assert_eq!(replica.check_epoch(four), Err(Error::FencedEpoch { requested: four, current: five }));
    assert_eq!(replica.check_epoch(six), Err(Error::UnknownEpoch { requested: six, current: five }));
}

#[test]
fn only_the_leader_appends() {
    let unassigned = Replica::new(ME, Offset(0), Offset(0), Offset(0));
    assert!(matches!(unassigned.check_append(Acks::Leader, 1), Err(Error::NotLeader { .. })));
    let follower = replica(0, &[assignment(OTHER, 1, &[ME, OTHER], &[OTHER])]);
    let refused = Error::NotLeader { local: ME, leader: OTHER, epoch: LeaderEpoch(1) };
    assert_eq!(follower.check_append(Acks::None, 1), Err(refused));
    assert_eq!(replica(0, &[alone(3)]).check_append(Acks::All, 1), Ok(LeaderEpoch(3)));
}

#[test]
fn acks_all_needs_the_minimum_in_sync() {
    let lonely = replica(0, &[assignment(ME, 1, &[ME, OTHER, THIRD], &[ME])]);
    assert_eq!(lonely.check_append(Acks::All, 2), Err(Error::NotEnoughReplicas { in_sync: 1, required: 2 }));
    assert_eq!(lonely.check_append(Acks::Leader, 2), Ok(LeaderEpoch(1)));
    // A topic of one replica can't have two in sync: the minimum is capped at the number of replicas.
    assert_eq!(replica(0, &[alone(1)]).check_append(Acks::All, 2), Ok(LeaderEpoch(1)));
}

#[test]
fn the_slowest_in_sync_replica_holds_the_high_watermark() {
    let mut leader = replica(0, &[assignment(ME, 1, &[ME, OTHER, THIRD], &[ME, OTHER])]);
    assert!(!leader.appended(Offset(10), 1));
    assert_eq!(leader.high_watermark(), Offset(0));
    assert_eq!(leader.follower_at(THIRD, Offset(10), 1), Ok(false), "not in sync: it does not count");
    assert_eq!(leader.follower_at(OTHER, Offset(4), 1), Ok(true));
    assert_eq!(leader.high_watermark(), Offset(4));
    assert_eq!(leader.committed(Offset(4), 1), Ok(Committed::Yes));
    assert_eq!(leader.committed(Offset(5), 1), Ok(Committed::Waiting));
    leader.assign(&assignment(ME, 1, &[ME, OTHER, THIRD], &[ME]), 1).unwrap();
    assert_eq!(leader.high_watermark(), Offset(10), "the slow one left the in-sync set");
}

#[test]
fn below_the_minimum_the_high_watermark_stands_still() {
    let mut leader = replica(0, &[assignment(ME, 1, &[ME, OTHER], &[ME])]);
    assert!(!leader.appended(Offset(3), 2));
    assert_eq!(leader.committed(Offset(3), 2), Ok(Committed::Waiting));
    assert!(leader.appended(Offset(3), 1));
    let too_few = Error::NotEnoughReplicasAfterAppend { in_sync: 1, required: 2 };
    assert_eq!(leader.committed(Offset(3), 2), Err(too_few));
}

#[test]
fn a_stranger_is_no_follower() {
    let mut leader = replica(0, &[alone(1)]);
    let refused = Error::NotAReplica { broker: OTHER, epoch: LeaderEpoch(1) };
    assert_eq!(leader.follower_at(OTHER, Offset(1), 1), Err(refused));
}

#[test]
fn a_follower_learns_the_high_watermark_up_to_its_log_end() {
    let mut follower = replica(5, &[assignment(OTHER, 1, &[ME, OTHER], &[ME, OTHER])]);
    follower.learn_high_watermark(Offset(3));
    assert_eq!(follower.high_watermark(), Offset(3));
    follower.learn_high_watermark(Offset(9));
    assert_eq!(follower.high_watermark(), Offset(5));
    follower.truncated(Offset(4));
    assert_eq!((follower.log_end(), follower.high_watermark()), (Offset(4), Offset(4)));
}

#[test]
fn reading_begins_between_log_start_and_log_end() {
    let mut replica = replica(10, &[alone(1)]);
    replica.start_at(Offset(4));
    let (start, end) = (Offset(4), Offset(10));
    for (offset, readable) in [(3, false), (4, true), (10, true), (11, false)] {
        let offset = Offset(offset);
        let expected = if readable { Ok(()) } else { Err(Error::OffsetOutOfRange { offset, start, end }) };
        assert_eq!(replica.check_readable(offset), expected);
    }
}

proptest! {
    /// Whatever happens, log start <= high watermark <= log end, and the high watermark of a leader never goes back.
    #[test]
    fn the_order_of_offsets_holds(events in prop::collection::vec((0u8..4, 0i64..20), 0..60)) {
        let mut leader = replica(0, &[assignment(ME, 1, &[ME, OTHER], &[ME, OTHER])]);
        for (event, by) in events {
            let before = leader.high_watermark();
            match event {
                0 => drop(leader.appended(leader.log_end() + by, 1)),
                1 => { let at = Offset(by).min(leader.log_end()); leader.follower_at(OTHER, at, 1).unwrap(); }
                2 => leader.start_at(Offset(by).min(leader.high_watermark())),
                _ => { let isr: &[BrokerId] = if by % 2 == 0 { &[ME] } else { &[ME, OTHER] };
                       leader.assign(&assignment(ME, 1, &[ME, OTHER], isr), 1).unwrap(); }
            }
            prop_assert!(leader.log_start() <= leader.high_watermark());
            prop_assert!(leader.high_watermark() <= leader.log_end());
            prop_assert!(before <= leader.high_watermark());
        }
    }
}
