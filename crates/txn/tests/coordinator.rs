//! The coordinator's decisions as tables: who is answered what, and what is written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use millstream_txn::{
    AddRequest, Change, Config, Effects, EndRequest, Error, Identity, InitRequest, ListFilter, Now, Outcome, Partition,
    Reply, Shard, StoredRecord, Ticket, TransactionState, Version, Waiter, WriteError,
};
use millstream_types::{ProducerEpoch, ProducerId, TimestampMs};

const ID: &str = "tx";
const WAITER: Waiter = Waiter(1);
const PRODUCER: ProducerId = ProducerId(7);
const FRESH: ProducerId = ProducerId(8);

fn at(ms: i64) -> Now {
    Now { wall: TimestampMs(ms), elapsed_ms: u64::try_from(ms).unwrap() }
}

fn me(epoch: i16) -> Identity {
    Identity { producer: PRODUCER, epoch: ProducerEpoch(epoch) }
}

fn partition(index: i32) -> Partition {
    Partition { topic: "t".to_owned(), index }
}

/// A shard whose writes succeed at once, and the log they make.
struct Desk {
    shard: Shard,
    log: Vec<StoredRecord>,
    endings: Vec<millstream_txn::Ending>,
    now: Now,
    fails: Option<WriteError>,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self {
            shard: Shard::new(Config::default(), 0),
            log: Vec::new(),
            endings: Vec::new(),
            now: at(0),
            fails: None,
        };
        desk.shard.loaded(desk.now);
        desk
    }

    /// One whose id was initialized, and bumped to `epoch`.
    fn at_epoch(epoch: i16) -> Self {
        let mut desk = Self::new();
        let mut given = desk.init(None);
        while given.unwrap().epoch < ProducerEpoch(epoch) {
            given = desk.init(None);
        }
        desk
    }

    fn run(&mut self, effects: Effects) -> Vec<(Waiter, Reply)> {
        let mut replies = effects.replies;
        self.endings.extend(effects.endings);
        for write in effects.writes {
            let outcome = self.fails.map_or(Ok(()), Err);
            if outcome.is_ok() {
                self.log.push(write.record);
            }
            let later = self.shard.written(write.ticket, outcome, self.now);
            replies.extend(self.run(later));
        }
        replies
    }

    fn one(&mut self, effects: Effects) -> Reply {
        let replies = self.run(effects);
        let [(WAITER, reply)] = replies.as_slice() else { panic!("one answer: {replies:?}") };
        reply.clone()
    }

    fn init(&mut self, expected: Option<Identity>) -> Reply {
        let fresh = Some(if self.shard.is_empty() { PRODUCER } else { FRESH });
        let request = InitRequest { id: ID.to_owned(), timeout_ms: 1_000, expected, fresh };
        let effects = self.shard.init(&request, WAITER, self.now);
        self.one(effects)
    }

    fn add(&mut self, identity: Identity, indexes: &[i32]) -> Reply {
        let partitions = indexes.iter().map(|index| partition(*index)).collect();
        let request = AddRequest { id: ID.to_owned(), identity, partitions, version: Version::Bumping };
        let effects = self.shard.add(&request, WAITER, self.now);
        self.one(effects)
    }

    fn end_as(&mut self, identity: Identity, outcome: Outcome, version: Version) -> Reply {
        let request = EndRequest { id: ID.to_owned(), identity, outcome, version, fresh: Some(FRESH) };
        let effects = self.shard.end(&request, WAITER, self.now);
        self.one(effects)
    }

    fn end(&mut self, identity: Identity, outcome: Outcome) -> Reply {
        self.end_as(identity, outcome, Version::Bumping)
    }

    /// Every marker that was asked for arrives.
    fn mark(&mut self) {
        for ending in std::mem::take(&mut self.endings) {
            for partition in &ending.partitions {
                let effects = self.shard.marked(&ending.id, &ending.marker, partition, self.now);
                assert!(self.run(effects).is_empty());
            }
        }
    }

    fn state(&self) -> TransactionState {
        self.shard.describe(ID).unwrap().state
    }

    /// As after a crash: only the log is left.
    fn reload(&mut self) {
        let mut shard = Shard::new(Config::default(), 1);
        for record in &self.log {
            shard.replay(Change::decode(&record.key, record.value.as_deref()).unwrap());
        }
        self.shard = shard;
        let effects = self.shard.loaded(self.now);
        self.endings.clear();
        assert!(self.run(effects).is_empty());
    }
}

