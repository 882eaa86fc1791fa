//! Many logs made durable at once. A sync of one file costs a trip to the disk, and a log has several files: for hundreds of logs one
//! sync of the whole file system is cheaper by as much.
//!
//! ```text
//!   of each log: what is to replace a small file, beside it   --+
//!   one sync of everything                                      |  a power cut leaves old files that are true
//!   of each log: the new ones get the names                   --+
//!   one sync of everything: the names
//! ```

use super::{Log, Shared, kept};
use crate::checkpoint::Checkpoint;
use crate::epochs::Epochs;
use crate::error::Error;
use crate::names::{self, Suffix};
use bytes::Bytes;
use millstream_types::Offset;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::MutexGuard;

/// What is to be done with every log of a group.
enum Goal {
    Flush,
    /// With what is known of the producers at an offset, where that is to be kept.
    Checkpoint(Option<(Offset, Bytes)>),
    /// With its producers, as they are stored.
    Close(Bytes),
}

/// A log on its way, with the locks of who syncs and stores.
struct Turn<'a> {
    log: &'a Arc<Shared>,
    _locks: (Option<MutexGuard<'a, ()>>, MutexGuard<'a, ()>, MutexGuard<'a, ()>),
    /// In this order a power cut keeps them: the checkpoint is believed only where the others are there.
    files: Vec<(PathBuf, Bytes)>,
    temporary: Vec<PathBuf>,
    truncations: u64,
    end: Offset,
    epochs: Option<Epochs>,
    checkpoint: Option<Checkpoint>,
    flushes: bool,
    closes: bool,
}

impl Log {
    /// [`Log::flush`] of many logs of one data folder. The outcomes are in the logs' order.
    pub async fn flush_all(logs: &[Self]) -> Vec<Result<(), Error>> {
        together(logs, logs.iter().map(|_| Goal::Flush)).await
    }

    /// [`Log::checkpoint`] of many logs of one data folder, after [`Log::keep_producers`] where there is something to keep. The outcomes are in
    /// the logs' order.
    pub async fn checkpoint_all(logs: &[Self], producers: Vec<Option<(Offset, Bytes)>>) -> Vec<Result<(), Error>> {
        together(logs, producers.into_iter().map(Goal::Checkpoint)).await
    }

    /// [`Log::close`] of many logs of one data folder, each with its producers. The outcomes are in the logs' order.
    pub async fn close_all(logs: &[Self], producers: Vec<Bytes>) -> Vec<Result<(), Error>> {
        together(logs, producers.into_iter().map(Goal::Close)).await
    }
}

async fn together(logs: &[Log], goals: impl Iterator<Item = Goal> + Send) -> Vec<Result<(), Error>> {
    let mut turns: Vec<Result<Turn<'_>, Error>> = Vec::with_capacity(logs.len());
    for (log, goal) in logs.iter().zip(goals) {
        let turn = match Turn::begin(&log.0, goal).await {
            Ok(mut turn) => turn.write().await.map(|()| turn),
            Err(error) => Err(error),
        };
        turns.push(turn);
    }
    if turns.iter().flatten().all(|turn| !turn.flushes && turn.files.is_empty()) {
        return turns.into_iter().map(|turn| turn.map(Turn::finish)).collect();
    }
    sync(&mut turns).await;
    let mut renamed = false;
    for turn in &mut turns {
        if let Ok(own) = turn {
            renamed |= !own.files.is_empty();
            if let Err(error) = own.rename().await {
                *turn = Err(error);
            }
        }
    }
    if renamed {
        sync(&mut turns).await;
    }
    turns.into_iter().map(|turn| turn.map(Turn::finish)).collect()
}

