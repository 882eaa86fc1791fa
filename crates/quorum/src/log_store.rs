//! The metadata log as the Raft library sees it: entries in memory for reading, and a writer that stores them.
//!
//! Memory holds what is not purged, which the snapshot policy bounds.

use crate::Error;
use crate::error::DiskContext;
use crate::hard_state::HardState;
use crate::log_recovery::{Recovered, Segment, recover};
use crate::log_writer::{Command, QUEUE_LEN, Writer, create_segment};
use crate::raft_types::{Entry, LogId, TypeConfig, Vote};
use millstream_runtime::Runtime;
use millstream_runtime::Tasks;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Bytes of records (estimated by count) that one message to a follower carries at most.
const REPLICATED_RECORDS_MAX: usize = 20_000;

/// The log in memory, shared by the store, its readers and its writer. Locked for moments only.
pub(crate) type SharedLog = Arc<Mutex<Log>>;

/// The log in memory.
#[derive(Default)]
pub(crate) struct Log {
    pub entries: BTreeMap<u64, Entry>,
    pub purged: Option<LogId>,
    pub committed: Option<LogId>,
    pub vote: Option<Vote>,
}

/// The metadata log.
pub(crate) struct LogStore {
    log: SharedLog,
    hard: Arc<HardState>,
    commands: mpsc::Sender<Command>,
}

impl LogStore {
    /// Reads the log in `dir` and starts its writer in `tasks`.
    pub(crate) async fn open(
        runtime: &Runtime,
        tasks: &Tasks,
        dir: &Path,
        segment_bytes_max: u64,
    ) -> Result<Self, Error> {
        let disk = runtime.disk.clone();
        let hard = Arc::new(HardState::open(disk.clone(), dir).await?);
        let stored = hard.get().await;
        let Recovered { entries, committed, mut segments, active } = recover(&*disk, dir, &stored).await?;
        let active = match active {
            Some(active) => active,
            None => {
                segments = vec![Segment { number: 1, last_index: None }];
                create_segment(&*disk, dir, 1).await?
            }
        };
        // From here on the log's end moves: it is not the clean one any more.
        hard.update(|stored| stored.clean_end = None).await.while_at("write", dir)?;
        let log = Arc::new(Mutex::new(Log { entries, purged: stored.purged, committed, vote: stored.vote }));
        let (commands, queue) = mpsc::channel(QUEUE_LEN);
        let writer = Writer {
            disk,
            dir: dir.to_owned(),
            hard: hard.clone(),
            log: log.clone(),
            segments: segments.into(),
            active,
            segment_bytes_max,
            failed: None,
        };
        tasks.spawn("metadata-log", writer.run(queue));
        Ok(Self { log, hard, commands })
    }

    /// The term of the newest vote given; 0 before the first.
    pub(crate) fn voted_term(&self) -> u64 {
        self.log.lock().vote.map_or(0, |vote| vote.leader_id.term)
    }

    /// Where the writer takes its commands, to close it once the library has stopped.
    pub(crate) fn commands(&self) -> mpsc::Sender<Command> {
        self.commands.clone()
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Command) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the metadata log's writer has stopped")
}

/// Reads the log in memory.
#[derive(Clone)]
pub(crate) struct LogReader(SharedLog);

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        Ok(self.0.lock().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let log = self.0.lock();
        let mut room = REPLICATED_RECORDS_MAX;
        let mut entries: Vec<Entry> = Vec::new();
        for entry in log.entries.range(start..end).map(|(_, entry)| entry) {
            let records =
                if let openraft::EntryPayload::Normal(proposal) = &entry.payload { proposal.records.len() } else { 1 };
            // The first one goes at any size, or nothing ever would.
            if !entries.is_empty() && records > room {
                break;
            }
            room = room.saturating_sub(records);
            entries.push(entry.clone());
        }
        Ok(entries)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.log.lock();
        let last = log.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: last.or(log.purged) })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader(self.log.clone())
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = *vote;
        self.hard.update(|stored| stored.vote = Some(vote)).await?;
        self.log.lock().vote = Some(vote);
        Ok(())
    }

    // Stored with the next entries: it only spares a restart some waiting, so it is not worth a sync of its own.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.log.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.log.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.log.lock().entries.extend(entries.iter().map(|entry| (entry.log_id.index, entry.clone())));
        self.commands.send(Command::Append { entries, done: callback }).await.map_err(|_| stopped())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let kept = last_log_id.map(|id| id.index);
        self.log.lock().entries.retain(|index, _| Some(*index) <= kept);
        self.ask(|done| Command::Truncate { kept, done }).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.ask(|done| Command::Purge { upto, done }).await?;
        let mut log = self.log.lock();
        log.purged = log.purged.max(Some(upto));
        log.entries = log.entries.split_off(&(upto.index + 1));
        Ok(())
    }
}