fn concurrent() -> Reply {
    Err(Error::ConcurrentTransactions { id: ID.to_owned() })
}

fn fenced(sent: i16, current: i16) -> Reply {
    Err(Error::ProducerFenced { sent: ProducerEpoch(sent), current: ProducerEpoch(current) })
}

fn not_now(state: TransactionState, asked: &'static str) -> Reply {
    Err(Error::InvalidTxnState { id: ID.to_owned(), state, asked })
}

#[test]
fn a_transaction_commits_and_each_end_bumps_the_epoch() {
    let mut desk = Desk::at_epoch(0);
    for epoch in 0..3 {
        assert_eq!(desk.add(me(epoch), &[0]), Ok(me(epoch)));
        assert_eq!(desk.add(me(epoch), &[0, 1]), Ok(me(epoch)));
        let records = desk.log.len();
        assert_eq!(desk.add(me(epoch), &[1]), Ok(me(epoch)));
        assert_eq!(desk.log.len(), records, "what is known is not written again");
        assert_eq!(desk.end(me(epoch), Outcome::Commit), Ok(me(epoch + 1)));
        assert_eq!(desk.state(), TransactionState::PrepareCommit);
        let ending = &desk.endings[0];
        assert_eq!((ending.marker.epoch, ending.partitions.len()), (ProducerEpoch(epoch + 1), 2));
        desk.mark();
        assert_eq!(desk.state(), TransactionState::CompleteCommit);
    }
}

#[test]
fn a_classic_client_keeps_its_epoch() {
    let mut desk = Desk::at_epoch(4);
    let partitions = [partition(0)].into_iter().collect();
    let request = AddRequest { id: ID.to_owned(), identity: me(4), partitions, version: Version::Classic };
    let effects = desk.shard.add(&request, WAITER, desk.now);
    assert_eq!(desk.one(effects), Ok(me(4)));
    let commit = |desk: &mut Desk| desk.end_as(me(4), Outcome::Commit, Version::Classic);
    assert_eq!(commit(&mut desk), Ok(me(4)));
    assert_eq!(commit(&mut desk), concurrent());
    desk.mark();
    assert_eq!(commit(&mut desk), Ok(me(4)), "the same request again");
    let abort = desk.end_as(me(4), Outcome::Abort, Version::Classic);
    assert_eq!(abort, not_now(TransactionState::CompleteCommit, "abort"));
}

#[test]
fn every_end_gets_kafkas_answer() {
    use Outcome::{Abort, Commit};
    use TransactionState as S;
    // The state is reached with epoch 5: it was 4 before the end that is decided or done.
    let table: [(S, i16, Outcome, Reply); 20] = [
        (S::Empty, 5, Commit, not_now(S::Empty, "commit")),
        (S::Empty, 5, Abort, Ok(me(6))),
        (S::Empty, 4, Abort, fenced(4, 5)),
        (S::Ongoing, 5, Commit, Ok(me(6))),
        (S::Ongoing, 5, Abort, Ok(me(6))),
        (S::Ongoing, 4, Commit, fenced(4, 5)),
        (S::Ongoing, 6, Commit, fenced(6, 5)),
        (S::PrepareCommit, 4, Commit, concurrent()),
        // What is under way is told before who asks is looked at.
        (S::PrepareCommit, 4, Abort, concurrent()),
        (S::PrepareCommit, 5, Commit, concurrent()),
        (S::PrepareAbort, 4, Abort, concurrent()),
        (S::PrepareAbort, 4, Commit, concurrent()),
        (S::PrepareAbort, 3, Abort, concurrent()),
        (S::CompleteCommit, 4, Commit, Ok(me(5))),
        (S::CompleteCommit, 4, Abort, not_now(S::CompleteCommit, "abort")),
        (S::CompleteCommit, 5, Commit, not_now(S::CompleteCommit, "commit")),
        (S::CompleteCommit, 5, Abort, Ok(me(6))),
        (S::CompleteAbort, 4, Abort, Ok(me(5))),
        (S::CompleteAbort, 4, Commit, not_now(S::CompleteAbort, "commit")),
        (S::CompleteAbort, 3, Abort, fenced(3, 5)),
    ];
    for (state, epoch, outcome, expected) in table {
        let mut desk = match state {
            S::Empty => Desk::at_epoch(5),
            S::Ongoing => {
                let mut desk = Desk::at_epoch(5);
                desk.add(me(5), &[0]).unwrap();
                desk
            }
            decided => {
                let mut desk = Desk::at_epoch(4);
                desk.add(me(4), &[0]).unwrap();
                let how = if matches!(decided, S::PrepareCommit | S::CompleteCommit) { Commit } else { Abort };
                desk.end(me(4), how).unwrap();
                if matches!(decided, S::CompleteCommit | S::CompleteAbort) {
                    desk.mark();
                }
                desk
            }
        };
        assert_eq!(desk.state(), state);
        assert_eq!(desk.end(me(epoch), outcome), expected, "{state:?}, epoch {epoch}, {outcome:?}");
    }
}