/// Syncs everything. Where that fails nobody knows what the disk holds, so that no log of the group takes writes any more.
async fn sync(turns: &mut [Result<Turn<'_>, Error>]) {
    let Some(Ok(any)) = turns.iter().find(|turn| turn.is_ok()) else { return };
    let Err(error) = any.log.runtime.disk.sync_all(&any.log.id.dir).await else { return };
    for turn in turns {
        if let Ok(own) = turn {
            let same = io::Error::new(error.kind(), error.to_string());
            let error = Error::io("sync", &own.log.id.dir)(same);
            own.log.fail(&error);
            *turn = Err(error);
        }
    }
}

impl<'a> Turn<'a> {
    async fn begin(log: &'a Arc<Shared>, goal: Goal) -> Result<Self, Error> {
        let (closes, producers) = match &goal {
            Goal::Close(producers) => (true, Some(producers.clone())),
            Goal::Flush | Goal::Checkpoint(_) => (false, None),
        };
        let writer = if closes { Some(log.writer.lock().await) } else { None };
        let locks = (writer, log.flusher.lock().await, log.checkpointer.lock().await);
        if matches!(goal, Goal::Checkpoint(_)) {
            log.usable()?
        } else {
            log.writable()?
        }
        let moves = {
            let state = log.state.lock();
            state.recovery_point != state.stored.recovery_point
        };
        match goal {
            Goal::Close(_) => log.active()?.store_indexes().await?,
            // What is below the recovery point is found by the indexes then.
            Goal::Checkpoint(_) if moves => log.active()?.extend_indexes().await?,
            Goal::Checkpoint(_) | Goal::Flush => {}
        }
        let state = log.state.lock();
        let mut turn = Self {
            log,
            _locks: locks,
            files: Vec::new(),
            temporary: Vec::new(),
            truncations: state.truncations,
            end: state.log_end(),
            epochs: None,
            checkpoint: None,
            flushes: !matches!(goal, Goal::Checkpoint(_)),
            closes,
        };
        if turn.flushes && state.epochs_unstored {
            turn.files.push((Epochs::path(&log.folder), state.epochs.text().into()));
            turn.epochs = Some(state.epochs.clone());
        }
        if let Goal::Checkpoint(Some((at, producers))) = &goal
            && *at <= turn.end
        {
            turn.files.push((kept::path(&log.folder), kept::encode(*at, producers)));
        }
        if let Some(producers) = producers {
            turn.files.push((names::file(&log.folder, turn.end, Suffix::Snapshot), producers));
        }
        let recovery_point = if closes { turn.end } else { state.recovery_point };
        let wanted = Checkpoint { log_start: state.log_start, recovery_point };
        if !matches!(goal, Goal::Flush) && wanted != state.stored {
            turn.files.push((Checkpoint::path(&log.folder), wanted.text().into()));
            turn.checkpoint = Some(wanted);
        }
        drop(state);
        Ok(turn)
    }

    async fn write(&mut self) -> Result<(), Error> {
        for (path, content) in &self.files {
            let written = self.log.runtime.disk.write_beside(path, content.clone()).await;
            self.temporary.push(written.map_err(Error::io("write", path))?);
        }
        Ok(())
    }

    async fn rename(&mut self) -> Result<(), Error> {
        for (temporary, (path, _)) in self.temporary.iter().zip(&self.files) {
            self.log.runtime.disk.rename(temporary, path).await.map_err(Error::io("rename", temporary))?;
        }
        Ok(())
    }

    /// Takes over what is true now.
    fn finish(self) {
        let mut state = self.log.state.lock();
        if self.flushes || self.checkpoint.is_some() {
            state.claim_unsynced = false;
        }
        if let Some(epochs) = &self.epochs {
            state.epochs_unstored = state.epochs != *epochs;
        }
        if let Some(checkpoint) = self.checkpoint {
            state.stored = checkpoint;
        }
        // What was truncated meanwhile and written anew was not synced.
        if self.flushes && state.truncations == self.truncations {
            state.recovery_point = state.recovery_point.max(self.end);
            state.folder_unsynced = false;
            state.last_flush = self.log.runtime.clock.elapsed();
        }
        if self.closes {
            state.close();
        }
    }
}
