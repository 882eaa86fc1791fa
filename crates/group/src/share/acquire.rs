//! Who asks for records is given what is available of what was read, each for a time of its own.

use super::partition::SharePartition;
use super::run::{Lock, Phase};
use std::ops::Range;
use std::sync::Arc;

/// What a member asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The member.
    pub member: Arc<str>,
    /// How many records at most. Batches are not cut for it, unless the limit is to be kept.
    pub records_max: i64,
    /// Whether the limit is to be kept (KIP-1206: record-limit mode).
    pub keeps_limit: bool,
    /// Records that are acknowledged together best.
    pub batch_records: i64,
}

/// What was read for it.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// The offset that was read at.
    pub from: i64,
    /// The record batches that were there, in order, by their offsets.
    pub batches: &'a [Range<i64>],
    /// The offsets of those among them whose transactions were aborted, in order; empty where these are delivered too.
    pub aborted: &'a [Range<i64>],
}

impl Read<'_> {
    /// The end of the batch that `offset` is in, or comes before.
    fn batch_end(&self, offset: i64) -> i64 {
        self.batches.iter().map(|batch| batch.end).find(|end| offset < *end).unwrap_or(offset + 1)
    }
}

/// Records that a member has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    /// The first.
    pub first: i64,
    /// The last, which is part of it.
    pub last: i64,
    /// How often they were delivered, with this time.
    pub count: i16,
}

/// A member that is being given records.
struct Giving<'a> {
    wish: &'a Wish,
    read: &'a Read<'a>,
    lock: Lock,
    /// Records that may still be given.
    left: i64,
    given: Vec<Acquired>,
}

impl Giving<'_> {
    /// Where to stop in `range`, of which all may be given.
    fn stop(&self, range: &Range<i64>) -> i64 {
        if self.left >= range.end - range.start {
            return range.end;
        }
        let stop = range.start + self.left;
        if self.wish.keeps_limit { stop } else { self.read.batch_end(stop - 1).min(range.end) }
    }

    fn give(&mut self, range: &Range<i64>, count: i16) {
        self.left -= range.end - range.start;
        self.given.push(Acquired { first: range.start, last: range.end - 1, count });
    }
}

impl SharePartition {
    /// Gives the member of `wish` what is available of `read`.
    pub fn acquire(&mut self, wish: &Wish, read: &Read<'_>, now_ms: u64) -> Vec<Acquired> {
        let (Some(first), Some(last)) = (read.batches.first(), read.batches.last()) else { return Vec::new() };
        self.archive_missing(read.from..first.start);
        let Some((left, limit)) = self.bounds(wish, read.from, last.end) else { return Vec::new() };
        let lock = Lock { member: wish.member.clone(), until: now_ms.saturating_add(self.limits.lock_ms) };
        let mut giving = Giving { wish, read, lock, left, given: Vec::new() };
        let from = first.start.max(self.start);
        let goes_on = self.give_again(from..limit.min(self.end), &mut giving);
        if goes_on && giving.left > 0 && limit > self.end {
            self.give_new(from.max(self.end)..limit, &mut giving);
        }
        let Giving { lock, mut given, .. } = giving;
        if !given.is_empty() {
            self.lock_ends = self.lock_ends.min(lock.until);
        }
        for aborted in read.aborted {
            given = self.take_back(given, aborted);
        }
        self.go_on();
        given
    }

    /// How many records may be given, and up to which offset. Where too much is in flight, only what is.
    fn bounds(&self, wish: &Wish, from: i64, read_end: i64) -> Option<(i64, i64)> {
        let room = self.limits.in_flight_max - (self.end - self.start);
        let (left, limit) = if room > 0 {
            (wish.records_max.min(room), read_end)
        } else {
            (wish.records_max.min(self.end - from), read_end.min(self.end))
        };
        (left > 0).then_some((left, limit))
    }

    /// What was available in `range` and is not in the log any more (it was compacted away) is given up.
    fn archive_missing(&mut self, range: Range<i64>) {
        for (_, run) in self.runs.cut(&range) {
            if run.phase == Phase::Available {
                run.phase = Phase::Archived;
            }
        }
        self.runs.join(&range);
        self.go_on();
    }

    /// Gives what is available again. Tells whether more may be given with it.
    fn give_again(&mut self, range: Range<i64>, giving: &mut Giving<'_>) -> bool {
        let available = self.runs.from(range.start).take_while(|(first, _)| *first < range.end);
        let available =
            available.filter(|(first, run)| run.phase == Phase::Available && run.end > range.start.max(*first));
        let available: Vec<(Range<i64>, i16)> =
            available.map(|(first, run)| (first.max(range.start)..run.end.min(range.end), run.count)).collect();
        for (part, count) in available {
            if giving.left <= 0 {
                return false;
            }
            let cautious = count - self.limits.cautious_from();
            if cautious >= 0 && !giving.given.is_empty() {
                return false;
            }
            let stop = if cautious >= 0 { part.start + self.few_of(&part, count) } else { giving.stop(&part) };
            let part = part.start..stop.min(giving.stop(&part));
            self.lock(&part, count.saturating_add(1), &giving.lock);
            giving.give(&part, count.saturating_add(1));
            if cautious >= 0 {
                return false;
            }
        }
        true
    }

    /// Of records that were delivered often already, half as many are delivered with every time; those for the last time alone.
    fn few_of(&self, range: &Range<i64>, count: i16) -> i64 {
        let is_last_time = self.limits.deliveries_max > 2 && count >= self.limits.deliveries_max - 1;
        let halvings = u32::try_from(count - self.limits.cautious_from() + 1).unwrap_or(0);
        let half = (range.end - range.start).checked_shr(halvings).unwrap_or(0);
        if is_last_time { 1 } else { half.max(1) }
    }

    fn lock(&mut self, range: &Range<i64>, count: i16, lock: &Lock) {
        for (_, run) in self.runs.cut(range) {
            (run.count, run.phase) = (count, Phase::Acquired(lock.clone()));
        }
        self.runs.join(range);
    }

    /// Gives what was not read before. What the log has not between it and what was is settled.
    fn give_new(&mut self, range: Range<i64>, giving: &mut Giving<'_>) {
        if self.runs.is_empty() {
            self.start = range.start;
        } else {
            self.runs.push(self.end..range.start, 0, Phase::Archived);
        }
        let range = range.start..giving.stop(&range);
        self.runs.push(range.clone(), 1, Phase::Acquired(giving.lock.clone()));
        self.end = range.end;
        let mut first = range.start;
        if !giving.wish.keeps_limit {
            for batch in giving.read.batches.iter().take_while(|batch| batch.start < range.end) {
                if batch.start - first >= giving.wish.batch_records.max(1) {
                    giving.give(&(first..batch.start), 1);
                    first = batch.start;
                }
            }
        }
        giving.give(&(first..range.end), 1);
    }

    /// Takes what was given of `aborted` back: it is not to be delivered.
    fn take_back(&mut self, given: Vec<Acquired>, aborted: &Range<i64>) -> Vec<Acquired> {
        let mut kept = Vec::with_capacity(given.len());
        for one in given {
            let taken = one.first.max(aborted.start)..(one.last + 1).min(aborted.end);
            if taken.start >= taken.end {
                kept.push(one);
                continue;
            }
            self.runs.cut(&taken).for_each(|(_, run)| run.phase = Phase::Archived);
            self.runs.join(&taken);
            let sides = [Acquired { last: taken.start - 1, ..one }, Acquired { first: taken.end, ..one }];
            kept.extend(sides.into_iter().filter(|side| side.first <= side.last));
        }
        kept
    }
}
