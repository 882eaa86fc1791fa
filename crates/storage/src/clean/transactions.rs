//! Transactions as a compaction passes them: which data was aborted, and which markers have none of their data left.

use crate::txn_index::AbortedTxn;
use millstream_types::{Offset, ProducerId};
use std::collections::{BTreeMap, BTreeSet};

/// What a marker says of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkerKind {
    Abort,
    Commit,
    /// A control record of another sort.
    Other,
    /// The control batch has no record any more.
    Empty,
}

/// What is to be done with a control batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkerFate {
    /// Its transaction has no data left: it may go once its delete horizon has passed.
    pub is_spent: bool,
    /// The entry of the index of aborted transactions that stays.
    pub aborted: Option<AbortedTxn>,
}

struct Ongoing {
    txn: AbortedTxn,
    has_data: bool,
}

/// Passed from the log's start on, batch by batch. Nothing that it sees is undecided: it stays below the last stable offset.
#[derive(Default)]
pub(crate) struct Transactions {
    /// Producers that have data since their last marker.
    committed: BTreeSet<ProducerId>,
    aborted: BTreeMap<ProducerId, Ongoing>,
    /// By their first offsets.
    upcoming: BTreeMap<(Offset, ProducerId), AbortedTxn>,
}

impl Transactions {
    /// Aborted transactions that have data or their marker in what is passed next. One may be told of again.
    pub fn expect(&mut self, aborted: impl IntoIterator<Item = AbortedTxn>) {
        self.upcoming.extend(aborted.into_iter().map(|txn| ((txn.first_offset, txn.producer), txn)));
    }

    /// Passes a batch of records that ends with offset `last`. Returns whether it was aborted.
    pub fn pass_data(&mut self, producer: ProducerId, is_transactional: bool, last: Offset) -> bool {
        self.begin_to(last);
        if !is_transactional {
            return false;
        }
        match self.aborted.get_mut(&producer) {
            Some(ongoing) => {
                ongoing.has_data = true;
                true
            }
            None => {
                self.committed.insert(producer);
                false
            }
        }
    }

    /// Passes a control batch that ends with offset `last`.
    pub fn pass_marker(&mut self, producer: ProducerId, kind: MarkerKind, last: Offset) -> MarkerFate {
        self.begin_to(last);
        match kind {
            MarkerKind::Abort => {
                let aborted =
                    self.aborted.remove(&producer).filter(|ongoing| ongoing.has_data).map(|ongoing| ongoing.txn);
                MarkerFate { is_spent: aborted.is_none(), aborted }
            }
            MarkerKind::Commit => MarkerFate { is_spent: !self.committed.remove(&producer), aborted: None },
            MarkerKind::Empty => MarkerFate { is_spent: true, aborted: None },
            MarkerKind::Other => MarkerFate { is_spent: false, aborted: None },
        }
    }

    fn begin_to(&mut self, offset: Offset) {
        while let Some(entry) = self.upcoming.first_entry()
            && entry.key().0 <= offset
        {
            let txn = entry.remove();
            self.aborted.entry(txn.producer).or_insert(Ongoing { txn, has_data: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ProducerId = ProducerId(1);
    const B: ProducerId = ProducerId(2);

    fn txn(producer: ProducerId, first: i64, last: i64) -> AbortedTxn {
        AbortedTxn { producer, first_offset: Offset(first), last_offset: Offset(last), last_stable: Offset(last + 1) }
    }

    const SPENT: MarkerFate = MarkerFate { is_spent: true, aborted: None };
    const STAYS: MarkerFate = MarkerFate { is_spent: false, aborted: None };

    #[test]
    fn data_is_aborted_from_its_transactions_first_offset_to_its_marker() {
        let mut passed = Transactions::default();
        passed.expect([txn(A, 10, 30), txn(A, 10, 30)]);
        assert!(!passed.pass_data(A, true, Offset(9)), "an earlier one of its own");
        assert_eq!(passed.pass_marker(A, MarkerKind::Commit, Offset(9)), STAYS);
        assert!(passed.pass_data(A, true, Offset(12)));
        assert!(!passed.pass_data(B, true, Offset(14)), "another's");
        assert!(!passed.pass_data(A, false, Offset(15)), "not of a transaction");
        let fate = passed.pass_marker(A, MarkerKind::Abort, Offset(30));
        assert_eq!(fate, MarkerFate { is_spent: false, aborted: Some(txn(A, 10, 30)) });
        assert!(!passed.pass_data(A, true, Offset(31)));
    }

    #[test]
    fn a_marker_is_spent_when_none_of_its_data_is_met() {
        let mut passed = Transactions::default();
        passed.expect([txn(A, 10, 30)]);
        assert_eq!(passed.pass_marker(A, MarkerKind::Abort, Offset(30)), SPENT);
        assert_eq!(passed.pass_marker(B, MarkerKind::Commit, Offset(31)), SPENT);
        passed.pass_data(B, true, Offset(32));
        assert_eq!(passed.pass_marker(B, MarkerKind::Commit, Offset(33)), STAYS);
        assert_eq!(passed.pass_marker(B, MarkerKind::Commit, Offset(34)), SPENT);
        assert_eq!(passed.pass_marker(A, MarkerKind::Empty, Offset(35)), SPENT);
        assert_eq!(passed.pass_marker(A, MarkerKind::Other, Offset(36)), STAYS);
    }

    #[test]
    fn one_that_is_told_of_again_after_its_first_data_is_the_same() {
        let mut passed = Transactions::default();
        passed.expect([txn(A, 10, 130)]);
        assert!(passed.pass_data(A, true, Offset(12)));
        passed.expect([txn(A, 10, 130), txn(A, 150, 160)]);
        assert!(passed.pass_data(A, true, Offset(120)));
        assert_eq!(passed.pass_marker(A, MarkerKind::Abort, Offset(130)).aborted, Some(txn(A, 10, 130)));
        assert!(!passed.pass_data(A, true, Offset(140)));
        assert!(passed.pass_data(A, true, Offset(155)));
    }
}