#[test]
fn who_is_not_the_current_producer_adds_nothing() {
    let mut desk = Desk::at_epoch(1);
    assert_eq!(desk.add(me(0), &[0]), fenced(0, 1));
    let stranger = Identity { producer: ProducerId(99), ..me(1) };
    let refused = Err(Error::InvalidProducerIdMapping { id: ID.to_owned(), sent: ProducerId(99) });
    assert_eq!(desk.add(stranger, &[0]), refused);
    desk.add(me(1), &[0]).unwrap();
    let asked = [partition(0), partition(1)].into_iter().collect();
    assert_eq!(desk.shard.verify(ID, me(1), &asked), Ok([partition(0)].into_iter().collect()));
    desk.end(me(1), Outcome::Commit).unwrap();
    assert_eq!(desk.add(me(2), &[0]), concurrent(), "the markers are on their way");
    assert_eq!(desk.shard.verify(ID, me(2), &asked), Err(Error::ConcurrentTransactions { id: ID.to_owned() }));
    desk.mark();
    assert_eq!(desk.shard.verify(ID, me(2), &asked), Ok(std::collections::BTreeSet::new()));
}

#[test]
fn a_new_instance_fences_the_old_one_and_aborts_its_transaction() {
    let mut desk = Desk::at_epoch(0);
    desk.add(me(0), &[0]).unwrap();
    assert_eq!(desk.init(None), concurrent());
    assert_eq!(desk.state(), TransactionState::PrepareAbort);
    // Once to fence, once at the end: nobody was given epoch 1.
    assert_eq!(desk.endings[0].marker.epoch, ProducerEpoch(2));
    assert_eq!(desk.init(None), concurrent());
    assert_eq!(desk.end(me(0), Outcome::Commit), concurrent());
    desk.mark();
    assert_eq!(desk.end(me(0), Outcome::Commit), fenced(0, 2));
    assert_eq!(desk.init(None), Ok(me(3)));
    assert_eq!(desk.end(me(0), Outcome::Commit), fenced(0, 3));
}

#[test]
fn a_client_goes_on_after_an_error_unless_another_took_over() {
    let mut desk = Desk::at_epoch(0);
    assert_eq!(desk.init(Some(me(0))), Ok(me(1)));
    assert_eq!(desk.init(Some(me(0))), Ok(me(1)), "it did not hear the answer");
    assert_eq!(desk.init(None), Ok(me(2)));
    assert_eq!(desk.init(Some(me(1))), fenced(1, 2));
    let stranger = Identity { producer: ProducerId(3), ..me(2) };
    assert_eq!(desk.init(Some(stranger)), fenced(2, 2));
    assert_eq!(desk.init(Some(me(2))), Ok(me(3)));
}

