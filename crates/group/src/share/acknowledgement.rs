//! What a member says of records that it has: checked once, as Kafka checks it.

use crate::Error;

/// What is said of a record. Sent: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no record at this offset.
    Gap,
    /// It was processed.
    Accept,
    /// It is to be delivered again.
    Release,
    /// It can't be processed, by nobody.
    Reject,
    /// It is still being processed: its lock begins anew (KIP-1222).
    Renew,
}

impl Kind {
    /// What the number says.
    #[must_use]
    pub const fn of_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Gap),
            1 => Some(Self::Accept),
            2 => Some(Self::Release),
            3 => Some(Self::Reject),
            4 => Some(Self::Renew),
            _ => None,
        }
    }
}

/// What is said of neighbouring records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The first offset.
    pub(super) first: i64,
    /// The last, which is part of it.
    pub(super) last: i64,
    /// One for all, or one for each.
    kinds: Vec<Kind>,
}

impl Acknowledgement {
    /// Checks what a request says of one partition: `(first, last, kinds)` in the order of their offsets.
    ///
    /// # Errors
    /// `InvalidAcknowledgement` where offsets are out of order, kinds are missing or not known, or `Renew` is among them and not allowed.
    pub fn parse(batches: &[(i64, i64, Vec<i8>)], renews: bool) -> Result<Vec<Self>, Error> {
        let mut before = -1;
        let mut parsed = Vec::with_capacity(batches.len());
        for (first, last, ids) in batches {
            if first > last {
                return Err(invalid(format!("records {first} to {last} are acknowledged: that is backwards")));
            }
            if *first <= before {
                return Err(invalid(format!("record {first} is acknowledged after record {before}")));
            }
            let records = last.checked_sub(*first).and_then(|span| usize::try_from(span).ok()?.checked_add(1));
            if ids.is_empty() || (ids.len() > 1 && Some(ids.len()) != records) {
                let count = ids.len();
                return Err(invalid(format!(
                    "{count} kinds are given for records {first} to {last}: one, or one each"
                )));
            }
            let kinds = ids.iter().map(|id| Kind::of_id(*id).filter(|kind| renews || *kind != Kind::Renew).ok_or(*id));
            let kinds = kinds.collect::<Result<Vec<Kind>, i8>>();
            let kinds = kinds.map_err(|id| invalid(format!("{id} is no kind of acknowledgement here")))?;
            before = *last;
            parsed.push(Self { first: *first, last: *last, kinds });
        }
        Ok(parsed)
    }

    /// What is said of the record at `offset`, which is one of it.
    pub(super) fn kind_at(&self, offset: i64) -> Kind {
        let index = usize::try_from(offset - self.first).unwrap_or(0);
        self.kinds.get(index).or_else(|| self.kinds.first()).copied().unwrap_or(Kind::Gap)
    }

    /// The offset after `offset` from which something else is said.
    pub(super) fn kind_until(&self, offset: i64) -> i64 {
        if self.kinds.len() <= 1 {
            return self.last + 1;
        }
        let kind = self.kind_at(offset);
        (offset + 1..=self.last).find(|next| self.kind_at(*next) != kind).unwrap_or(self.last + 1)
    }
}

const fn invalid(why: String) -> Error {
    Error::InvalidAcknowledgement { why }
}
