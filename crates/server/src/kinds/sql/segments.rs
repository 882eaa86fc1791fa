//! The segments of a partition, hot and cold, as the rows of `system.segments`.

use millstream_storage::LocalSegment;
use millstream_tier::Segment;
use millstream_types::{Offset, TimestampMs};

/// Where a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Only in the data folder.
    Hot,
    /// Only in the object store.
    Cold,
    /// In the object store, and still in the data folder.
    Both,
}

impl State {
    /// As the table has it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Cold => "cold",
            Self::Both => "both",
        }
    }
}

/// One segment, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its first offset.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// Bytes of its log.
    pub bytes: u64,
    /// The largest timestamp in it; none where no record has one.
    pub max_timestamp: Option<TimestampMs>,
    /// Where it is.
    pub state: State,
    /// What the object store has of it.
    pub cold: Option<&'a Segment>,
}

/// The segments of both sides by their first offset: those that hold the same offsets in as many bytes are one. Others stay apart, as a
/// leader that followed another may have cut its log elsewhere.
pub fn merge<'a>(local: &[LocalSegment], cold: &'a [Segment]) -> Vec<Row<'a>> {
    let is_copy =
        |one: &LocalSegment, other: &Segment| (one.base, one.next, one.size) == (other.base, other.end, other.bytes());
    let time = |largest: TimestampMs| (largest != TimestampMs::NONE).then_some(largest);
    let of_cold = cold.iter().map(|segment| Row {
        base: segment.base,
        next: segment.end,
        bytes: segment.bytes(),
        max_timestamp: time(segment.max_timestamp),
        state: if local.iter().any(|one| is_copy(one, segment)) { State::Both } else { State::Cold },
        cold: Some(segment),
    });
    let only_local = local.iter().filter(|one| !cold.iter().any(|segment| is_copy(one, segment)));
    let of_local = only_local.map(|one| Row {
        base: one.base,
        next: one.next,
        bytes: one.size,
        max_timestamp: time(one.max_timestamp),
        state: State::Hot,
        cold: None,
    });
    let mut rows: Vec<Row<'a>> = of_cold.chain(of_local).collect();
    rows.sort_by_key(|row| (row.base, row.next));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_tier::Object;
    use millstream_types::LeaderEpoch;

    fn local(base: i64, next: i64) -> LocalSegment {
        LocalSegment {
            base: Offset(base),
            next: Offset(next),
            size: (next - base) as u64,
            max_timestamp: TimestampMs::NONE,
        }
    }

    fn cold(base: i64, end: i64) -> Segment {
        let log = Object { name: "segments/x.log".into(), bytes: (end - base) as u64, crc32c: 0 };
        Segment {
            id: uuid::Uuid::nil(),
            base: Offset(base),
            end: Offset(end),
            max_timestamp: TimestampMs(9),
            records: 1,
            leader_epoch: LeaderEpoch(0),
            uploaded: TimestampMs(1),
            objects: [("log".to_owned(), log)].into(),
        }
    }

    #[test]
    fn a_segment_on_both_sides_is_one_row() {
        let cold = [cold(0, 10), cold(10, 25)];
        let rows = merge(&[local(10, 25), local(25, 30)], &cold);
        let seen: Vec<_> = rows.iter().map(|row| (row.base.0, row.next.0, row.state, row.cold.is_some())).collect();
        assert_eq!(seen, [(0, 10, State::Cold, true), (10, 25, State::Both, true), (25, 30, State::Hot, false)]);
        assert_eq!((rows[0].max_timestamp, rows[2].max_timestamp), (Some(TimestampMs(9)), None));
    }

    #[test]
    fn segments_that_were_cut_elsewhere_stay_apart() {
        let cold = [cold(0, 10)];
        let states: Vec<State> = merge(&[local(0, 8), local(8, 12)], &cold).iter().map(|row| row.state).collect();
        assert_eq!(states, [State::Hot, State::Cold, State::Hot]);
    }
}