#[test]
fn used_up_epochs_lead_to_another_producer_id() {
    let last = i16::MAX - 1;
    let after = Identity { producer: FRESH, epoch: ProducerEpoch(0) };
    let mut desk = Desk::at_epoch(last);
    assert_eq!(desk.init(Some(me(last))), Ok(after));
    assert_eq!(desk.init(Some(me(last))), Ok(after), "it did not hear the answer");

    let mut desk = Desk::at_epoch(last);
    desk.add(me(last), &[0]).unwrap();
    assert_eq!(desk.end(me(last), Outcome::Commit), Ok(after));
    assert_eq!(desk.endings[0].marker.epoch, ProducerEpoch(i16::MAX), "of the producer id that wrote");
    assert_eq!(desk.endings[0].marker.producer, PRODUCER);
    desk.mark();
    assert_eq!(desk.end(me(last), Outcome::Commit), Ok(after), "it did not hear the answer");
    assert_eq!(desk.add(after, &[0]), Ok(after));

    let mut desk = Desk::at_epoch(last);
    desk.add(me(last), &[0]).unwrap();
    assert_eq!(desk.init(None), concurrent());
    assert_eq!(desk.endings[0].marker.epoch, ProducerEpoch(i16::MAX));
    desk.mark();
    assert_eq!(desk.init(None), Ok(after));
}

#[test]
fn a_producer_id_is_asked_for_only_when_it_is_needed() {
    let mut desk = Desk::new();
    let mut request = InitRequest { id: ID.to_owned(), timeout_ms: 1_000, expected: None, fresh: None };
    let effects = desk.shard.init(&request, WAITER, desk.now);
    assert_eq!(desk.one(effects), Err(Error::IdsUsedUp));
    request.fresh = Some(PRODUCER);
    let effects = desk.shard.init(&request, WAITER, desk.now);
    assert_eq!(desk.one(effects), Ok(me(0)));
    request.fresh = None;
    let effects = desk.shard.init(&request, WAITER, desk.now);
    assert_eq!(desk.one(effects), Ok(me(1)));
}

#[test]
fn timeouts_have_a_cap() {
    let mut desk = Desk::new();
    for (timeout_ms, is_fine) in [(0, false), (-1, false), (1, true), (900_000, true), (900_001, false)] {
        let request = InitRequest { id: ID.to_owned(), timeout_ms, expected: None, fresh: Some(PRODUCER) };
        let effects = desk.shard.init(&request, WAITER, desk.now);
        assert_eq!(desk.one(effects).is_ok(), is_fine, "{timeout_ms}");
    }
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut desk = Desk::at_epoch(0);
    desk.add(me(0), &[0]).unwrap();
    for (ms, state) in [(999, TransactionState::Ongoing), (10_000, TransactionState::PrepareAbort)] {
        desk.now = at(ms);
        let effects = desk.shard.tick(desk.now);
        assert!(desk.run(effects).is_empty());
        assert_eq!(desk.state(), state);
    }
    assert_eq!(desk.end(me(0), Outcome::Commit), concurrent());
    desk.mark();
    assert_eq!(desk.state(), TransactionState::CompleteAbort);
    assert_eq!(desk.end(me(0), Outcome::Commit), fenced(0, 2));
    assert_eq!(desk.add(me(0), &[0]), fenced(0, 2));
}

#[test]
fn an_id_that_nobody_uses_expires() {
    let mut desk = Desk::at_epoch(0);
    let week = 7 * 24 * 3_600_000;
    for (ms, known) in [(week - 1, true), (week + 3_600_000, false)] {
        desk.now = at(ms);
        let effects = desk.shard.tick(desk.now);
        desk.run(effects);
        assert_eq!(desk.shard.describe(ID).is_ok(), known);
    }
    assert_eq!(desk.log.last().unwrap().value, None, "a tombstone");
    desk.reload();
    assert!(desk.shard.is_empty());
}

#[test]
fn a_decided_end_goes_on_after_a_crash() {
    for outcome in [Outcome::Commit, Outcome::Abort] {
        let mut desk = Desk::at_epoch(0);
        desk.add(me(0), &[0, 1]).unwrap();
        desk.end(me(0), outcome).unwrap();
        desk.reload();
        let ending = &desk.endings[0];
        assert_eq!((ending.marker.outcome, ending.partitions.len(), ending.marker.coordinator_epoch), (outcome, 2, 1));
        desk.mark();
        assert_eq!(desk.end(me(0), outcome), Ok(me(1)), "the client asks again");
        desk.reload();
        assert!(desk.endings.is_empty());
    }
}

