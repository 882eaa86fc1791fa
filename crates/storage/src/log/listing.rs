//! What a partition's folder holds when it is opened: read once, so that nothing is asked for file by file.

use crate::error::Error;
use crate::names::{self, Suffix};
use millstream_runtime::{Disk, EntryKind, Runtime};
use millstream_types::Offset;
use std::collections::BTreeSet;
use std::path::Path;

/// The names of a folder's files.
pub struct Listing(BTreeSet<String>);

impl Listing {
    pub async fn of(disk: &dyn Disk, folder: &Path) -> Result<Self, Error> {
        let entries = disk.read_dir(folder).await.map_err(Error::io("list", folder))?;
        Ok(Self(entries.into_iter().filter(|(_, kind)| *kind == EntryKind::File).map(|(name, _)| name).collect()))
    }

    pub const fn names(&self) -> &BTreeSet<String> {
        &self.0
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn of_kind(&self, wanted: Suffix) -> impl Iterator<Item = Offset> {
        self.0.iter().filter_map(|name| names::parse(name)).filter(move |(_, kind)| *kind == wanted).map(|(at, _)| at)
    }

    pub fn snapshots(&self) -> impl Iterator<Item = Offset> {
        self.of_kind(Suffix::Snapshot)
    }

    /// Whether the segment at `base` has both indexes.
    pub fn has_indexes(&self, base: Offset) -> bool {
        [Suffix::Index, Suffix::TimeIndex].into_iter().all(|kind| self.of_kind(kind).any(|at| at == base))
    }

    /// The bases of the transaction indexes that [`Listing::tidy`] leaves.
    pub fn txn_indexes(&self, has_remote: bool) -> BTreeSet<Offset> {
        let bases: BTreeSet<Offset> = self.of_kind(Suffix::Log).collect();
        self.of_kind(Suffix::TxnIndex).filter(|base| has_remote || bases.contains(base)).collect()
    }

    /// Removes leftovers; returns the bases of the segments, in order. With a remote store the aborts of segments stay that are only there.
    pub async fn tidy(&self, runtime: &Runtime, folder: &Path, has_remote: bool) -> Result<Vec<Offset>, Error> {
        let bases: BTreeSet<Offset> = self.of_kind(Suffix::Log).collect();
        for name in &self.0 {
            let is_orphan = match names::parse(name) {
                Some((base, Suffix::Index | Suffix::TimeIndex)) => !bases.contains(&base),
                Some((base, Suffix::TxnIndex)) => !has_remote && !bases.contains(&base),
                Some((_, Suffix::Log | Suffix::Snapshot)) | None => false,
            };
            if is_orphan || names::is_leftover(name) {
                let path = folder.join(name);
                runtime.disk.remove_file(&path).await.map_err(Error::io("remove", &path))?;
            }
        }
        Ok(bases.into_iter().collect())
    }
}
