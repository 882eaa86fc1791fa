//! Where each leader's epoch begins: Kafka's `leader-epoch-checkpoint`, by which replicas find where their logs part.
//!
//! ```text
//! 0              version
//! 2              number of lines that follow
//! 0 0            epoch, offset of its first record
//! 3 1200
//! ```

use crate::error::Error;
use bytes::Bytes;
use millstream_runtime::Disk;
use millstream_types::{LeaderEpoch, Offset};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The file's name.
pub const NAME: &str = "leader-epoch-checkpoint";

/// The epochs of a log. Epochs and their start offsets both ascend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Epochs(BTreeMap<LeaderEpoch, Offset>);

/// What OffsetForLeaderEpoch answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch at or below the one asked for.
    pub epoch: LeaderEpoch,
    /// Where that epoch ends: the start of the next one, or the log's end.
    pub end_offset: Offset,
}

impl Epochs {
    /// The newest epoch.
    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last_key_value().map(|(epoch, _)| *epoch)
    }

    /// Epochs and where they start, in order.
    pub fn iter(&self) -> impl Iterator<Item = (LeaderEpoch, Offset)> {
        self.0.iter().map(|(epoch, start)| (*epoch, *start))
    }

    /// The epoch of the record at `offset`.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.0.iter().rev().find(|(_, start)| **start <= offset).map(|(epoch, _)| *epoch)
    }

    /// Where `epoch` ends in a log that ends at `log_end`, by Kafka's rules; none where it is newer than all.
    #[must_use]
    pub fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        if self.latest() == Some(epoch) {
            return Some(EpochEnd { epoch, end_offset: log_end });
        }
        let (_, next_start) = self.0.range((std::ops::Bound::Excluded(epoch), std::ops::Bound::Unbounded)).next()?;
        let floor = self.0.range(..=epoch).next_back().map_or(epoch, |(floor, _)| *floor);
        Some(EpochEnd { epoch: floor, end_offset: *next_start })
    }

    /// Begins `epoch` at `start`. What contradicts it (a later start, a higher epoch) is dropped. Returns whether anything changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch < LeaderEpoch::FIRST
            || self.0.get(&epoch).is_some_and(|known| *known <= start) && self.latest() == Some(epoch)
        {
            return false;
        }
        self.0.retain(|known, known_start| *known < epoch && *known_start < start);
        self.0.insert(epoch, start);
        true
    }

    /// Takes in that recovery found a batch of `epoch` at `start`. An epoch may be in the file with a later start: that of records which a
    /// power cut took, before others of the same epoch came to lie lower.
    pub(crate) fn found(&mut self, epoch: LeaderEpoch, start: Offset) {
        let is_new = match self.0.get(&epoch) {
            Some(known) => start < *known,
            None => self.latest().is_none_or(|latest| epoch > latest),
        };
        if is_new {
            self.assign(epoch, start);
        }
    }

    /// Forgets epochs that begin at or after `end`. Returns whether there was one.
    pub fn truncate_end(&mut self, end: Offset) -> bool {
        let before = self.0.len();
        self.0.retain(|_, start| *start < end);
        self.0.len() != before
    }

    /// Forgets epochs that end at or before `start`; the one that `start` is in begins there. Returns whether anything changed.
    pub fn truncate_start(&mut self, start: Offset) -> bool {
        let Some((&epoch, &known)) = self.0.iter().rev().find(|(_, known)| **known <= start) else { return false };
        let before = self.0.len();
        self.0.retain(|_, other| *other > start);
        self.0.insert(epoch, start);
        self.0.len() != before || known != start
    }

    pub(crate) async fn read(disk: &dyn Disk, folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let content = disk.read(&path).await.map_err(Error::io("read", &path))?;
        Self::parse(&content).map_err(|problem| Error::format(&path, problem))
    }

    pub(crate) async fn write(&self, disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
        let path = Self::path(folder);
        disk.write_atomic(&path, Bytes::from(self.text())).await.map_err(Error::io("write", &path))
    }

    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// The checkpoint as text, as it is stored and uploaded.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("0\n{}\n", self.0.len());
        for (epoch, start) in &self.0 {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{epoch} {start}");
        }
        text
    }

    /// Reads a checkpoint's text.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
        let mut lines = text.lines();
        match lines.next() {
            Some("0") => {}
            version => return Err(format!("its version is {version:?}; expected 0")),
        }
        let count: usize =
            lines.next().and_then(|line| line.trim().parse().ok()).ok_or("its second line is not a count")?;
        let mut epochs = BTreeMap::new();
        for line in lines.by_ref().take(count) {
            let entry =
                line.split_once(' ').and_then(|(epoch, start)| Some((epoch.parse().ok()?, start.trim().parse().ok()?)));
            let (epoch, start) = entry.ok_or_else(|| format!("{line:?} is not an epoch and an offset"))?;
            epochs.insert(LeaderEpoch(epoch), Offset(start));
        }
        if epochs.len() != count || lines.next().is_some() {
            return Err(format!("it has not the {count} different epochs that it says"));
        }
        Ok(Self(epochs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_found_below_a_stored_start_move_it_down() {
        let mut epochs = Epochs::parse(b"0\n3\n0 0\n1 25\n2 41\n").unwrap();
        for (epoch, start) in [(0, 0), (0, 12), (1, 20), (1, 22), (2, 30)] {
            epochs.found(LeaderEpoch(epoch), Offset(start));
        }
        assert_eq!(epochs.text(), "0\n3\n0 0\n1 20\n2 30\n");
    }

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        Epochs(entries.iter().map(|&(epoch, start)| (LeaderEpoch(epoch), Offset(start))).collect())
    }

    #[test]
    fn the_end_of_an_epoch_is_the_start_of_the_next() {
        let log = epochs(&[(1, 0), (3, 10), (4, 25)]);
        let end = |epoch| log.end_of(LeaderEpoch(epoch), Offset(40)).map(|end| (end.epoch.0, end.end_offset.0));
        assert_eq!(end(0), Some((0, 0)));
        assert_eq!(end(1), Some((1, 10)));
        assert_eq!(end(2), Some((1, 10)));
        assert_eq!(end(3), Some((3, 25)));
        assert_eq!(end(4), Some((4, 40)));
        assert_eq!(end(5), None);
    }

    #[test]
    fn assigning_drops_what_contradicts() {
        let mut log = epochs(&[(1, 0), (3, 10), (4, 25)]);
        assert!(!log.assign(LeaderEpoch(4), Offset(30)));
        assert!(log.assign(LeaderEpoch(5), Offset(20)));
        assert_eq!(log, epochs(&[(1, 0), (3, 10), (5, 20)]));
        assert!(!log.assign(LeaderEpoch::NONE, Offset(21)));
    }

    #[test]
    fn cutting_the_start_moves_the_epoch_it_falls_in() {
        let mut log = epochs(&[(1, 0), (3, 10), (4, 25)]);
        assert!(log.truncate_start(Offset(12)));
        assert_eq!(log, epochs(&[(3, 12), (4, 25)]));
        assert!(!log.truncate_start(Offset(12)));
    }

    #[test]
    fn cutting_the_end_forgets_what_began_there() {
        let mut log = epochs(&[(1, 0), (3, 10)]);
        assert!(log.truncate_end(Offset(10)));
        assert_eq!(log, epochs(&[(1, 0)]));
    }

    #[test]
    fn text_is_kafkas() {
        assert_eq!(epochs(&[(0, 0), (3, 1200)]).text(), "0\n2\n0 0\n3 1200\n");
        assert_eq!(Epochs::parse(b"0\n2\n0 0\n3 1200\n"), Ok(epochs(&[(0, 0), (3, 1200)])));
        for wrong in ["", "1\n0\n", "0\nx\n", "0\n2\n0 0\n", "0\n1\n0\n", "0\n1\n0 0\n1 1\n"] {
            assert!(Epochs::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
