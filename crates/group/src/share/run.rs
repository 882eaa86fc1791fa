//! Neighbouring offsets of a share partition that are in the same state. They cover what is in flight without a hole.

use super::batch::Delivery;
use millstream_types::Ticket;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Who has records, and until when, in elapsed milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) member: Arc<str>,
    pub(super) until: u64,
}

/// Where records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Available,
    Acquired(Lock),
    /// What became of them is being written; where that fails they are its member's again.
    Settling {
        ticket: Ticket,
        to: Delivery,
        count: i16,
        lock: Lock,
    },
    Acknowledged,
    Archived,
}

impl Phase {
    /// The phase of what is settled.
    pub(super) const fn settled(to: Delivery) -> Self {
        match to {
            Delivery::Available | Delivery::Acquired => Self::Available,
            Delivery::Acknowledged => Self::Acknowledged,
            Delivery::Archived => Self::Archived,
        }
    }

    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Acknowledged | Self::Archived)
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// The offset after its last.
    pub(super) end: i64,
    /// How often its records were delivered.
    pub(super) count: i16,
    pub(super) phase: Phase,
}

/// Runs by their first offset.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(BTreeMap<i64, Run>);

impl Runs {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Run)> {
        self.0.iter().map(|(first, run)| (*first, run))
    }

    /// The run that `offset` is in.
    pub(super) fn at(&self, offset: i64) -> Option<(i64, &Run)> {
        let (first, run) = self.0.range(..=offset).next_back()?;
        (offset < run.end).then_some((*first, run))
    }

    /// The first runs, and those after them, from the one that `offset` is in.
    pub(super) fn from(&self, offset: i64) -> impl Iterator<Item = (i64, &Run)> {
        let first = self.at(offset).map_or(offset, |(first, _)| first);
        self.0.range(first..).map(|(first, run)| (*first, run))
    }

    /// Takes the first run, if `is_done` with it.
    pub(super) fn pop_first_if(&mut self, is_done: impl FnOnce(i64, &Run) -> bool) -> Option<Run> {
        let entry = self.0.first_entry()?;
        if is_done(*entry.key(), entry.get()) { Some(entry.remove()) } else { None }
    }

    /// Adds a run behind all others.
    pub(super) fn push(&mut self, range: Range<i64>, count: i16, phase: Phase) {
        if range.start < range.end {
            self.0.insert(range.start, Run { end: range.end, count, phase });
            self.join_at(range.start);
        }
    }

    /// The runs of `range`, which begin and end with it, as far as there are runs. Whoever changes them calls [`Self::join`] then.
    pub(super) fn cut(&mut self, range: &Range<i64>) -> impl Iterator<Item = (i64, &mut Run)> + use<'_> {
        self.split_at(range.start);
        self.split_at(range.end);
        // An empty range has no runs; the map would panic at one that is backwards.
        let range = range.start..range.end.max(range.start);
        self.0.range_mut(range).map(|(first, run)| (*first, run))
    }

    /// Makes one of neighbours in `range`, and beside it, that are alike.
    pub(super) fn join(&mut self, range: &Range<i64>) {
        let inside = range.start..range.end.max(range.start).saturating_add(1);
        let firsts: Vec<i64> = self.0.range(inside).map(|(first, _)| *first).collect();
        firsts.into_iter().for_each(|first| self.join_at(first));
    }

    fn split_at(&mut self, offset: i64) {
        let Some((first, run)) = self.0.range_mut(..offset).next_back() else { return };
        if *first < offset && offset < run.end {
            let rest = run.clone();
            run.end = offset;
            self.0.insert(offset, rest);
        }
    }

    /// Makes the run that begins at `first` one with the run before it, where they are alike.
    fn join_at(&mut self, first: i64) {
        let Some(run) = self.0.get(&first) else { return };
        let (end, count, phase) = (run.end, run.count, &run.phase);
        let before = self.0.range(..first).next_back();
        let alike = before.filter(|(_, before)| before.end == first && before.count == count && before.phase == *phase);
        let Some(before) = alike.map(|(before, _)| *before) else { return };
        if let Some(run) = self.0.get_mut(&before) {
            run.end = end;
            self.0.remove(&first);
        }
    }
}
