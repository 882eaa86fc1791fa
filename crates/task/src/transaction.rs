//! The one transaction of a deployment on this node: all its tasks write in it, and one of them, the committer, ends it for all.
//!
//! ```text
//!   task 0   [call ....][write][call ......]   [write]
//!   task 1      [write][call ..........][write]
//!   commit                              |commit|        waits for what is being written, not for calls of guests
//! ```
//!
//! A task that ends while it writes leaves a part of a batch in the transaction: then nothing of it may be committed.

use crate::context::Context;
use crate::ledger::{Due, Ledger, Place};
use crate::outlet::Job;
use crate::status::Progress;
use crate::{CommittedOffset, Error, Producer};
use millstream_record::Columns;
use millstream_runtime::Shutdown;
use millstream_types::{ErrorKind, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, RwLock, RwLockReadGuard};

/// How long the last commit of a run may take, and the abort that comes where it fails.
const FINISH_MAX: Duration = Duration::from_secs(1);

/// Commit intervals that a transaction may take at least, before its coordinator undoes it.
const TIMEOUT_INTERVALS: u32 = 4;

/// See the module.
pub(crate) struct Transaction {
    context: Arc<Context>,
    producer: Arc<dyn Producer>,
    group: String,
    ledger: Mutex<Ledger>,
    /// Shared by those that write, held alone by who commits.
    gate: RwLock<()>,
    /// The committer is to look again.
    changed: Notify,
    /// Told once nothing is committed any more.
    ended: Arc<Notify>,
    watched: Mutex<BTreeMap<TopicPartition, Arc<Progress>>>,
    commits: AtomicU64,
}

/// A task's leave to write. Dropped before it is [`Writing::done`], it breaks the transaction off.
pub(crate) struct Writing<'a> {
    transaction: &'a Transaction,
    is_done: bool,
    _gate: RwLockReadGuard<'a, ()>,
}

impl Transaction {
    /// Takes the deployment's transactional id over: what an earlier run left open is undone, and it is fenced.
    pub async fn begin(context: Arc<Context>, job: &Job, ended: Arc<Notify>) -> Result<Self, Error> {
        let group = job.key.group();
        let timeout = context.config.transaction_timeout.max(job.commit_interval.saturating_mul(TIMEOUT_INTERVALS));
        let producer = context.topics.producer(&group, timeout).await?;
        Ok(Self {
            context,
            producer,
            group,
            ledger: Mutex::default(),
            gate: RwLock::new(()),
            changed: Notify::new(),
            ended,
            watched: Mutex::default(),
            commits: AtomicU64::new(0),
        })
    }

    /// Where commits of a task's progress are noted.
    pub fn watch(&self, partition: TopicPartition, progress: Arc<Progress>) {
        self.watched.lock().insert(partition, progress);
    }

    /// Leave to write what came of one batch; waits for a commit that is under way.
    pub async fn write(&self) -> Writing<'_> {
        let gate = self.gate.read().await;
        Writing { transaction: self, is_done: false, _gate: gate }
    }

    /// Appends to one partition. An error that is not `Invalid` is for whoever writes to end with.
    pub async fn append(&self, partition: TopicPartition, records: &Columns) -> Result<(), Error> {
        self.producer.append(partition, records).await.map(|_| ())
    }

    /// Nothing of what was done since the last commit can be committed.
    pub fn break_off(&self, error: Error) {
        self.ledger.lock().break_off(error);
        self.changed.notify_one();
        self.ended.notify_one();
    }

    /// Why nothing is committed any more.
    pub fn broken(&self) -> Option<Error> {
        self.ledger.lock().broken().cloned()
    }

    /// Commits so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Commits every `interval` what was done meanwhile, until it is told to stop or can't. While nothing is done it sleeps.
    pub async fn keep(&self, interval: Duration, shutdown: &Shutdown) {
        let clock = &self.context.runtime.clock;
        loop {
            let due = self.ledger.lock().due(interval);
            let wait = async {
                match due {
                    Due::Never => self.changed.notified().await,
                    Due::At(at) => clock.sleep(at.saturating_sub(clock.elapsed())).await,
                    Due::Broken => {}
                }
            };
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                () = wait => {}
            }
            match due {
                Due::Never => {}
                // It runs to its end even when the stop comes meanwhile.
                Due::At(_) => self.commit().await,
                Due::Broken => return,
            }
        }
    }

    /// Commits what was done since the last time. An error breaks off.
    async fn commit(&self) {
        let _alone = self.gate.write().await;
        let taken = self.ledger.lock().take();
        let Ok(moved) = taken else { return };
        if moved.is_empty() {
            return;
        }
        let offsets: Vec<CommittedOffset> = moved.iter().map(|(partition, place)| place.of(*partition)).collect();
        match self.producer.commit(&self.group, &offsets).await {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::AcqRel);
                self.note(&moved);
            }
            Err(error) => {
                let message = format!("could not commit the transaction of {:?}: {error}", self.group);
                self.break_off(Error::new(error.kind, message));
            }
        }
    }

    fn note(&self, moved: &[(TopicPartition, Place)]) {
        let watched = self.watched.lock();
        for (partition, place) in moved {
            if let Some(progress) = watched.get(partition) {
                progress.note(|task| task.commit(place.offset));
            }
        }
    }

    /// The tasks have ended: the last commit. What can't be committed is undone, so that nothing stays open.
    pub async fn finish(&self) {
        let clock = &self.context.runtime.clock;
        tokio::select! {
            biased;
            () = self.commit() => {}
            () = clock.sleep(FINISH_MAX) => {
                self.break_off(Error::new(ErrorKind::Timeout, "the last commit did not end in time"));
            }
        }
        // Whoever fenced this producer has undone what it left open, and may have begun something that is not ours to undo.
        if self.broken().is_none_or(|error| error.kind == ErrorKind::Fenced) {
            return;
        }
        let aborted = tokio::select! {
            biased;
            aborted = self.context.topics.abort(&self.group) => aborted,
            () = clock.sleep(FINISH_MAX) => Err(Error::new(ErrorKind::Timeout, "it did not end in time")),
        };
        if let Err(error) = aborted {
            tracing::warn!(transactional_id = %self.group, %error, "a transaction could not be aborted; its coordinator does it after its timeout");
        }
    }
}

impl Writing<'_> {
    /// All that came of the input before `place` is written.
    pub fn done(mut self, partition: TopicPartition, place: Place) {
        self.is_done = true;
        let transaction = self.transaction;
        let is_first = transaction.ledger.lock().settle(partition, place, transaction.context.runtime.clock.elapsed());
        if is_first {
            transaction.changed.notify_one();
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // Before the gate opens, so that no commit comes between.
        if !self.is_done {
            let message = "a task ended while it wrote what came of a batch; all since the last commit is done again";
            self.transaction.break_off(Error::new(ErrorKind::Unavailable, message));
        }
    }
}

impl Place {
    /// As it is committed.
    pub fn of(&self, partition: TopicPartition) -> CommittedOffset {
        CommittedOffset { partition, offset: self.offset, leader_epoch: self.epoch, metadata: String::new() }
    }
}
