//! What one round of compaction keeps: the verdict on a batch, and on each of its records. Kafka's rules.

use super::keys::KeyMap;
use millstream_record::RecordRef;
use millstream_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::collections::BTreeMap;

/// The last thing that an active producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRecord {
    /// The offset of its last record; none where it wrote none in its epoch.
    pub offset: Option<Offset>,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

/// A batch as the verdict sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchFacts {
    pub producer: ProducerId,
    pub epoch: ProducerEpoch,
    pub is_control: bool,
    pub last: Offset,
    pub horizon: Option<TimestampMs>,
    /// Of an aborted transaction; or a marker that has none of its transaction's data left.
    pub is_spent: bool,
}

/// The verdict on a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// No record of it stays, whatever its key.
    pub drops_records: bool,
    /// Without records it stays as a header: it says what sequences are known, or where the log ends.
    pub stays_empty: bool,
    /// It gets a delete horizon where it has none.
    pub needs_horizon: bool,
}

/// A round of compaction.
pub(crate) struct Round<'a> {
    pub keys: &'a KeyMap,
    pub now: TimestampMs,
    /// Where the round's last segment ends.
    pub until: Offset,
    pub producers: &'a BTreeMap<ProducerId, LastRecord>,
}

impl Round<'_> {
    /// What becomes of a batch.
    pub fn verdict(&self, batch: &BatchFacts) -> Verdict {
        let horizon_passed = batch.horizon.is_some_and(|horizon| horizon <= self.now);
        Verdict {
            drops_records: batch.is_spent && (!batch.is_control || horizon_passed),
            stays_empty: self.is_last_of_producer(batch) || batch.last + 1 == self.until,
            needs_horizon: batch.is_spent && batch.is_control,
        }
    }

    /// Whether the batch has the last sequence that is known of an active producer, or the marker with its epoch where it has no sequence.
    fn is_last_of_producer(&self, batch: &BatchFacts) -> bool {
        batch.producer != ProducerId::NONE
            && self.producers.get(&batch.producer).is_some_and(|last| match last.offset {
                Some(offset) => batch.last == offset,
                None => batch.is_control && batch.epoch == last.epoch,
            })
    }

    /// Whether a client's record stays, in a batch with that delete horizon.
    pub fn keeps(&self, record: &RecordRef<'_>, horizon: Option<TimestampMs>) -> bool {
        if record.offset >= self.keys.mapped_to() {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_latest = self.keys.get(key).is_none_or(|last| record.offset >= last);
        let is_seen = record.value.is_some() || horizon.is_none_or(|horizon| self.now < horizon);
        is_latest && is_seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_record::{BatchBuilder, Codec, Limits};
    use millstream_types::LeaderEpoch;

    const NOW: TimestampMs = TimestampMs(1000);
    const P: ProducerId = ProducerId(7);

    fn keys() -> KeyMap {
        let mut keys = KeyMap::new(1 << 10, 0.9, 10, Offset::ZERO);
        assert!(keys.put(b"a", Offset(50)) && keys.put(b"b", Offset(60)));
        keys.map_to(Offset(100));
        keys
    }

    /// Whether a record stays: its offset, key, value, and its batch's horizon.
    fn keeps(offset: i64, key: Option<&str>, value: Option<&str>, horizon: Option<i64>) -> bool {
        let (keys, producers) = (keys(), BTreeMap::new());
        let round = Round { keys: &keys, now: NOW, until: Offset(200), producers: &producers };
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(TimestampMs(1), key.map(str::as_bytes), value.map(str::as_bytes), []);
        let mut kept = None;
        let batch = builder.build(Offset(offset), LeaderEpoch(0)).unwrap();
        batch.each(&Limits::default(), |record| kept = Some(round.keeps(&record, horizon.map(TimestampMs)))).unwrap();
        kept.unwrap()
    }

    #[test]
    fn the_latest_record_of_a_key_stays() {
        let table = [
            ((49, Some("a"), Some("1"), None), false),
            ((50, Some("a"), Some("1"), None), true),
            ((59, Some("b"), None, None), false),
            ((60, Some("b"), None, None), true),
            ((60, Some("b"), None, Some(1001)), true),
            ((60, Some("b"), None, Some(1000)), false),
            ((60, Some("b"), Some("1"), Some(1000)), true),
            ((10, Some("clean"), Some("1"), None), true),
            ((10, Some("clean"), None, Some(900)), false),
            ((10, None, Some("1"), None), false),
            ((100, None, Some("1"), None), true),
            ((100, Some("a"), None, Some(1)), true),
        ];
        for ((offset, key, value, horizon), expected) in table {
            assert_eq!(keeps(offset, key, value, horizon), expected, "{offset} {key:?} {value:?} {horizon:?}");
        }
    }

    const DATA: BatchFacts = BatchFacts {
        producer: P,
        epoch: ProducerEpoch(2),
        is_control: false,
        last: Offset(20),
        horizon: None,
        is_spent: false,
    };
    const MARKER: BatchFacts = BatchFacts { is_control: true, ..DATA };

    fn verdict(batch: BatchFacts, last: Option<LastRecord>) -> (bool, bool, bool) {
        let keys = keys();
        let producers = last.map(|last| (P, last)).into_iter().collect();
        let round = Round { keys: &keys, now: NOW, until: Offset(200), producers: &producers };
        let Verdict { drops_records, stays_empty, needs_horizon } = round.verdict(&batch);
        (drops_records, stays_empty, needs_horizon)
    }

    #[test]
    fn a_batch_is_judged_by_its_transaction_and_its_producer() {
        let last =
            |offset: Option<i64>, epoch| Some(LastRecord { offset: offset.map(Offset), epoch: ProducerEpoch(epoch) });
        let passed = Some(TimestampMs(1000));
        let table = [
            ("records", DATA, None, (false, false, false)),
            ("aborted", BatchFacts { is_spent: true, ..DATA }, None, (true, false, false)),
            (
                "aborted, its producer's last",
                BatchFacts { is_spent: true, ..DATA },
                last(Some(20), 2),
                (true, true, false),
            ),
            ("not its last", DATA, last(Some(21), 2), (false, false, false)),
            ("the round's last", BatchFacts { last: Offset(199), ..DATA }, None, (false, true, false)),
            ("of no producer", BatchFacts { producer: ProducerId::NONE, ..DATA }, None, (false, false, false)),
            ("a marker", MARKER, None, (false, false, false)),
            ("a spent marker", BatchFacts { is_spent: true, ..MARKER }, None, (false, false, true)),
            ("past its horizon", BatchFacts { is_spent: true, horizon: passed, ..MARKER }, None, (true, false, true)),
            ("past it, not spent", BatchFacts { horizon: passed, ..MARKER }, None, (false, false, false)),
            ("the marker of a producer's epoch", MARKER, last(None, 2), (false, true, false)),
            ("a marker of an epoch before", MARKER, last(None, 3), (false, false, false)),
            ("records of a producer with only a marker", DATA, last(None, 2), (false, false, false)),
        ];
        for (what, batch, last, expected) in table {
            assert_eq!(verdict(batch, last), expected, "{what}");
        }
    }
}
