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
    /// Where to stop in `range`, which was never given out: batches are not cut.
    fn stop(&self, range: &Range<i64>) -> i64 {
        if self.left >= range.end - range.start {
            return range.end;
        }
        self.read.batch_end(range.start + self.left - 1).min(range.end)
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
        let goes_on = self.give_again(&(from..limit.min(self.end)), &mut giving);
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

    /// Gives what is available again, and what was passed over before. Tells whether more may be given with it.
    fn give_again(&mut self, range: &Range<i64>, giving: &mut Giving<'_>) -> bool {
        let mut at = range.start;
        for together in self.together.touching(range) {
            let goes_on = self.give_passed_over(at..together.start, giving);
            if !goes_on || giving.left <= 0 || !self.give_back(&together, range, giving) {
                return false;
            }
            at = together.end;
        }
        self.give_passed_over(at..range.end, giving)
    }

    /// Gives what was stored to be between records that were given out, and was not itself.
    fn give_passed_over(&mut self, range: Range<i64>, giving: &mut Giving<'_>) -> bool {
        for (part, _) in self.available(&range) {
            if giving.left <= 0 {
                return false;
            }
            self.give_first(part, giving);
        }
        true
    }

    /// Gives what came back of records that were `together`. Where they come back often, fewer of them are given, and nothing with them.
    fn give_back(&mut self, together: &Range<i64>, range: &Range<i64>, giving: &mut Giving<'_>) -> bool {
        let available = self.available(&(together.start.max(range.start)..together.end.min(range.end)));
        let is_cautious = available.iter().any(|(_, count)| *count >= self.limits.cautious_from());
        if is_cautious && !giving.given.is_empty() {
            return false;
        }
        let limit = if giving.wish.keeps_limit { giving.left } else { i64::MAX };
        let mut few = None;
        let mut taken = 0;
        for (part, count) in available {
            let is_last_time = self.is_last_time(count);
            if taken >= limit || (is_last_time && taken > 0) {
                break;
            }
            if count >= self.limits.cautious_from() {
                few = few.or_else(|| Some(self.few_of(together, count)));
            }
            // As many as are few may have been taken before it was known that they are.
            let most = few.filter(|few| taken < *few).map_or(limit, |few| limit.min(few)) - taken;
            let end = part.end.min(part.start.saturating_add(if is_last_time { 1 } else { most }));
            self.lock(&(part.start..end), count.saturating_add(1), &giving.lock);
            giving.give(&(part.start..end), count.saturating_add(1));
            taken += end - part.start;
            if is_last_time || few == Some(taken) {
                break;
            }
        }
        !(is_cautious && taken > 0)
    }

    /// What is available in `range`, and how often it was delivered.
    fn available(&self, range: &Range<i64>) -> Vec<(Range<i64>, i16)> {
        if range.start >= range.end {
            return Vec::new();
        }
        let runs = self.runs.from(range.start).take_while(|(first, _)| *first < range.end);
        let available = runs.filter(|(_, run)| run.phase == Phase::Available && run.end > range.start);
        available.map(|(first, run)| (first.max(range.start)..run.end.min(range.end), run.count)).collect()
    }

    /// Whether a record that was delivered so often is delivered once more, and alone.
    const fn is_last_time(&self, count: i16) -> bool {
        self.limits.deliveries_max > 2 && count >= self.limits.deliveries_max - 1
    }

    /// Of records that were delivered often already, half as many are delivered with every time.
    fn few_of(&self, together: &Range<i64>, count: i16) -> i64 {
        let halvings = u32::try_from(count - self.limits.cautious_from() + 1).unwrap_or(0);
        (together.end - together.start).checked_shr(halvings).unwrap_or(0).max(1)
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
        self.runs.push(range.clone(), 0, Phase::Available);
        self.end = range.end;
        self.give_first(range, giving);
    }

    /// Gives what is available and was never given out, up to the end of the last batch of which any is given. Where the limit is to be kept,
    /// what is above it stays with the others, and is there for who comes next.
    fn give_first(&mut self, range: Range<i64>, giving: &mut Giving<'_>) {
        let range = range.start..giving.stop(&range);
        if giving.wish.keeps_limit {
            let given = range.start..range.end.min(range.start.saturating_add(giving.left));
            self.together.add(&range);
            self.search_from = self.search_from.min(range.start);
            self.lock(&given, 1, &giving.lock);
            return giving.give(&given, 1);
        }
        self.lock(&range, 1, &giving.lock);
        let mut first = range.start;
        let batches = giving.read.batches;
        for batch in batches.iter().take_while(|batch| batch.start < range.end) {
            if batch.start - first >= giving.wish.batch_records.max(1) {
                self.together.add(&(first..batch.start));
                giving.give(&(first..batch.start), 1);
                first = batch.start;
            }
        }
        self.together.add(&(first..range.end));
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
