//! An open file of a simulated disk.

use super::Fault;
use super::content::Content;
use super::tree::not_found;
use crate::disk::DiskFile;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A read: of which file, and which of its bytes.
pub(super) type Read = (PathBuf, Range<u64>);

/// What a disk is like, known to all its files.
#[derive(Default)]
pub(super) struct Nature {
    pub(super) fault: Mutex<Option<Fault>>,
    /// Of folders that are disks of their own.
    pub(super) faults_in: Mutex<BTreeMap<PathBuf, Fault>>,
    /// A sync lets other tasks have their turn.
    pub(super) slow: bool,
    /// What was read of files, while somebody wants to know.
    pub(super) reads: Mutex<Option<Vec<Read>>>,
}

impl Nature {
    /// What goes wrong there.
    pub(super) fn fault_at(&self, path: &Path) -> Option<Fault> {
        let everywhere = *self.fault.lock();
        let here =
            || self.faults_in.lock().iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, fault)| *fault);
        everywhere.or_else(here)
    }

    /// Refuses a path on a disk that was taken away.
    pub(super) fn check_there(&self, path: &Path) -> io::Result<()> {
        if self.fault_at(path) == Some(Fault::Missing) { Err(not_found(path)) } else { Ok(()) }
    }

    /// Lets others have their turn while a slow disk syncs.
    pub(super) async fn wait(&self) {
        if self.slow {
            tokio::task::yield_now().await;
        }
    }
}

pub(super) struct SimFile {
    content: Mutex<Content>,
    nature: Arc<Nature>,
    /// Where it was made: that says which disk it is on.
    made_at: PathBuf,
}

impl SimFile {
    pub(super) fn new(nature: Arc<Nature>, path: &Path) -> Self {
        Self { content: Mutex::default(), nature, made_at: path.to_owned() }
    }

    /// The file after a power cut, on a disk of that nature.
    pub(super) fn after_crash(&self, nature: &Arc<Nature>, draw: &mut impl FnMut(u64) -> u64) -> Self {
        let content = Mutex::new(self.content.lock().after_crash(draw));
        Self { content, nature: nature.clone(), made_at: self.made_at.clone() }
    }

    pub(super) fn flip(&self, position: usize, mask: u8) -> bool {
        self.content.lock().flip(position, mask)
    }

    pub(super) fn sync_now(&self) {
        self.content.lock().sync();
    }

    fn writable(&self) -> io::Result<()> {
        match self.nature.fault_at(&self.made_at) {
            None | Some(Fault::Missing) => Ok(()),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::WriteError) => Err(io::Error::other("simulated input/output error")),
        }
    }
}

#[async_trait]
impl DiskFile for SimFile {
    async fn append(&self, buffers: &[Bytes]) -> io::Result<u64> {
        self.writable()?;
        let mut content = self.content.lock();
        let position = content.len();
        for buffer in buffers {
            let end = content.len();
            content.write(end, buffer);
        }
        Ok(position as u64)
    }

    async fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let from = usize::try_from(position).unwrap_or(usize::MAX);
        let content: Bytes = self.content.lock().read(from, from.saturating_add(len)).into();
        if let Some(reads) = self.nature.reads.lock().as_mut() {
            reads.push((self.made_at.clone(), position..position + content.len() as u64));
        }
        Ok(content)
    }

    async fn write_at(&self, position: u64, new: Bytes) -> io::Result<()> {
        self.writable()?;
        let from = usize::try_from(position).map_err(io::Error::other)?;
        self.content.lock().write(from, &new);
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        // A full disk syncs what it has taken; one that fails to write does not.
        self.writable()
            .or_else(|error| if error.kind() == io::ErrorKind::StorageFull { Ok(()) } else { Err(error) })?;
        self.nature.wait().await;
        self.sync_now();
        Ok(())
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.content.lock().resize(usize::try_from(len).map_err(io::Error::other)?);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.content.lock().len() as u64
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
