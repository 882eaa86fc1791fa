//! What was written, and what of it must, may and must not be in the log.

use millstream_storage::LastRecord;
use millstream_types::{Offset, ProducerEpoch, ProducerId};
use std::collections::{BTreeMap, BTreeSet};

/// What became of a record's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Open,
    Committed,
    Aborted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub time: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub producer: i64,
    pub fate: Fate,
    /// That it is gone was seen: it must not come back.
    pub is_gone: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Marker {
    pub producer: i64,
    pub is_gone: bool,
}

/// A record as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub time: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// All that a pass over the log found.
#[derive(Debug, Default)]
pub struct Sight {
    pub records: BTreeMap<i64, Seen>,
    /// Those that a reader of committed records gives out.
    pub committed: BTreeSet<i64>,
    pub markers: BTreeSet<i64>,
    /// The last offsets of batches, empty ones included, by producer.
    pub batch_ends: BTreeSet<(i64, i64)>,
}

#[derive(Default)]
pub struct Model {
    pub records: BTreeMap<i64, Written>,
    pub markers: BTreeMap<i64, Marker>,
    /// Open transactions: producer to first offset.
    pub open: BTreeMap<i64, i64>,
    pub aborted: Vec<(i64, i64, i64)>,
    /// The last record of each producer.
    pub last: BTreeMap<i64, i64>,
    pub end: i64,
}

impl Model {
    pub fn last_stable(&self) -> i64 {
        self.open.values().min().copied().unwrap_or(self.end)
    }

    pub fn last_records(&self) -> BTreeMap<ProducerId, LastRecord> {
        let last = |(producer, offset): (&i64, &i64)| {
            (ProducerId(*producer), LastRecord { offset: Some(Offset(*offset)), epoch: ProducerEpoch(0) })
        };
        self.last.iter().filter(|(producer, _)| **producer >= 0).map(last).collect()
    }

    /// A power cut took what was from `end` on.
    pub fn cut(&mut self, end: i64) {
        self.records.retain(|offset, _| *offset < end);
        self.markers.retain(|offset, _| *offset < end);
        self.end = end;
        self.aborted.retain(|(_, _, marker)| *marker < end);
        self.last.clear();
        for (offset, record) in &self.records {
            self.last.insert(record.producer, *offset);
        }
        // What a marker that was lost had decided is open again.
        for (offset, record) in self.records.iter_mut().filter(|(_, record)| record.producer >= 10) {
            let ended = self.markers.range(offset..).any(|(_, marker)| marker.producer == record.producer);
            if !ended {
                record.fate = Fate::Open;
            }
        }
        self.open.clear();
        for (offset, record) in self.records.iter().filter(|(_, record)| record.fate == Fate::Open) {
            self.open.entry(record.producer).or_insert(*offset);
        }
    }

    /// Checks a pass over the log of which everything below `cleaned_to` was compacted. Returns what became of what, for the counts.
    pub fn check(&mut self, sight: &Sight, cleaned_to: i64, context: &str) -> Vec<&'static str> {
        let mut did = Vec::new();
        for (offset, seen) in &sight.records {
            let written = self.records.get(offset).unwrap_or_else(|| panic!("{context}: {offset} was never written"));
            assert!(!written.is_gone, "{context}: {offset} came back");
            let known = Seen { time: written.time, key: written.key.clone(), value: written.value.clone() };
            assert_eq!(*seen, known, "{context}: {offset} changed");
            let is_given_out = sight.committed.contains(offset);
            assert_eq!(is_given_out, written.fate == Fate::Committed, "{context}: {offset} {:?}", written.fate);
        }
        let mut latest: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (offset, written) in self.records.range(..cleaned_to).filter(|(_, written)| written.fate == Fate::Committed)
        {
            if let Some(key) = &written.key {
                latest.insert(key, *offset);
            }
        }
        let latest: BTreeSet<i64> = latest.into_values().collect();
        let mut gone = Vec::new();
        for (offset, written) in &self.records {
            let is_there = sight.records.contains_key(offset);
            let is_tombstone = written.value.is_none();
            if *offset >= cleaned_to {
                // A kill may have come after the swap and before the end of the compaction.
                let must = written.fate != Fate::Aborted && !self.has_later(*offset, written) && written.key.is_some();
                assert!(is_there || !must || is_tombstone, "{context}: {offset} is missing");
            } else if !latest.contains(offset) {
                assert!(!is_there, "{context}: {offset} {written:?} is still there below {cleaned_to}");
                did.push(if written.fate == Fate::Aborted { "aborted data gone" } else { "overwritten gone" });
                did.extend(written.key.is_none().then_some("record without key gone"));
            } else {
                // A compaction that a kill ended may have known of a later one.
                let must = !is_tombstone && !self.has_later(*offset, written);
                assert!(is_there || !must, "{context}: the latest of its key, {offset}, is missing");
                did.extend(is_tombstone.then_some(if is_there { "tombstone kept" } else { "tombstone gone" }));
            }
            if !is_there {
                gone.push(*offset);
            }
        }
        for offset in gone {
            self.records.get_mut(&offset).unwrap().is_gone = true;
        }
        self.check_markers(sight, context, &mut did);
        for (producer, last) in self.last.iter().filter(|(producer, _)| **producer >= 0) {
            assert!(sight.batch_ends.contains(&(*producer, *last)), "{context}: the last batch of {producer}, {last}");
        }
        did
    }

    fn has_later(&self, offset: i64, written: &Written) -> bool {
        self.records.range(offset + 1..).any(|(_, later)| later.key == written.key && later.fate == Fate::Committed)
    }

    fn check_markers(&mut self, sight: &Sight, context: &str, did: &mut Vec<&'static str>) {
        for offset in &sight.markers {
            assert!(!self.markers[offset].is_gone, "{context}: marker {offset} came back");
        }
        let mut before: BTreeMap<i64, i64> = BTreeMap::new();
        for (offset, marker) in &mut self.markers {
            let since = before.insert(marker.producer, *offset).unwrap_or(0);
            if sight.markers.contains(offset) {
                continue;
            }
            marker.is_gone = true;
            did.push("marker gone");
            let mut data = sight.records.range(since..*offset).map(|(at, _)| &self.records[at]);
            assert!(
                !data.any(|record| record.producer == marker.producer),
                "{context}: marker {offset} is gone and its data is not"
            );
        }
    }
}
