//! Fetch sessions (KIP-227): what a client fetches is kept here, so that it sends and gets only what changes. Pure.
//!
//! ```text
//!   epoch -1              no session: everything is sent both ways
//!   epoch 0               begin a session (and end the one named): everything is sent once
//!   epoch n of session s  only changes; n must be the one after the last
//! ```

use millstream_types::{LeaderEpoch, Offset, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A session that was not used for this long may be dropped for any new one; a younger one is never dropped for a smaller one.
const EVICTABLE_AFTER: Duration = Duration::from_secs(120);

/// How a request names a topic: by id since version 13, by name before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TopicKey {
    /// By id.
    Id(TopicId),
    /// By name.
    Name(Arc<str>),
}

/// A partition of a request or a session.
pub(crate) type Key = (TopicKey, i32);

/// From where a partition is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The first offset.
    pub(crate) offset: Offset,
    /// Bytes at most.
    pub(crate) max_bytes: i32,
    /// The epoch the client believes to be current.
    pub(crate) leader_epoch: LeaderEpoch,
    /// The epoch of the last record it has, by which a truncation is found.
    pub(crate) last_fetched_epoch: LeaderEpoch,
}

/// What of an answer decides whether a session's client has to hear of the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The high watermark sent.
    pub(crate) high_watermark: Offset,
    /// The log start sent.
    pub(crate) log_start: Offset,
    /// Bytes of records.
    pub(crate) bytes: usize,
    /// There is an error or a diverging epoch, which is always sent.
    pub(crate) is_special: bool,
}

/// Why a session can't be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such session (any more).
    NotFound,
    /// A request was lost or doubled.
    Epoch,
    /// The session was begun with names and goes on with ids, or the reverse.
    TopicIds,
}

/// The session part of a request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The session, 0 for none.
    pub(crate) id: i32,
    /// The epoch.
    pub(crate) epoch: i32,
    /// Topics are named by id.
    pub(crate) by_id: bool,
    /// Partitions to add or change.
    pub(crate) wanted: Vec<(Key, Wanted)>,
    /// Partitions to forget.
    pub(crate) forgotten: Vec<Key>,
}

/// What is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    /// The session that is answered, 0 for none.
    pub(crate) session: i32,
    /// Only what changed is answered.
    pub(crate) incremental: bool,
    /// The partitions in the order in which they get their share of the bytes.
    pub(crate) partitions: Vec<(Key, Wanted)>,
}

struct Cached {
    wanted: Wanted,
    /// Its place in `Session::order`.
    place: u64,
    /// What the client was told last.
    high_watermark: Offset,
    log_start: Offset,
}

struct Session {
    epoch: i32,
    by_id: bool,
    created: Duration,
    used: Duration,
    partitions: BTreeMap<Key, Cached>,
    /// Those that got records go to the end, so that all get their turn within the response's bytes.
    order: BTreeMap<u64, Key>,
    next_place: u64,
}

impl Session {
    fn new(by_id: bool, now: Duration) -> Self {
        let (partitions, order) = (BTreeMap::new(), BTreeMap::new());
        Self { epoch: 1, by_id, created: now, used: now, partitions, order, next_place: 0 }
    }

    fn want(&mut self, key: Key, wanted: Wanted) {
        if let Some(cached) = self.partitions.get_mut(&key) {
            cached.wanted = wanted;
            return;
        }
        let place = self.next_place;
        self.next_place += 1;
        self.order.insert(place, key.clone());
        self.partitions.insert(key, Cached { wanted, place, high_watermark: Offset::NONE, log_start: Offset::NONE });
    }

    fn forget(&mut self, key: &Key) {
        if let Some(cached) = self.partitions.remove(key) {
            self.order.remove(&cached.place);
        }
    }

    fn in_order(&self) -> Vec<(Key, Wanted)> {
        let keys = self.order.values();
        keys.filter_map(|key| Some((key.clone(), self.partitions.get(key)?.wanted))).collect()
    }

    /// Notes what the client is told; returns whether it has to be told at all.
    fn answered(&mut self, key: &Key, outcome: Outcome) -> bool {
        let Some(cached) = self.partitions.get_mut(key) else { return true };
        let changed = cached.high_watermark != outcome.high_watermark || cached.log_start != outcome.log_start;
        cached.log_start = outcome.log_start;
        // After an error the partition is sent again even if its offsets are what they were.
        cached.high_watermark = if outcome.is_special { Offset::NONE } else { outcome.high_watermark };
        if outcome.bytes > 0 {
            self.order.remove(&cached.place);
            cached.place = self.next_place;
            self.order.insert(cached.place, key.clone());
            self.next_place += 1;
        }
        changed || outcome.is_special || outcome.bytes > 0
    }
}

/// The sessions of a broker, at most `slots`.
pub(crate) struct Sessions {
    slots: usize,
    sessions: BTreeMap<i32, Session>,
    /// Dropped for want of room since somebody asked.
    evicted: u64,
}

