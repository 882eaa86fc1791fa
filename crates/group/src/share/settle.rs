//! What becomes of records that a member has: what it says of them, or what becomes of them without it. It counts once it is written.

use super::acknowledgement::{Acknowledgement, Kind};
use super::batch::{Delivery, StateBatch, joined};
use super::partition::{Limits, SharePartition};
use super::run::{Lock, Phase};
use crate::Error;
use millstream_types::Ticket;
use std::ops::Range;
use std::sync::Arc;

/// How long what could not be written is left to its member before it is tried again.
const RETRY_MS: u64 = 1_000;

/// Why a record is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its member said that nobody can process it.
    Rejected,
    /// It was delivered as often as it may be.
    DeliveredTooOften,
}

/// Records that are given up, and go to a topic for such before they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buried {
    /// The first.
    pub first: i64,
    /// The last, which is part of it.
    pub last: i64,
    /// How often they were delivered.
    pub count: i16,
    /// Why.
    pub cause: Cause,
}

/// What is to be written: first what is buried, then the state. Its outcome is told to [`SharePartition::written`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateWrite {
    /// Its name.
    pub ticket: Ticket,
    /// The first offset that is not settled.
    pub start: i64,
    /// How many offsets from there on are settled then.
    pub complete: i64,
    /// What changes, in order.
    pub batches: Vec<StateBatch>,
    /// What goes to the topic for what is given up; empty where there is none.
    pub buried: Vec<Buried>,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Rejected,
    Missing,
    /// It is delivered again, if it may be.
    Returned,
}

impl Verdict {
    /// The state after it, the delivery count, and why the record is given up where it is.
    fn of(self, count: i16, limits: &Limits) -> (Delivery, i16, Option<Cause>) {
        match self {
            Self::Accepted => (Delivery::Acknowledged, count, None),
            Self::Rejected => (Delivery::Archived, count, Some(Cause::Rejected)),
            Self::Missing => (Delivery::Archived, count, None),
            Self::Returned if count >= limits.deliveries_max => {
                (Delivery::Archived, count, Some(Cause::DeliveredTooOften))
            }
            Self::Returned => (Delivery::Available, count, None),
        }
    }
}

/// A decision while it is made.
struct Settling {
    ticket: Ticket,
    ranges: Vec<Range<i64>>,
    buried: Vec<Buried>,
    renewed: Vec<Range<i64>>,
}

impl SharePartition {
    /// What `member` says of records. All of it is taken over or nothing. Nothing is to be written where locks are renewed only.
    ///
    /// # Errors
    /// `InvalidAcknowledgement` for offsets that nobody was given, `InvalidRecordState` for records that the member has not, or not any more.
    pub fn acknowledge(
        &mut self,
        member: &str,
        said: &[Acknowledgement],
        now_ms: u64,
    ) -> Result<Option<StateWrite>, Error> {
        let mut settling = self.begin();
        for one in said {
            if let Err(refused) = self.take_word(member, one, &mut settling) {
                self.conclude(settling.ticket, &settling.ranges, false, now_ms);
                return Err(refused);
            }
        }
        for range in &settling.renewed {
            self.renew(range, now_ms);
        }
        Ok(self.write(settling))
    }

    /// The session of `member` is over: what it has is given to others. It was delivered all the same, as in Kafka, so that a record on which
    /// members die is given up some day.
    pub fn release(&mut self, member: &str) -> Option<StateWrite> {
        self.give_up(|lock| &*lock.member == member)
    }

    /// Takes records from members that had them for as long as they may.
    pub fn expire(&mut self, now_ms: u64) -> Option<StateWrite> {
        if now_ms < self.lock_ends {
            return None;
        }
        let write = self.give_up(|lock| lock.until <= now_ms);
        let locks = self.runs.iter().filter_map(|(_, run)| match &run.phase {
            Phase::Acquired(lock) => Some(lock.until),
            _ => None,
        });
        self.lock_ends = locks.min().unwrap_or(u64::MAX);
        write
    }

    /// What became of a write. Tells whether there may be something to acquire that was not before.
    pub fn written(&mut self, ticket: Ticket, is_stored: bool, now_ms: u64) -> bool {
        let Some(ranges) = self.pending.remove(&ticket) else { return false };
        let start_before = self.start;
        let is_available = self.conclude(ticket, &ranges, is_stored, now_ms.saturating_add(RETRY_MS));
        is_available || self.start > start_before
    }

    fn begin(&mut self) -> Settling {
        self.tickets += 1;
        Settling { ticket: Ticket(self.tickets), ranges: Vec::new(), buried: Vec::new(), renewed: Vec::new() }
    }

    fn give_up(&mut self, is_meant: impl Fn(&Lock) -> bool) -> Option<StateWrite> {
        let meant = self.runs.iter().filter(|(_, run)| matches!(&run.phase, Phase::Acquired(lock) if is_meant(lock)));
        let meant: Vec<Range<i64>> = meant.map(|(first, run)| first..run.end).collect();
        let mut settling = self.begin();
        for range in meant {
            self.settle(range, Verdict::Returned, &mut settling);
        }
        self.write(settling)
    }

