//! Neighbouring records that are in the same state, as they are stored and sent.

/// What became of a record. Stored and sent: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// Somebody may have it.
    Available,
    /// Somebody has it. Never stored.
    Acquired,
    /// It was processed.
    Acknowledged,
    /// It is given up: rejected, delivered too often, or not there.
    Archived,
}

impl Delivery {
    /// The number that is stored.
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Available => 0,
            Self::Acquired => 1,
            Self::Acknowledged => 2,
            Self::Archived => 4,
        }
    }

    /// The state of that number; none where there is no such state.
    #[must_use]
    pub const fn of_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Available),
            1 => Some(Self::Acquired),
            2 => Some(Self::Acknowledged),
            4 => Some(Self::Archived),
            _ => None,
        }
    }

    /// Whether it is never delivered again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Archived)
    }
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBatch {
    /// Its first offset.
    pub first: i64,
    /// Its last offset, which is part of it.
    pub last: i64,
    /// What became of its records.
    pub delivery: Delivery,
    /// How often they were delivered.
    pub count: i16,
}

impl StateBatch {
    /// Whether it and `next` are one.
    fn continues_with(&self, next: &Self) -> bool {
        self.last + 1 == next.first && (self.delivery, self.count) == (next.delivery, next.count)
    }
}

/// Puts batches that continue each other together. They come in the order of their offsets.
pub(super) fn joined(batches: impl IntoIterator<Item = StateBatch>) -> Vec<StateBatch> {
    let mut joined: Vec<StateBatch> = Vec::new();
    for batch in batches {
        match joined.last_mut() {
            Some(before) if before.continues_with(&batch) => before.last = batch.last,
            _ => joined.push(batch),
        }
    }
    joined
}

/// `batches`, in order and without overlap, with `newer` laid over them; what is below `start` is left out.
pub(super) fn overlaid(batches: &[StateBatch], newer: &[StateBatch], start: i64) -> Vec<StateBatch> {
    let mut kept: Vec<StateBatch> = batches.to_vec();
    for new in newer {
        let cut = kept.into_iter().flat_map(|old| {
            let before = StateBatch { last: old.last.min(new.first - 1), ..old };
            let after = StateBatch { first: old.first.max(new.last + 1), ..old };
            [before, after].into_iter().filter(|part| part.first <= part.last)
        });
        kept = cut.collect();
        let at = kept.partition_point(|old| old.first < new.first);
        kept.insert(at, *new);
    }
    let above = kept.into_iter().filter(|batch| batch.last >= start);
    joined(above.map(|batch| StateBatch { first: batch.first.max(start), ..batch }))
}
