//! One partition's batches in memory, with transactions as Kafka has them: an end takes an offset, and nobody reads past what is open.

use super::batch::{self, encode};
use crate::Bounds;
use bytes::Bytes;
use millstream_record::Columns;
use millstream_types::{LeaderEpoch, Offset};

/// What a batch is to a reader of committed records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Of no transaction.
    Plain,
    /// Of a transaction that is open.
    Open(u64),
    Committed,
    Aborted,
    /// The end of a transaction.
    Marker,
}

struct Batch {
    /// The records with the offsets they got; of a marker one that nobody sees.
    records: Columns,
    fate: Fate,
}

impl Batch {
    fn last(&self) -> i64 {
        self.records.offsets.last().copied().unwrap_or(-1)
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Log {
    pub(super) start: i64,
    end: i64,
    batches: Vec<Batch>,
}

impl Log {
    pub(super) fn bounds(&self) -> Bounds {
        let (log_start, high_watermark) = (Offset(self.start), Offset(self.stable()));
        Bounds { log_start, high_watermark, leader_epoch: LeaderEpoch::FIRST }
    }

    /// The last stable offset.
    pub(super) fn stable(&self) -> i64 {
        let open = self.batches.iter().find(|batch| matches!(batch.fate, Fate::Open(_)));
        open.and_then(|batch| batch.records.offsets.first().copied()).unwrap_or(self.end)
    }

    /// Open transactions that have records here.
    pub(super) fn open(&self) -> usize {
        let mut open: Vec<u64> = self
            .batches
            .iter()
            .filter_map(|batch| if let Fate::Open(transaction) = batch.fate { Some(transaction) } else { None })
            .collect();
        open.sort_unstable();
        open.dedup();
        open.len()
    }

    /// What a reader of committed records may see.
    pub(super) fn committed(&self) -> impl Iterator<Item = &Columns> {
        let seen = self.batches.iter().filter(|batch| matches!(batch.fate, Fate::Plain | Fate::Committed));
        seen.map(|batch| &batch.records)
    }

    pub(super) fn delete_before(&mut self, offset: i64) {
        self.start = self.start.max(offset.min(self.end));
        let start = self.start;
        self.batches.retain(|batch| batch.last() >= start);
    }

    pub(super) fn append(&mut self, records: &Columns, fate: Fate) -> Offset {
        let base = self.end;
        let mut records = records.clone();
        records.offsets = (base..).take(records.len()).collect();
        self.end = base + i64::try_from(records.len()).unwrap_or(i64::MAX);
        if !records.is_empty() {
            self.batches.push(Batch { records, fate });
        }
        Offset(base)
    }

    /// Ends a transaction that has records here.
    pub(super) fn end(&mut self, transaction: u64, commits: bool) {
        let mut was_open = false;
        for batch in self.batches.iter_mut().filter(|batch| batch.fate == Fate::Open(transaction)) {
            batch.fate = if commits { Fate::Committed } else { Fate::Aborted };
            was_open = true;
        }
        if was_open {
            let mut marker = Columns::default();
            marker.push(0, None, None, []);
            self.append(&marker, Fate::Marker);
        }
    }

    pub(super) fn read(&self, from: i64, bytes_max: usize) -> Vec<Bytes> {
        let (first, stable) = (self.batches.partition_point(|batch| batch.last() < from), self.stable());
        let (mut read, mut bytes) = (Vec::new(), 0);
        for batch in self.batches[first..].iter().take_while(|batch| batch.last() < stable) {
            let whole = match batch.fate {
                Fate::Plain => encode(&batch.records),
                Fate::Committed | Fate::Open(_) => batch::transactional(&batch.records),
                Fate::Aborted => batch::emptied(&batch.records),
                Fate::Marker => batch::marker(&batch.records),
            };
            if !read.is_empty() && bytes + whole.len() > bytes_max {
                break;
            }
            bytes += whole.len();
            read.push(whole);
        }
        read
    }
}