impl Sessions {
    /// Room for that many sessions.
    pub(crate) const fn new(slots: usize) -> Self {
        Self { slots, sessions: BTreeMap::new(), evicted: 0 }
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// How many were dropped for want of room since this was asked last.
    pub(crate) const fn take_evicted(&mut self) -> u64 {
        std::mem::replace(&mut self.evicted, 0)
    }

    /// What a request fetches. A new session gets the id `candidate` (random), unless it is taken.
    pub(crate) fn open(&mut self, request: Request, candidate: i32, now: Duration) -> Result<Context, Refused> {
        if request.epoch > 0 {
            return self.go_on(request, now);
        }
        self.sessions.remove(&request.id);
        let mut session = 0;
        if request.epoch == 0 && !request.wanted.is_empty() && self.make_room(request.wanted.len(), now) {
            let id = candidate.checked_abs().unwrap_or(1).max(1);
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.sessions.entry(id) {
                let created = vacant.insert(Session::new(request.by_id, now));
                request.wanted.iter().for_each(|(key, wanted)| created.want(key.clone(), *wanted));
                session = id;
            }
        }
        Ok(Context { session, incremental: false, partitions: request.wanted })
    }

    fn go_on(&mut self, request: Request, now: Duration) -> Result<Context, Refused> {
        let session = self.sessions.get_mut(&request.id).ok_or(Refused::NotFound)?;
        if session.by_id != request.by_id {
            return Err(Refused::TopicIds);
        }
        if session.epoch != request.epoch {
            return Err(Refused::Epoch);
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        session.used = now;
        request.wanted.into_iter().for_each(|(key, wanted)| session.want(key, wanted));
        request.forgotten.iter().for_each(|key| session.forget(key));
        let partitions = session.in_order();
        if partitions.is_empty() {
            self.sessions.remove(&request.id);
            return Ok(Context { session: 0, incremental: false, partitions });
        }
        Ok(Context { session: request.id, incremental: true, partitions })
    }

    /// Notes what the client is told of a partition; returns whether it has to be told.
    pub(crate) fn answered(&mut self, context: &Context, key: &Key, outcome: Outcome) -> bool {
        let told = self.sessions.get_mut(&context.session).is_none_or(|session| session.answered(key, outcome));
        told || !context.incremental
    }

    fn make_room(&mut self, partitions: usize, now: Duration) -> bool {
        if self.sessions.len() < self.slots {
            return true;
        }
        let stale = |session: &Session| now.saturating_sub(session.used) > EVICTABLE_AFTER;
        let smaller = |session: &Session| {
            now.saturating_sub(session.created) > EVICTABLE_AFTER && session.partitions.len() < partitions
        };
        let oldest = self.sessions.iter().filter(|(_, session)| stale(session)).min_by_key(|(_, session)| session.used);
        let smallest = || {
            let smaller = self.sessions.iter().filter(|(_, session)| smaller(session));
            smaller.min_by_key(|(_, session)| session.partitions.len())
        };
        let victim = oldest.or_else(smallest).map(|(id, _)| *id);
        let evicted = victim.is_some_and(|id| self.sessions.remove(&id).is_some());
        self.evicted += u64::from(evicted);
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn key(partition: i32) -> Key {
        (TopicKey::Name("t".into()), partition)
    }

    fn wanted(offset: i64) -> Wanted {
        let (leader_epoch, last_fetched_epoch) = (LeaderEpoch::NONE, LeaderEpoch::NONE);
        Wanted { offset: Offset(offset), max_bytes: 100, leader_epoch, last_fetched_epoch }
    }

    fn request(id: i32, epoch: i32, partitions: &[i32]) -> Request {
        let wanted = partitions.iter().map(|partition| (key(*partition), wanted(0))).collect();
        Request { id, epoch, by_id: false, wanted, forgotten: Vec::new() }
    }

    fn outcome(high_watermark: i64, bytes: usize) -> Outcome {
        Outcome { high_watermark: Offset(high_watermark), log_start: Offset(0), bytes, is_special: false }
    }

    fn order(context: &Context) -> Vec<i32> {
        context.partitions.iter().map(|((_, partition), _)| *partition).collect()
    }

    #[test]
    fn without_a_session_everything_is_fetched() {
        let mut sessions = Sessions::new(10);
        let context = sessions.open(request(0, -1, &[1, 2]), 7, NOW).unwrap();
        assert_eq!((context.session, context.incremental, order(&context)), (0, false, vec![1, 2]));
        assert!(sessions.answered(&context, &key(1), outcome(0, 0)));
        assert_eq!(sessions.len(), 0);
    }

    #[test]
    fn a_session_answers_only_what_changed() {
        let mut sessions = Sessions::new(10);
        let first = sessions.open(request(0, 0, &[1, 2]), 7, NOW).unwrap();
        assert_eq!(first.session, 7);
        assert!(sessions.answered(&first, &key(1), outcome(5, 0)));
        assert!(sessions.answered(&first, &key(2), outcome(5, 0)));
        let second = sessions.open(request(7, 1, &[]), 8, NOW).unwrap();
        assert!(second.incremental);
        assert!(!sessions.answered(&second, &key(1), outcome(5, 0)), "nothing new");
        assert!(sessions.answered(&second, &key(2), outcome(6, 0)), "the high watermark moved");
    }

    #[test]
    fn an_error_is_always_told_and_so_is_its_end() {
        let mut sessions = Sessions::new(10);
        let first = sessions.open(request(0, 0, &[1]), 7, NOW).unwrap();
        assert!(sessions.answered(&first, &key(1), outcome(5, 0)));
        let context = sessions.open(request(7, 1, &[]), 8, NOW).unwrap();
        let failed = Outcome { is_special: true, ..outcome(5, 0) };
        assert!(sessions.answered(&context, &key(1), failed));
        assert!(sessions.answered(&context, &key(1), outcome(5, 0)));
        assert!(!sessions.answered(&context, &key(1), outcome(5, 0)));
    }

    #[test]
    fn a_partition_that_got_records_goes_to_the_end() {
        let mut sessions = Sessions::new(10);
        let first = sessions.open(request(0, 0, &[1, 2, 3]), 7, NOW).unwrap();
        sessions.answered(&first, &key(1), outcome(5, 50));
        let context = sessions.open(request(7, 1, &[]), 8, NOW).unwrap();
        assert_eq!(order(&context), [2, 3, 1]);
    }

    #[test]
    fn partitions_are_added_changed_and_forgotten() {
        let mut sessions = Sessions::new(10);
        sessions.open(request(0, 0, &[1, 2]), 7, NOW).unwrap();
        let mut change = request(7, 1, &[3]);
        change.wanted.push((key(1), wanted(9)));
        change.forgotten.push(key(2));
        let context = sessions.open(change, 8, NOW).unwrap();
        assert_eq!(context.partitions, [(key(1), wanted(9)), (key(3), wanted(0))]);
    }

    #[test]
    fn a_session_that_wants_nothing_ends() {
        let mut sessions = Sessions::new(10);
        sessions.open(request(0, 0, &[1]), 7, NOW).unwrap();
        let mut last = request(7, 1, &[]);
        last.forgotten.push(key(1));
        assert_eq!(sessions.open(last, 8, NOW).unwrap().session, 0);
        assert_eq!(sessions.open(request(7, 2, &[]), 8, NOW), Err(Refused::NotFound));
    }

    #[test]
    fn what_does_not_go_on_is_refused() {
        let mut sessions = Sessions::new(10);
        sessions.open(request(0, 0, &[1]), 7, NOW).unwrap();
        assert_eq!(sessions.open(request(9, 1, &[]), 8, NOW), Err(Refused::NotFound));
        assert_eq!(sessions.open(request(7, 2, &[]), 8, NOW), Err(Refused::Epoch));
        let by_id = Request { by_id: true, ..request(7, 1, &[]) };
        assert_eq!(sessions.open(by_id, 8, NOW), Err(Refused::TopicIds));
        assert!(sessions.open(request(7, 1, &[]), 8, NOW).is_ok());
    }

    #[test]
    fn beginning_anew_ends_the_session_named() {
        let mut sessions = Sessions::new(10);
        sessions.open(request(0, 0, &[1]), 7, NOW).unwrap();
        assert_eq!(sessions.open(request(7, 0, &[1]), 8, NOW).unwrap().session, 8);
        assert_eq!(sessions.open(request(8, -1, &[1]), 9, NOW).unwrap().session, 0);
        assert_eq!(sessions.len(), 0);
    }

    #[test]
    fn a_full_cache_drops_what_is_stale_or_smaller() {
        let mut sessions = Sessions::new(1);
        sessions.open(request(0, 0, &[1, 2]), 7, NOW).unwrap();
        assert_eq!(sessions.open(request(0, 0, &[1, 2, 3]), 8, NOW).unwrap().session, 0, "too young to drop");
        let later = NOW + EVICTABLE_AFTER + Duration::from_secs(1);
        sessions.open(request(7, 1, &[]), 8, later).unwrap();
        assert_eq!(sessions.open(request(0, 0, &[1]), 8, later).unwrap().session, 0, "not larger than the one there");
        assert_eq!(sessions.open(request(0, 0, &[1, 2, 3]), 8, later).unwrap().session, 8);
        let much_later = later + EVICTABLE_AFTER + Duration::from_secs(1);
        assert_eq!(sessions.open(request(0, 0, &[1]), 9, much_later).unwrap().session, 9, "the one there is stale");
        assert_eq!((sessions.take_evicted(), sessions.take_evicted()), (2, 0));
    }
}
