//! One share partition: its log, who leads it, who has which records, and what is stored of them, all written down offset by offset.

use millstream_group::share::{
    Acknowledgement, Acquired, Delivery, Limits, Read, ShareKey, SharePartition, ShareState, StateBatch, StateChange,
    StateWrite, UNKNOWN, Wish, WriteState,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

pub const LOCK_MS: u64 = 10_000;
pub const DELIVERIES_MAX: i16 = 4;
/// How long what could not be written is left to its member.
const RETRY_MS: u64 = 1_000;

const LIMITS: Limits = Limits { in_flight_max: 40, deliveries_max: DELIVERIES_MAX, lock_ms: LOCK_MS, buries: true };

/// Records by offset; who asks reads whole batches.
#[derive(Default)]
pub struct Records {
    pub start: i64,
    pub end: i64,
    pub batches: Vec<Range<i64>>,
    aborted: Vec<Range<i64>>,
}

impl Records {
    pub fn append(&mut self, count: i64, is_aborted: bool) {
        let batch = self.end..self.end + count;
        self.end = batch.end;
        if is_aborted {
            self.aborted.push(batch.clone());
        }
        self.batches.push(batch);
    }

    pub fn cut(&mut self, start: i64) {
        self.start = start.clamp(self.start, self.end);
        self.batches.retain(|batch| batch.end > self.start);
    }

    /// Whether there is a record that somebody should get.
    pub fn has(&self, offset: i64) -> bool {
        offset >= self.start
            && self.batches.iter().any(|batch| batch.contains(&offset))
            && !self.aborted.iter().any(|batch| batch.contains(&offset))
    }
}

/// What is stored, put together from the records of the state topic as they are appended.
pub struct Durable {
    start: i64,
    fates: BTreeMap<i64, (Delivery, i16)>,
}

impl Durable {
    pub fn fate(&self, offset: i64) -> Option<Delivery> {
        self.fates.get(&offset).map(|(delivery, _)| *delivery)
    }

    fn is_over(&self, offset: i64) -> bool {
        self.fate(offset).is_some_and(Delivery::is_final)
    }

    fn take(&mut self, change: &StateChange, records: &Records) {
        match change {
            StateChange::Snapshot(_, Some(state)) if state.leader_epoch == 0 => {
                assert!(self.fates.is_empty(), "the state of a partition that is in use begins anew");
                self.start = state.start;
            }
            StateChange::Snapshot(_, Some(state)) => {
                let stated: Vec<i64> = state.batches.iter().flat_map(|batch| batch.first..=batch.last).collect();
                let missing = self.fates.range(state.start..).find(|(offset, _)| stated.binary_search(offset).is_err());
                assert_eq!(missing, None, "a snapshot leaves out what is known");
                self.update(state.start, &state.batches, records);
            }
            StateChange::Update(_, Some(update)) => self.update(update.start, &update.batches, records),
            other => panic!("{other:?} is never written here"),
        }
    }

    fn update(&mut self, start: i64, batches: &[StateBatch], records: &Records) {
        for batch in batches {
            for offset in batch.first..=batch.last {
                assert!(batch.count <= DELIVERIES_MAX, "{offset} was delivered {} times", batch.count);
                let before = self.fates.insert(offset, (batch.delivery, batch.count));
                let is_kept = before.is_none_or(|(delivery, _)| !delivery.is_final() || delivery == batch.delivery);
                assert!(is_kept, "{offset} was {before:?} and is {:?}", batch.delivery);
            }
        }
        if start == UNKNOWN {
            return;
        }
        assert!(start >= self.start, "the start goes back from {} to {start}", self.start);
        for offset in self.start.max(records.start)..start {
            assert!(self.is_over(offset) || !records.has(offset), "the start passes {offset}, which is nobody's yet");
        }
        self.start = start;
    }
}

/// Who has a record.
#[derive(Debug, Clone)]
struct Holder {
    member: String,
    until: u64,
    /// What becomes of it is decided, and being written.
    ticket: Option<u64>,
}

/// What one leader knows.
pub struct Open {
    pub partition: SharePartition,
    state_epoch: i32,
    epoch: i32,
    holders: BTreeMap<i64, Holder>,
    counts: BTreeMap<i64, i16>,
    start: i64,
    /// Decided, and not being written yet.
    pub queue: VecDeque<StateWrite>,
}

/// See the module.
pub struct Shared {
    pub key: ShareKey,
    pub records: Records,
    pub durable: Durable,
    pub leader_epoch: i32,
    pub open: Option<Open>,
    /// Offsets that a letter was written for.
    pub letters: BTreeSet<i64>,
}

impl Shared {
    pub const fn new(key: ShareKey) -> Self {
        let records = Records { start: 0, end: 0, batches: Vec::new(), aborted: Vec::new() };
        let durable = Durable { start: UNKNOWN, fates: BTreeMap::new() };
        Self { key, records, durable, leader_epoch: 1, open: None, letters: BTreeSet::new() }
    }

    pub fn stored(&mut self, change: &StateChange) {
        self.durable.take(change, &self.records);
    }

    /// A leader begins with what it read: that is what is stored.
    pub fn begin(&mut self, state: &ShareState) {
        let start = if state.start == UNKNOWN { self.records.start } else { state.start };
        let partition = SharePartition::loaded(start, &state.batches, LIMITS).unwrap();
        assert_eq!(state.start, self.durable.start, "where a leader begins");
        let mut counts = BTreeMap::new();
        for batch in partition.in_flight() {
            for offset in batch.first..=batch.last {
                let known = self.durable.fates.get(&offset).copied().unwrap_or((Delivery::Available, 0));
                assert_eq!((batch.delivery, batch.count), known, "{offset} as it was read");
                counts.insert(offset, batch.count);
            }
        }
        let (holders, queue) = (BTreeMap::new(), VecDeque::new());
        let (state_epoch, epoch) = (state.state_epoch, self.leader_epoch);
        self.open = Some(Open { partition, state_epoch, epoch, holders, counts, start, queue });
    }

    /// Gives a member what there is. Nobody else has it, nobody is done with it, and it was not given too often.
    pub fn acquire(&mut self, wish: &Wish, now_ms: u64) -> Vec<Acquired> {
        let Some(open) = &mut self.open else { return Vec::new() };
        open.partition.log_starts_at(self.records.start);
        open.holders.retain(|offset, _| *offset >= self.records.start);
        if !open.partition.has_room() {
            return Vec::new();
        }
        let from = open.partition.next_fetch_offset();
        let read: Vec<Range<i64>> =
            self.records.batches.iter().filter(|batch| batch.end > from).take(4).cloned().collect();
        let aborted = &self.records.aborted;
        let given = open.partition.acquire(wish, &Read { from, batches: &read, aborted }, now_ms);
        let mut total = 0;
        for one in &given {
            for offset in one.first..=one.last {
                total += 1;
                let holder = Holder { member: wish.member.to_string(), until: now_ms + LOCK_MS, ticket: None };
                let before = open.holders.insert(offset, holder);
                assert!(before.is_none(), "{offset} is {before:?}'s and given to {}", wish.member);
                assert!(!self.durable.is_over(offset), "{offset} is given again, and somebody was done with it");
                assert!(!aborted.iter().any(|batch| batch.contains(&offset)), "{offset} was aborted");
                let count = open.counts.entry(offset).or_default();
                *count += 1;
                assert!(*count == one.count && one.count <= DELIVERIES_MAX, "{offset}: {count}, told {}", one.count);
            }
        }
        assert!(!wish.keeps_limit || total <= wish.records_max, "{total} records for {wish:?}");
        given
    }

    /// A member says something: that counts where it has all of them, and nowhere else.
    pub fn acknowledge(&mut self, member: &str, said: (i64, i64, Vec<i8>), now_ms: u64) -> bool {
        let Some(open) = &mut self.open else { return false };
        let ((first, last), kinds) = ((said.0, said.1), said.2.clone());
        let meant = first.max(open.partition.start())..=last;
        let has = |holder: &Holder| holder.member == member && holder.ticket.is_none();
        let has_all = meant.clone().all(|offset| open.holders.get(&offset).is_some_and(has));
        let parsed = Acknowledgement::parse(&[said], true).unwrap();
        let decided = open.partition.acknowledge(member, &parsed, now_ms);
        assert_eq!(decided.is_ok(), has_all, "{member} says {kinds:?} of {first} to {last}: {decided:?}");
        let Ok(write) = decided else { return false };
        let ticket = write.as_ref().map(|write| write.ticket.0);
        for offset in meant {
            let index = usize::try_from(offset - first).unwrap();
            let holder = open.holders.get_mut(&offset).unwrap();
            if *kinds.get(index).unwrap_or(&kinds[0]) == 4 {
                holder.until = now_ms + LOCK_MS;
            } else {
                holder.ticket = Some(ticket.unwrap());
            }
        }
        open.queue.extend(write);
        true
    }

    /// Locks end. Gives how many records are taken from their members.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        let Some(open) = &mut self.open else { return 0 };
        let write = open.partition.expire(now_ms);
        open.settle(write, |holder| holder.until <= now_ms)
    }

    /// A member's connection is gone.
    pub fn release(&mut self, member: &str) {
        let Some(open) = &mut self.open else { return };
        let write = open.partition.release(member);
        open.settle(write, |holder| holder.member == member);
    }

    /// What was written of a leader is stored, or was refused.
    pub fn written(&mut self, writes: &[StateWrite], is_stored: bool, now_ms: u64) {
        let Some(open) = &mut self.open else { return };
        for write in writes {
            open.partition.written(write.ticket, is_stored, now_ms);
            for batch in write.batches.iter().filter(|_| is_stored) {
                for offset in (batch.first..=batch.last).filter(|offset| *offset >= self.durable.start) {
                    let known = self.durable.fates.get(&offset);
                    assert_eq!(known, Some(&(batch.delivery, batch.count)), "{offset} was answered as stored");
                }
            }
            open.holders.retain(|_, holder| !is_stored || holder.ticket != Some(write.ticket.0));
            for holder in open.holders.values_mut().filter(|holder| holder.ticket == Some(write.ticket.0)) {
                (holder.ticket, holder.until) = (None, holder.until.max(now_ms + RETRY_MS));
            }
        }
        assert!(open.partition.start() >= open.start, "the start goes back from {}", open.start);
        open.start = open.partition.start();
    }

    /// Writes a letter for what is given up.
    pub fn bury(&mut self, write: &StateWrite) {
        for one in &write.buried {
            for offset in one.first..=one.last {
                assert!(!self.durable.is_over(offset), "{offset} is given up, and was done with");
                self.letters.insert(offset);
            }
        }
    }

    /// Every record is done with, or was given up with a letter.
    pub fn check_nothing_is_lost(&self) {
        for offset in (self.records.start..self.records.end).filter(|offset| self.records.has(*offset)) {
            match self.durable.fate(offset) {
                Some(Delivery::Acknowledged) => {}
                Some(Delivery::Archived) => {
                    assert!(self.letters.contains(&offset), "{offset} is gone without a letter")
                }
                other => panic!("{offset} of {} is {other:?} in the end", self.key),
            }
        }
    }
}

impl Open {
    fn settle(&mut self, write: Option<StateWrite>, is_meant: impl Fn(&Holder) -> bool) -> usize {
        let ticket = write.as_ref().map(|write| write.ticket.0);
        let meant = self.holders.values_mut().filter(|holder| holder.ticket.is_none() && is_meant(holder));
        let count = meant.map(|holder| holder.ticket = ticket).count();
        assert_eq!(count > 0, ticket.is_some(), "who has records loses them, and nobody else");
        self.queue.extend(write);
        count
    }

    /// All of `writes` as one.
    pub fn together(&self, writes: &[StateWrite]) -> Option<WriteState> {
        let last = writes.last()?;
        Some(WriteState {
            state_epoch: self.state_epoch,
            leader_epoch: self.epoch,
            start: last.start,
            complete: i32::try_from(last.complete).unwrap(),
            batches: writes.iter().flat_map(|write| write.batches.iter().copied()).collect(),
        })
    }
}
