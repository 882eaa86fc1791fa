//! The one task that writes the metadata log: it gathers what waits into one frame, syncs it, and only then says that it is stored.

use crate::Error;
use crate::entry_codec::{encode_entries, encode_entry, encode_truncate};
use crate::error::DiskContext;
use crate::frame::{HEADER_LEN, frame, header};
use crate::hard_state::{CleanEnd, HardState};
use crate::log_recovery::{MAGIC, Segment, segment_path};
use crate::log_store::SharedLog;
use crate::raft_types::{Entry, LogId, TypeConfig};
use bytes::BytesMut;
use millstream_runtime::{Disk, DiskFile, OpenMode};
use openraft::storage::IOFlushed;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Commands that wait for the writer; more make the Raft library wait.
pub(crate) const QUEUE_LEN: usize = 1024;
/// Bytes of entries after which a frame is closed and synced.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// What the writer is asked to do, in this order.
pub(crate) enum Command {
    /// Store entries.
    Append { entries: Vec<Entry>, done: IOFlushed<TypeConfig> },
    /// Void the entries after `kept`.
    Truncate { kept: Option<u64>, done: oneshot::Sender<io::Result<()>> },
    /// Forget the entries up to this one.
    Purge { upto: LogId, done: oneshot::Sender<io::Result<()>> },
    /// Note where the log ends, and end.
    Close { done: oneshot::Sender<io::Result<()>> },
}

/// The log's files, as their writer sees them.
pub(crate) struct Writer {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub hard: Arc<HardState>,
    pub log: SharedLog,
    pub segments: VecDeque<Segment>,
    pub active: Arc<dyn DiskFile>,
    pub segment_bytes_max: u64,
    /// Why nothing can be written any more. What a failed write left behind is unknown until the next start.
    pub failed: Option<String>,
}

/// Makes the log's file `number`; durable when this returns.
pub(crate) async fn create_segment(
    disk: &dyn Disk,
    dir: &std::path::Path,
    number: u64,
) -> Result<Arc<dyn DiskFile>, Error> {
    let path = segment_path(dir, number);
    let file = disk.open(&path, OpenMode::CreateNew).await.while_at("create", &path)?;
    file.append(&[header(MAGIC, number)]).await.while_at("write", &path)?;
    file.sync().await.while_at("sync", &path)?;
    disk.sync_dir(dir).await.while_at("sync", dir)?;
    Ok(file)
}

impl Writer {
    /// Works until it is told to close, or nobody can tell it anything any more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Vec::new();
        while commands.recv_many(&mut batch, QUEUE_LEN).await > 0 {
            let mut waiting = Vec::new();
            for command in batch.drain(..) {
                if let Command::Append { entries, done } = command {
                    waiting.push((entries, done));
                    continue;
                }
                self.append(std::mem::take(&mut waiting)).await;
                if self.handle(command).await {
                    return;
                }
            }
            self.append(waiting).await;
        }
    }

    /// Handles anything but an append; answers whether that was the end.
    async fn handle(&mut self, command: Command) -> bool {
        let (result, done, end) = match command {
            Command::Append { .. } => return false,
            Command::Truncate { kept, done } => (self.truncate(kept).await, done, false),
            Command::Purge { upto, done } => (self.purge(upto).await, done, false),
            Command::Close { done } => (self.close().await, done, true),
        };
        // Nobody waits any more where the library was shut down meanwhile.
        let _ = done.send(result);
        end
    }

    async fn append(&mut self, waiting: Vec<(Vec<Entry>, IOFlushed<TypeConfig>)>) {
        if waiting.is_empty() {
            return;
        }
        let stored = self.store(waiting.iter().flat_map(|(entries, _)| entries)).await;
        for (_, done) in waiting {
            done.io_completed(
                stored.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string())),
            );
        }
    }

    async fn store(&mut self, entries: impl Iterator<Item = &Entry>) -> io::Result<()> {
        let (mut group, mut bytes, mut last) = (Vec::new(), 0, None);
        for entry in entries {
            let encoded = encode_entry(entry)?;
            bytes += encoded.len();
            last = last.max(Some(entry.log_id.index));
            group.push(encoded);
            if bytes >= GROUP_BYTES_MAX {
                self.store_group(&std::mem::take(&mut group), last).await?;
                bytes = 0;
            }
        }
        if group.is_empty() { Ok(()) } else { self.store_group(&group, last).await }
    }

    async fn store_group(&mut self, group: &[BytesMut], last: Option<u64>) -> io::Result<()> {
        let committed = self.log.lock().committed;
        let body = encode_entries(committed, group)?;
        self.write(&body).await?;
        if let Some(segment) = self.segments.back_mut() {
            segment.last_index = segment.last_index.max(last);
        }
        Ok(())
    }

    async fn truncate(&mut self, kept: Option<u64>) -> io::Result<()> {
        self.write(&encode_truncate(kept)).await
    }

    /// Writes one frame and syncs it, so that the next frame is only written once this one can't be torn.
    async fn write(&mut self, body: &[u8]) -> io::Result<()> {
        if let Some(reason) = &self.failed {
            return Err(io::Error::other(format!("the metadata log failed before: {reason}")));
        }
        let written = self.try_write(body).await;
        if let Err(error) = &written {
            self.failed = Some(error.to_string());
        }
        written
    }

    async fn try_write(&mut self, body: &[u8]) -> io::Result<()> {
        let frame = frame(body)?;
        let len = self.active.len();
        if len > HEADER_LEN as u64 && len + frame.len() as u64 > self.segment_bytes_max {
            let number = self.segments.back().map_or(0, |segment| segment.number) + 1;
            self.active = create_segment(&*self.disk, &self.dir, number).await.map_err(io::Error::other)?;
            self.segments.push_back(Segment { number, last_index: None });
        }
        self.active.append(&[frame]).await?;
        self.active.sync().await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.hard.update(|stored| stored.purged = stored.purged.max(Some(upto))).await?;
        // Only from the front: a later file may void entries of an earlier one.
        while self.segments.len() > 1 && self.segments[0].last_index.is_none_or(|last| last <= upto.index) {
            self.disk.remove_file(&segment_path(&self.dir, self.segments[0].number)).await?;
            self.segments.pop_front();
        }
        self.disk.sync_dir(&self.dir).await
    }

    async fn close(&mut self) -> io::Result<()> {
        if self.failed.is_some() {
            return Ok(());
        }
        let file = self.segments.back().map_or(0, |segment| segment.number);
        let len = self.active.len();
        self.hard.update(|stored| stored.clean_end = Some(CleanEnd { file, len })).await
    }
}
