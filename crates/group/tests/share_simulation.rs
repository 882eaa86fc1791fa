//! A share partition from a seed: members read, acknowledge, release, renew, are slow, die; writes are late or fail; the leader crashes; the log
//! is compacted and cut, transactions are aborted. A model with a state for each offset is compared after every step.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/dice.rs"]
mod dice;

use dice::Dice;
use millstream_group::share::{
    Acknowledgement, Cause, Delivery, Limits, Read, ShareKey, SharePartition, ShareStates, StateWrite, Wish, WriteState,
};
use millstream_types::{TimestampMs, TopicId};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

const MEMBERS: [&str; 4] = ["a", "b", "c", "d"];
const START: i64 = 100;
const END: i64 = 500;
const LOCK_MS: u64 = 1_000;
const DELIVERIES_MAX: i16 = 4;

/// An offset, as a model of it would be written first.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    delivery: Delivery,
    count: i16,
    holder: Option<(&'static str, u64)>,
    /// What it becomes by the write of that number, and its delivery count then.
    pending: Option<(u64, Delivery, i16)>,
}

#[derive(Debug, Default)]
struct Seen {
    acquired: usize,
    again: usize,
    accepted: usize,
    released: usize,
    buried: usize,
    refused: usize,
    expired: usize,
    deaths: usize,
    crashes: usize,
    failed_writes: usize,
}

struct World {
    dice: Dice,
    now_ms: u64,
    log_start: i64,
    batches: Vec<Range<i64>>,
    aborted: Vec<Range<i64>>,
    partition: SharePartition,
    model: BTreeMap<i64, Known>,
    /// What is stored of what the model knows.
    stored: BTreeMap<i64, (Delivery, i16)>,
    states: ShareStates,
    writes: VecDeque<StateWrite>,
    /// Offsets that were buried and written as given up.
    buried: BTreeMap<i64, Cause>,
    seen: Seen,
}

fn key() -> ShareKey {
    ShareKey { group: Arc::from("g"), topic: TopicId::ZERO, partition: 0 }
}

