//! Share sessions: epochs, what is answered, their end.

#![allow(clippy::unwrap_used, reason = "a test")]

use super::*;

const CONNECTION: u64 = 7;

fn member(id: &str) -> Member {
    Member { group: "g".into(), id: id.into() }
}

fn partition(index: i32) -> Partition {
    (TopicId::ZERO, index)
}

fn request(epoch: i32, wanted: &[i32]) -> Request {
    Request { epoch, wanted: wanted.iter().map(|index| partition(*index)).collect(), ..Request::default() }
}

fn indexes(context: &Context) -> Vec<i32> {
    context.partitions.iter().map(|(_, index)| *index).collect()
}

fn begun(wanted: &[i32]) -> Sessions {
    let mut sessions = Sessions::new(2);
    let context = sessions.fetch(&member("a"), request(0, wanted), CONNECTION).unwrap();
    assert!(!context.incremental);
    sessions
}

#[test]
fn a_session_goes_on_by_epochs() {
    let mut sessions = begun(&[0, 1]);
    assert_eq!(indexes(&sessions.fetch(&member("a"), request(1, &[2]), CONNECTION).unwrap()), [1, 2, 0]);
    assert_eq!(sessions.fetch(&member("a"), request(1, &[]), CONNECTION), Err(Refused::Epoch));
    assert_eq!(sessions.acknowledge(&member("a"), 2), Ok(()));
    assert_eq!(sessions.acknowledge(&member("a"), 0), Err(Refused::Epoch));
    let forget = Request { forgotten: vec![partition(0)], ..request(3, &[]) };
    assert_eq!(indexes(&sessions.fetch(&member("a"), forget, CONNECTION).unwrap()), [2, 1]);
    assert_eq!(sessions.fetch(&member("b"), request(1, &[]), CONNECTION), Err(Refused::NotFound));
    assert_eq!(sessions.acknowledge(&member("b"), 1), Err(Refused::NotFound));
}

#[test]
fn every_partition_comes_first_in_its_turn() {
    let mut sessions = begun(&[0, 1, 2]);
    let mut firsts = Vec::new();
    for epoch in 1..=6 {
        firsts.push(indexes(&sessions.fetch(&member("a"), request(epoch, &[]), CONNECTION).unwrap())[0]);
    }
    assert_eq!(firsts, [1, 2, 0, 1, 2, 0]);
}

#[test]
fn the_first_request_acknowledges_nothing_and_the_last_is_given_nothing() {
    let mut sessions = begun(&[0]);
    let first = Request { acknowledges: true, ..request(0, &[0]) };
    assert_eq!(sessions.fetch(&member("b"), first, CONNECTION), Err(Refused::AcknowledgesFirst));
    assert_eq!(sessions.fetch(&member("b"), request(-1, &[]), CONNECTION), Err(Refused::NotFound));
    let last = sessions.fetch(&member("a"), request(-1, &[0]), CONNECTION).unwrap();
    assert_eq!((last.ends, indexes(&last)), (true, vec![]), "whatever it asks for");
    assert_eq!((sessions.end(&member("a")), sessions.end(&member("a"))), (Some(()), None));
}

#[test]
fn there_are_so_many_sessions_and_no_more() {
    let mut sessions = begun(&[0]);
    assert!(sessions.fetch(&member("b"), request(0, &[0]), CONNECTION + 1).is_ok());
    assert_eq!(sessions.fetch(&member("c"), request(0, &[0]), CONNECTION), Err(Refused::TooMany));
    assert!(sessions.fetch(&member("b"), request(0, &[0]), CONNECTION + 1).is_ok(), "in place of its own");
    assert_eq!(sessions.disconnected(CONNECTION), [member("a")]);
    assert!(sessions.fetch(&member("c"), request(0, &[0]), CONNECTION).is_ok());
}

#[test]
fn a_client_hears_of_what_is_new_has_records_or_failed() {
    let mut sessions = begun(&[0]);
    sessions.fetch(&member("a"), request(1, &[1]), CONNECTION).unwrap();
    let mut told = |index, has_records, failed| sessions.answered(&member("a"), partition(index), has_records, failed);
    assert!(!told(0, false, false));
    assert!(told(0, true, false));
    assert!(told(1, false, false), "it is new");
    assert!(!told(1, false, false));
    assert!(told(1, false, true));
    assert!(told(1, false, false), "the error is over");
    assert!(!told(1, false, false));
}