    /// Takes over what is said of neighbouring records. What is below the start is settled, whatever is said.
    fn take_word(&mut self, member: &str, said: &Acknowledgement, settling: &mut Settling) -> Result<(), Error> {
        if said.last < self.start {
            return Ok(());
        }
        self.check_known(said)?;
        let mut at = said.first.max(self.start);
        while at <= said.last {
            let run_end = self.check_holder(member, at)?;
            let part = at..run_end.min(said.kind_until(at)).min(said.last + 1);
            at = part.end;
            let verdict = match said.kind_at(part.start) {
                Kind::Renew => {
                    settling.renewed.push(part);
                    continue;
                }
                Kind::Gap => Verdict::Missing,
                Kind::Accept => Verdict::Accepted,
                Kind::Release => Verdict::Returned,
                Kind::Reject => Verdict::Rejected,
            };
            self.settle(part, verdict, settling);
        }
        Ok(())
    }

    fn check_known(&self, said: &Acknowledgement) -> Result<(), Error> {
        let (first, last) = (said.first, said.last);
        if self.runs.is_empty() {
            return Err(state(format!("records {first} to {last} are not in flight")));
        }
        if last >= self.end {
            let last_given = self.end - 1;
            return Err(Error::InvalidAcknowledgement {
                why: format!("records {first} to {last} are acknowledged, and none after {last_given} was delivered"),
            });
        }
        Ok(())
    }

    /// That `member` has the record at `offset`. Gives the end of the run that it is in.
    fn check_holder(&self, member: &str, offset: i64) -> Result<i64, Error> {
        let (_, run) = self.runs.at(offset).ok_or_else(|| state(format!("record {offset} is not in flight")))?;
        match &run.phase {
            Phase::Acquired(lock) if *lock.member == *member => Ok(run.end),
            Phase::Acquired(lock) => {
                Err(state(format!("record {offset} is not member {member:?}'s: {:?} has it", lock.member)))
            }
            Phase::Settling { .. } => Err(state(format!("what became of record {offset} is being written"))),
            Phase::Available | Phase::Acknowledged | Phase::Archived => {
                Err(state(format!("member {member:?} does not have record {offset} any more")))
            }
        }
    }

    fn renew(&mut self, range: &Range<i64>, now_ms: u64) {
        let until = now_ms.saturating_add(self.limits.lock_ms);
        for (_, run) in self.runs.cut(range) {
            if let Phase::Acquired(lock) = &mut run.phase {
                lock.until = until;
            }
        }
        self.runs.join(range);
        self.lock_ends = self.lock_ends.min(until);
    }

    fn settle(&mut self, range: Range<i64>, verdict: Verdict, settling: &mut Settling) {
        let limits = self.limits;
        for (first, run) in self.runs.cut(&range) {
            let Phase::Acquired(lock) = &run.phase else { continue };
            let (to, count, cause) = verdict.of(run.count, &limits);
            if let Some(cause) = cause.filter(|_| limits.buries) {
                settling.buried.push(Buried { first, last: run.end - 1, count: run.count, cause });
            }
            run.phase = Phase::Settling { ticket: settling.ticket, to, count, lock: lock.clone() };
        }
        self.runs.join(&range);
        settling.ranges.push(range);
    }

    fn write(&mut self, settling: Settling) -> Option<StateWrite> {
        let Settling { ticket, mut ranges, buried, .. } = settling;
        if ranges.is_empty() {
            return None;
        }
        ranges.sort_unstable_by_key(|range| range.start);
        let parts = ranges.iter().flat_map(|range| {
            self.runs.from(range.start).take_while(|(first, _)| *first < range.end).filter_map(|(first, run)| {
                let Phase::Settling { to, count, .. } = run.phase else { return None };
                let (first, last) = (first.max(range.start), run.end.min(range.end) - 1);
                Some(StateBatch { first, last, delivery: to, count })
            })
        });
        let batches = joined(parts);
        let (start, complete) = (self.start, self.complete());
        self.pending.insert(ticket, ranges);
        Some(StateWrite { ticket, start, complete, batches, buried })
    }

    /// Ends what is being settled. What is not stored is its member's again, until `left_until` at least. Tells whether anything is available.
    fn conclude(&mut self, ticket: Ticket, ranges: &[Range<i64>], is_stored: bool, left_until: u64) -> bool {
        let mut is_available = false;
        for range in ranges {
            for (first, run) in self.runs.cut(range) {
                let Phase::Settling { ticket: of, to, count, lock } = &run.phase else { continue };
                if *of != ticket {
                    continue;
                }
                let (to, count) = (*to, *count);
                if is_stored {
                    if !to.is_final() {
                        is_available = true;
                        self.search_from = self.search_from.min(first);
                    }
                    (run.count, run.phase) = (count, Phase::settled(to));
                } else {
                    let until = lock.until.max(left_until);
                    self.lock_ends = self.lock_ends.min(until);
                    run.phase = Phase::Acquired(Lock { member: Arc::clone(&lock.member), until });
                }
            }
            self.runs.join(range);
        }
        self.go_on();
        is_available
    }
}

const fn state(why: String) -> Error {
    Error::InvalidRecordState { why }
}