fn limits() -> Limits {
    Limits { in_flight_max: 60, deliveries_max: DELIVERIES_MAX, lock_ms: LOCK_MS, buries: true }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let (mut batches, mut aborted, mut at) = (Vec::new(), Vec::new(), START);
        while at < END {
            let end = (at + 1 + i64::try_from(dice.below(12)).unwrap()).min(END);
            if dice.below(8) == 0 {
                aborted.push(at..end);
            }
            batches.push(at..end);
            at = end;
        }
        let mut states = ShareStates::new(500);
        let change = states.initialize(&key(), 0, START, TimestampMs(0)).unwrap();
        states.replay(change);
        Self {
            dice,
            now_ms: 0,
            log_start: START,
            batches,
            aborted,
            partition: SharePartition::new(START, limits()),
            model: BTreeMap::new(),
            stored: BTreeMap::new(),
            states,
            writes: VecDeque::new(),
            buried: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    fn step(&mut self) {
        let member = MEMBERS[usize::try_from(self.dice.below(4)).unwrap()];
        match self.dice.below(100) {
            0..=29 => self.acquire(member),
            30..=59 => self.acknowledge(member),
            60..=62 => self.acknowledge_wrongly(member),
            63..=67 => {
                self.now_ms += self.dice.below(LOCK_MS);
                self.expire();
            }
            68..=69 => self.die(member),
            70 => self.crash(),
            71 => self.compact(),
            72 if self.dice.below(8) == 0 => self.cut_log(),
            73..=77 => self.settle(false),
            _ => self.settle(true),
        }
        self.check();
    }

    fn acquire(&mut self, member: &'static str) {
        let from = self.partition.next_fetch_offset();
        let batches: Vec<Range<i64>> = self.batches.iter().filter(|batch| batch.end > from).take(4).cloned().collect();
        let wish = Wish {
            member: Arc::from(member),
            records_max: 1 + i64::try_from(self.dice.below(20)).unwrap(),
            keeps_limit: self.dice.below(2) == 0,
            batch_records: 1 + i64::try_from(self.dice.below(9)).unwrap(),
        };
        let read = Read { from, batches: &batches, aborted: &self.aborted };
        let end_before = self.partition.end();
        let given = self.partition.acquire(&wish, &read, self.now_ms);
        if let Some(first) = batches.first() {
            // What is not in the log any more is over.
            self.over(from..first.start);
        }
        let until = self.now_ms + LOCK_MS;
        let mut count = 0;
        for one in &given {
            for offset in one.first..=one.last {
                count += 1;
                let known = self.model.entry(offset).or_insert_with(Known::fresh);
                assert_eq!(
                    (known.delivery, known.pending.is_some()),
                    (Delivery::Available, false),
                    "{offset} is given twice"
                );
                known.count += 1;
                assert_eq!(known.count, one.count, "how often {offset} was delivered");
                assert!(one.count <= DELIVERIES_MAX, "{offset} is delivered too often");
                self.seen.again += usize::from(one.count > 1);
                (known.delivery, known.holder) = (Delivery::Acquired, Some((member, until)));
                assert!(!self.aborted.iter().any(|range| range.contains(&offset)), "{offset} was aborted");
            }
        }
        assert!(!wish.keeps_limit || count <= wish.records_max, "{count} records for {wish:?}");
        self.seen.acquired += given.len();
        // What was read and not given, and is new, is above a limit that is kept.
        for offset in end_before.max(self.partition.start())..self.partition.end() {
            self.model.entry(offset).or_insert_with(Known::fresh);
        }
        for range in self.aborted.clone() {
            self.over_where_reached(&range);
        }
    }

    /// What of `range` is known or in flight, and nobody's, is over.
    fn over(&mut self, range: Range<i64>) {
        let in_flight = self.partition.start()..self.partition.end();
        for offset in range {
            if in_flight.contains(&offset) {
                self.model.entry(offset).or_insert_with(Known::fresh);
            }
            let known = self.model.get_mut(&offset);
            if let Some(known) = known.filter(|known| known.delivery == Delivery::Available && known.pending.is_none())
            {
                known.delivery = Delivery::Archived;
            }
        }
    }

    /// Aborted records are over as soon as somebody would have been given them.
    fn over_where_reached(&mut self, range: &Range<i64>) {
        self.over(range.start..range.end.min(self.partition.start()));
        for batch in self.partition.in_flight().iter().filter(|batch| batch.delivery == Delivery::Archived) {
            for offset in batch.first.max(range.start)..(batch.last + 1).min(range.end) {
                let known = self.model.entry(offset).or_insert_with(Known::fresh);
                assert!(known.holder.is_none(), "an aborted record has a holder");
                (known.delivery, known.count) = (Delivery::Archived, batch.count);
            }
        }
    }

    fn held_by(&self, member: &str) -> Vec<i64> {
        let held = self.model.iter().filter(|(offset, known)| {
            **offset >= self.partition.start()
                && known.pending.is_none()
                && known.holder.is_some_and(|(holder, _)| holder == member)
        });
        held.map(|(offset, _)| *offset).collect()
    }

    /// Says something of some neighbouring records that it has.
    fn acknowledge(&mut self, member: &'static str) {
        let held = self.held_by(member);
        if held.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.below(held.len() as u64)).unwrap();
        let longest = held[at..].windows(2).take_while(|pair| pair[0] + 1 == pair[1]).count();
        let length = usize::try_from(self.dice.below(longest as u64 + 1)).unwrap();
        let (first, last) = (held[at], held[at + length]);
        let kinds: Vec<i8> = if self.dice.below(3) == 0 {
            (first..=last).map(|_| i8::try_from(self.dice.below(5)).unwrap()).collect()
        } else {
            vec![[1, 1, 1, 2, 3, 4][usize::try_from(self.dice.below(6)).unwrap()]]
        };
        let said = Acknowledgement::parse(&[(first, last, kinds.clone())], true).unwrap();
        let write = self.partition.acknowledge(member, &said, self.now_ms).unwrap();
        let ticket = write.as_ref().map_or(0, |write| write.ticket.0);
        for (index, offset) in (first..=last).enumerate() {
            let known = self.model.get_mut(&offset).unwrap();
            let to = match kinds.get(index).unwrap_or(&kinds[0]) {
                1 => Delivery::Acknowledged,
                0 | 3 => Delivery::Archived,
                4 => {
                    known.holder = Some((member, self.now_ms + LOCK_MS));
                    continue;
                }
                _ => again_or_not(known.count),
            };
            self.seen.released += usize::from(to == Delivery::Available);
            known.pending = Some((ticket, to, known.count));
        }
        self.writes.extend(write);
    }

    /// Says something of what it has not: that is refused and changes nothing.
    fn acknowledge_wrongly(&mut self, member: &'static str) {
        let (start, end) = (self.partition.start(), self.partition.end());
        let offset = start + i64::try_from(self.dice.below(80)).unwrap();
        if self.held_by(member).contains(&offset) {
            return;
        }
        let said = Acknowledgement::parse(&[(offset, offset, vec![1])], true).unwrap();
        assert!(
            self.partition.acknowledge(member, &said, self.now_ms).is_err(),
            "{offset} of {start}..{end} for {member}"
        );
        self.seen.refused += 1;
    }

    fn expire(&mut self) {
        let now = self.now_ms;
        let write = self.partition.expire(now);
        let ticket = write.as_ref().map_or(0, |write| write.ticket.0);
        for known in self.model.values_mut().filter(|known| known.pending.is_none()) {
            if known.holder.is_some_and(|(_, until)| until <= now) {
                self.seen.expired += 1;
                known.pending = Some((ticket, again_or_not(known.count), known.count));
            }
        }
        self.writes.extend(write);
    }

    fn die(&mut self, member: &'static str) {
        self.seen.deaths += 1;
        let held = self.held_by(member);
        let write = self.partition.release(member);
        let ticket = write.as_ref().map_or(0, |write| write.ticket.0);
        for offset in held {
            let known = self.model.get_mut(&offset).unwrap();
            known.pending = Some((ticket, again_or_not(known.count), known.count));
        }
        self.writes.extend(write);
    }

    /// The oldest write is done, or failed.
    fn settle(&mut self, is_stored: bool) {
        let Some(write) = self.writes.pop_front() else { return };
        self.seen.failed_writes += usize::from(!is_stored);
        if is_stored {
            self.store(&write);
        }
        self.partition.written(write.ticket, is_stored, self.now_ms);
        for (offset, known) in &mut self.model {
            let Some((ticket, to, count)) = known.pending else { continue };
            if ticket != write.ticket.0 {
                continue;
            }
            known.pending = None;
            if is_stored {
                self.seen.accepted += usize::from(to == Delivery::Acknowledged);
                (known.delivery, known.count, known.holder) = (to, count, None);
                self.stored.insert(*offset, (to, count));
            } else if let Some((_, until)) = &mut known.holder {
                *until = (*until).max(self.now_ms + 1_000);
            }
        }
    }

    fn store(&mut self, write: &StateWrite) {
        for one in &write.buried {
            for offset in one.first..=one.last {
                assert_eq!(self.buried.insert(offset, one.cause), None, "{offset} is buried twice");
                self.seen.buried += 1;
            }
        }
        let complete = i32::try_from(write.complete).unwrap();
        let batches = write.batches.clone();
        let asked = WriteState { state_epoch: 0, leader_epoch: 0, start: write.start, complete, batches };
        let change = self.states.write(&key(), &asked, TimestampMs(0)).unwrap();
        let record = change.encode().unwrap();
        let read = millstream_group::share::StateChange::decode(&record.key, record.value.as_deref(), TimestampMs(0));
        self.states.replay(read.unwrap());
    }

    /// Another leader begins with what is stored.
    fn crash(&mut self) {
        self.seen.crashes += 1;
        self.writes.clear();
        let state = self.states.get(&key()).unwrap();
        let mut partition = SharePartition::loaded(state.start, &state.batches, limits()).unwrap();
        partition.log_starts_at(self.log_start);
        assert!(partition.start() <= self.partition.start(), "the start went ahead of what is settled");
        self.partition = partition;
        // What is stored as available, and was compacted away since, is over: the start has passed it.
        let start = self.partition.start();
        let stored = self.stored.iter().filter(|(offset, (delivery, _))| **offset >= start || delivery.is_final());
        let known = stored.map(|(offset, (delivery, count))| {
            (*offset, Known { delivery: *delivery, count: *count, ..Known::fresh() })
        });
        self.model = known.collect();
        for offset in self.partition.start()..self.partition.end() {
            self.model.entry(offset).or_insert_with(Known::fresh);
        }
    }

    /// A batch that nobody has is gone from the log.
    fn compact(&mut self) {
        let at = usize::try_from(self.dice.below(self.batches.len() as u64 - 1)).unwrap();
        let batch = &self.batches[at];
        let is_held = batch.clone().any(|offset| self.model.get(&offset).is_some_and(|known| known.holder.is_some()));
        if !is_held && !self.aborted.contains(batch) {
            self.batches.remove(at);
        }
    }

    fn cut_log(&mut self) {
        self.log_start += i64::try_from(self.dice.below(30)).unwrap();
        let start = self.log_start;
        self.batches.retain(|batch| batch.end > start);
        self.partition.log_starts_at(start);
    }

    /// The partition knows of every offset in flight what the model knows.
    fn check(&mut self) {
        let (start, end) = (self.partition.start(), self.partition.end());
        let batches = self.partition.in_flight();
        let covered: i64 = batches.iter().map(|batch| batch.last - batch.first + 1).sum();
        assert_eq!(covered, end - start, "what is in flight has no hole");
        for batch in batches {
            for offset in batch.first..=batch.last {
                let known = &self.model[&offset];
                assert_eq!((batch.delivery, batch.count), (known.delivery, known.count), "offset {offset}");
            }
        }
        for (offset, known) in self.model.range(..start).filter(|(offset, _)| **offset >= self.log_start) {
            assert!(known.delivery.is_final(), "the start passed {offset}, which is {known:?}");
        }
    }

    /// Nothing fails any more and one member accepts everything: nothing is left.
    fn drain(&mut self) {
        for member in MEMBERS {
            self.die(member);
        }
        for _ in 0..2_000 {
            while !self.writes.is_empty() {
                self.settle(true);
            }
            self.acquire("a");
            let held = self.held_by("a");
            for offset in &held {
                let said = Acknowledgement::parse(&[(*offset, *offset, vec![1])], true).unwrap();
                let write = self.partition.acknowledge("a", &said, self.now_ms).unwrap().unwrap();
                let known = self.model.get_mut(offset).unwrap();
                known.pending = Some((write.ticket.0, Delivery::Acknowledged, known.count));
                self.writes.push_back(write);
            }
            if held.is_empty() && self.partition.next_fetch_offset() >= self.batches.last().unwrap().end {
                break;
            }
        }
        self.check();
        assert_eq!(self.partition.in_flight(), [], "everything is settled");
        for batch in self.batches.clone() {
            for offset in batch.filter(|offset| *offset >= self.log_start) {
                let is_buried = self.buried.contains_key(&offset);
                let is_aborted = self.aborted.iter().any(|range| range.contains(&offset));
                let Some(known) = self.model.get(&offset) else {
                    assert!(is_aborted, "nobody was given {offset}");
                    continue;
                };
                assert!(known.delivery.is_final(), "{offset} is {known:?}");
                if is_buried {
                    assert_eq!(known.delivery, Delivery::Archived, "{offset} is buried and {known:?}");
                }
                if is_aborted {
                    assert!(!is_buried && known.delivery == Delivery::Archived, "{offset} was aborted");
                }
            }
        }
    }
}