#[test]
fn what_could_not_be_written_has_not_happened() {
    let mut desk = Desk::at_epoch(0);
    desk.fails = Some(WriteError::NotAvailable);
    let refused = Err(Error::CoordinatorNotAvailable { id: ID.to_owned() });
    assert_eq!(desk.add(me(0), &[0]), refused);
    assert_eq!(desk.init(None), refused);
    desk.fails = None;
    assert_eq!(desk.add(me(0), &[0]), Ok(me(0)));
    desk.fails = Some(WriteError::NotAvailable);
    assert_eq!(desk.end(me(0), Outcome::Commit), refused);
    desk.fails = None;
    assert_eq!(desk.state(), TransactionState::Ongoing);
    assert_eq!(desk.end(me(0), Outcome::Commit), Ok(me(1)));
    desk.fails = Some(WriteError::NotAvailable);
    desk.mark();
    assert_eq!(desk.state(), TransactionState::PrepareCommit, "every marker is there, but nothing says so");
    desk.fails = None;
    desk.now = at(10_000);
    let effects = desk.shard.tick(desk.now);
    desk.run(effects);
    assert_eq!(desk.state(), TransactionState::CompleteCommit);
}

#[test]
fn a_fence_that_could_not_be_written_does_not_bump_twice() {
    let mut desk = Desk::at_epoch(0);
    desk.add(me(0), &[0]).unwrap();
    desk.fails = Some(WriteError::NotAvailable);
    for _ in 0..3 {
        assert!(desk.init(None).is_err());
        assert_eq!(desk.shard.describe(ID).unwrap().epoch, ProducerEpoch(1));
    }
    desk.fails = None;
    assert_eq!(desk.init(None), concurrent());
    assert_eq!(desk.endings[0].marker.epoch, ProducerEpoch(2));
}

#[test]
fn one_step_at_a_time() {
    let mut desk = Desk::at_epoch(0);
    let partitions = [partition(0)].into_iter().collect();
    let request = AddRequest { id: ID.to_owned(), identity: me(0), partitions, version: Version::Bumping };
    let pending = desk.shard.add(&request, Waiter(9), desk.now);
    assert_eq!(desk.add(me(0), &[1]), concurrent());
    assert_eq!(desk.init(None), concurrent());
    assert_eq!(desk.end(me(0), Outcome::Abort), concurrent());
    let another = Identity { producer: FRESH, epoch: ProducerEpoch(0) };
    assert_eq!(desk.end(another, Outcome::Abort), concurrent(), "also to whom the id is not");
    assert_eq!(desk.add(another, &[1]), concurrent());
    assert!(
        desk.end_as(another, Outcome::Abort, Version::Classic) != concurrent(),
        "a classic client is looked at first"
    );
    assert_eq!(desk.run(pending), [(Waiter(9), Ok(me(0)))]);
    let left = desk.shard.unload();
    assert!(left.replies.is_empty());
}

#[test]
fn who_waits_when_the_coordinator_goes_is_sent_away() {
    let mut desk = Desk::at_epoch(0);
    let partitions = [partition(0)].into_iter().collect();
    let request = AddRequest { id: ID.to_owned(), identity: me(0), partitions, version: Version::Bumping };
    let _ = desk.shard.add(&request, WAITER, desk.now);
    let gone = desk.shard.unload();
    assert_eq!(gone.replies, [(WAITER, Err(Error::NotCoordinator { id: ID.to_owned() }))]);
    assert_eq!(desk.shard.written(Ticket(1), Ok(()), desk.now), Effects::default());
}

#[test]
fn lists_are_filtered() {
    let mut desk = Desk::at_epoch(0);
    desk.add(me(0), &[0]).unwrap();
    let now = TimestampMs(500);
    let count = |filter: ListFilter| desk.shard.list(&filter, now).len();
    let any = || ListFilter { longer_than_ms: -1, ..ListFilter::default() };
    assert_eq!(count(any()), 1);
    assert_eq!(count(ListFilter { states: vec![TransactionState::Empty], ..any() }), 0);
    assert_eq!(count(ListFilter { states: vec![TransactionState::Ongoing], ..any() }), 1);
    assert_eq!(count(ListFilter { producers: vec![FRESH], ..any() }), 0);
    assert_eq!(count(ListFilter { producers: vec![PRODUCER], ..any() }), 1);
    assert_eq!(count(ListFilter { longer_than_ms: 500, ..any() }), 0);
    assert_eq!(count(ListFilter { longer_than_ms: 499, ..any() }), 1);
}