impl Known {
    const fn fresh() -> Self {
        Self { delivery: Delivery::Available, count: 0, holder: None, pending: None }
    }
}

const fn again_or_not(count: i16) -> Delivery {
    if count >= DELIVERIES_MAX { Delivery::Archived } else { Delivery::Available }
}

fn run(seed: u64) -> Seen {
    let mut world = World::new(seed);
    for _ in 0..600 {
        world.step();
    }
    world.drain();
    world.seen
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how many seeds is the caller's to say, not the crate's to decide by")]
fn promises_hold_for_many_seeds() {
    let seeds: u64 = std::env::var("MILLSTREAM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut total = Seen::default();
    for seed in 0..seeds {
        let seen = run(seed);
        total.acquired += seen.acquired;
        total.again += seen.again;
        total.accepted += seen.accepted;
        total.released += seen.released;
        total.buried += seen.buried;
        total.refused += seen.refused;
        total.expired += seen.expired;
        total.deaths += seen.deaths;
        total.crashes += seen.crashes;
        total.failed_writes += seen.failed_writes;
    }
    // A simulation in which nothing happens proves nothing: floors by seed.
    let by_seed = |count: usize, floor: usize| count >= floor * usize::try_from(seeds).unwrap();
    let deliveries = by_seed(total.acquired, 50) && by_seed(total.again, 20) && by_seed(total.accepted, 100);
    let ends = by_seed(total.released, 10) && by_seed(total.buried, 5) && by_seed(total.expired, 10);
    let faults = by_seed(total.refused, 5) && by_seed(total.deaths, 5) && by_seed(total.crashes, 2);
    assert!(deliveries && ends && faults && by_seed(total.failed_writes, 5), "{total:?}");
}
