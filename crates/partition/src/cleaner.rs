//! Compaction: workers that take the dirtiest log of those that are due, one after another, off the I/O threads. Kafka's log cleaner.

use crate::checkpoint::{self, CLEANED, Offsets};
use crate::config::CleanerConfig;
use crate::folder::Folder;
use crate::partition::Partition;
use crate::service::Shared;
use crate::{Error, PartitionHandle};
use millstream_runtime::{Runtime, Tasks};
use millstream_storage::{Cleaned, CleaningBudget, Dirty, Error as LogError, LastRecord, Pace};
use millstream_telemetry::Metrics;
use millstream_telemetry::catalogue::{
    CLEANER_BUFFER_PERCENT, CLEANER_BYTES_READ, CLEANER_BYTES_WRITTEN, CLEANER_DELAY, CLEANER_DIRTY_PERCENT,
    CLEANER_KEYLESS, CLEANER_RECOPY_PERCENT, CLEANER_TIME, CLEANER_UNCLEANABLE,
};
use millstream_types::{ErrorKind, ProducerId, TopicPartition};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// How long a log rests whose compaction failed: a disk that is full now may have room then.
const RETRY: Duration = Duration::from_secs(60);

/// What the workers share.
pub(crate) struct Cleaners {
    /// As it is now.
    config: watch::Sender<CleanerConfig>,
    /// The workers there are, by number: those whose number is as high as there are to be, or higher, end.
    workers: Mutex<BTreeSet<usize>>,
    pace: Pace,
    /// Logs that a worker has.
    busy: Mutex<BTreeSet<TopicPartition>>,
    /// Logs that could not be compacted, and when to try again; those whose records are damaged never.
    resting: Mutex<BTreeMap<TopicPartition, Option<Duration>>>,
    /// What the last process had compacted in each data folder, taken out as logs are opened.
    stored: Mutex<BTreeMap<usize, Offsets>>,
}

/// A log that is due.
struct Due {
    handle: PartitionHandle,
    dirty: Dirty,
}

impl Cleaners {
    pub(crate) fn new(config: CleanerConfig, runtime: &Runtime, tasks: &Tasks) -> Self {
        Self {
            config: watch::Sender::new(config),
            workers: Mutex::default(),
            pace: Pace::new(runtime, tasks.shutdown(), config.io_bytes_per_second),
            busy: Mutex::default(),
            resting: Mutex::default(),
            stored: Mutex::default(),
        }
    }

    /// From now on it goes by this. What is being compacted is ended as it was begun, but for its pace.
    pub(crate) fn configure(&self, config: CleanerConfig) {
        self.pace.set(config.io_bytes_per_second);
        self.config.send_if_modified(|before| std::mem::replace(before, config) != config);
    }

    /// Takes over what is stored in a folder of how far its logs are compacted.
    pub(crate) fn remember(&self, folder: &Folder, stored: Offsets) {
        self.stored.lock().insert(folder.place, stored);
    }

    /// Tells a log that was just opened up to where it was compacted.
    pub(crate) fn restore(&self, partition: &Partition) {
        let key = (partition.topic.to_string(), partition.id.partition.0);
        let stored = self.stored.lock().get_mut(&partition.folder.place).and_then(|stored| stored.remove(&key));
        // A log that ends before lost what was compacted: it is dirty from its start.
        if let Some(to) = stored.filter(|to| *to <= partition.log.log_end()) {
            partition.log.set_cleaned_to(to);
        }
    }

    /// Keeps up to where a log was compacted that is to be opened anew.
    pub(crate) fn keep(&self, partition: &Partition) {
        if let Some(to) = partition.log.cleaned_to() {
            let key = (partition.topic.to_string(), partition.id.partition.0);
            self.stored.lock().entry(partition.folder.place).or_default().insert(key, to);
        }
    }

    /// Whether a worker has the log.
    pub(crate) fn has(&self, partition: TopicPartition) -> bool {
        self.busy.lock().contains(&partition)
    }

    fn is_resting(&self, partition: TopicPartition, now: Duration) -> bool {
        self.resting.lock().get(&partition).is_some_and(|until| until.is_none_or(|until| now < until))
    }

    fn budget(&self) -> CleaningBudget {
        let config = *self.config.borrow();
        let threads = config.threads.max(1);
        CleaningBudget {
            memory_bytes: config.dedupe_buffer_bytes / threads,
            load: config.load_factor,
            io_bytes: (config.io_buffer_bytes / threads / 2).max(1),
        }
    }

    /// The numbers of the workers that are to be there and are not; from now on they are.
    fn missing(&self) -> Vec<usize> {
        let config = *self.config.borrow();
        let mut workers = self.workers.lock();
        let wanted = 0..if config.enabled { config.threads } else { 0 };
        wanted.filter(|number| workers.insert(*number)).collect()
    }

    /// Whether the worker of that number goes on. Where it does not, it is there no more.
    fn goes_on(&self, number: usize) -> bool {
        let mut workers = self.workers.lock();
        let goes_on = number < self.config.borrow().threads;
        if !goes_on {
            workers.remove(&number);
        }
        goes_on
    }
}

/// Starts the workers, and others where there are to be more later.
pub(crate) fn spawn(shared: &Arc<Shared>) {
    let (owned, shutdown) = (shared.clone(), shared.tasks.shutdown());
    let mut changes = shared.cleaners.config.subscribe();
    shared.tasks.spawn("compaction", async move {
        loop {
            for number in owned.cleaners.missing() {
                owned.tasks.spawn("compaction", work(owned.clone(), number));
            }
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    });
}

/// A worker: looks for logs that are due from time to time.
async fn work(shared: Arc<Shared>, number: usize) {
    let (shutdown, mut changes) = (shared.tasks.shutdown(), shared.cleaners.config.subscribe());
    while shared.cleaners.goes_on(number) {
        let backoff = changes.borrow_and_update().backoff;
        tokio::select! {
            biased;
            () = shutdown.requested() => return,
            // It may have to end, or to look more often.
            _ = changes.changed() => continue,
            () = shared.runtime.clock.sleep(backoff) => {}
        }
        clean_all(&shared).await;
    }
}

/// Compacts logs until none is due.
pub(crate) async fn clean_all(shared: &Arc<Shared>) {
    while !shared.tasks.shutdown().is_requested()
        && let Some(due) = take_dirtiest(shared).await
    {
        let id = due.handle.0.id;
        let goes_on = clean(shared, &due).await;
        shared.cleaners.busy.lock().remove(&id);
        if !goes_on {
            return;
        }
    }
}

/// Takes the log with the largest share of dirt of those that are due.
async fn take_dirtiest(shared: &Arc<Shared>) -> Option<Due> {
    let (cleaners, now) = (&shared.cleaners, shared.runtime.clock.elapsed());
    let (mut due, mut delay_ms, mut dirtiest): (Vec<Due>, i64, f64) = (Vec::new(), 0, 0.0);
    for handle in shared.open() {
        let partition = &handle.0;
        let config = partition.log.config();
        if !config.compact
            || !partition.folder.is_online()
            || cleaners.has(partition.id)
            || cleaners.is_resting(partition.id, now)
        {
            continue;
        }
        match partition.log.dirty(partition.bounds().last_stable).await {
            Ok(Some(dirty)) => {
                dirtiest = dirtiest.max(dirty.ratio());
                delay_ms = delay_ms.max(dirty.overdue_ms);
                if dirty.is_due(config.min_cleanable_dirty_ratio) {
                    due.push(Due { handle, dirty });
                }
            }
            Ok(None) => {}
            Err(error) => rest(shared, partition, &error),
        }
    }
    shared.metrics.gauge(&CLEANER_DIRTY_PERCENT, &[]).set(percent(dirtiest));
    shared.metrics.gauge(&CLEANER_DELAY, &[]).set(delay_ms / 1000);
    due.sort_by(|a, b| b.dirty.ratio().total_cmp(&a.dirty.ratio()));
    // Another worker may have taken it meanwhile.
    due.into_iter().find(|due| cleaners.busy.lock().insert(due.handle.0.id))
}

/// Compacts a log. Returns whether to look for another one at once.
async fn clean(shared: &Arc<Shared>, due: &Due) -> bool {
    let partition = due.handle.0.clone();
    let (owned, dirty) = (shared.clone(), due.dirty);
    let work = {
        let partition = partition.clone();
        async move {
            let producers = last_records(&partition);
            partition.log.clean(&dirty, &producers, owned.cleaners.budget(), &owned.cleaners.pace).await
        }
    };
    match shared.runtime.compute.run(work).await {
        Ok(Ok(Some(cleaned))) => {
            note(&shared.metrics, &partition, &dirty, &cleaned);
            shared.cleaners.resting.lock().remove(&partition.id);
            partition.measure();
            store(shared, &partition.folder).await;
            true
        }
        Ok(Ok(None)) => false,
        Ok(Err(error)) => {
            rest(shared, &partition, &error);
            true
        }
        Err(lost) => {
            tracing::error!(partition = %partition.name, %lost, "a compaction ended early");
            shared.cleaners.resting.lock().insert(partition.id, None);
            true
        }
    }
}

fn last_records(partition: &Partition) -> BTreeMap<ProducerId, LastRecord> {
    let producers = partition.producers.lock();
    let last = |(id, state): (ProducerId, &millstream_txn::ProducerState)| {
        (id, LastRecord { offset: state.last_offset(), epoch: state.epoch() })
    };
    producers.iter().map(last).collect()
}

/// Leaves a log alone whose compaction failed.
fn rest(shared: &Shared, partition: &Partition, error: &LogError) {
    if partition.check_open().is_err() {
        return;
    }
    let until = match error.kind() {
        ErrorKind::Corrupt => None,
        _ => Some(shared.runtime.clock.elapsed() + RETRY),
    };
    let next = if until.is_some() { "it is tried again in a minute" } else { "it is not tried again before a restart" };
    tracing::error!(partition = %partition.name, %error, "the log was not compacted; {next}");
    let resting = {
        let mut resting = shared.cleaners.resting.lock();
        resting.insert(partition.id, until);
        resting.len()
    };
    shared.metrics.gauge(&CLEANER_UNCLEANABLE, &[]).set(i64::try_from(resting).unwrap_or(i64::MAX));
}

fn note(metrics: &Metrics, partition: &Partition, dirty: &Dirty, cleaned: &Cleaned) {
    let Cleaned { bytes_read, bytes_written, records_read, records_kept, records_without_key, .. } = *cleaned;
    tracing::info!(
        partition = %partition.name,
        from = dirty.first_dirty.0,
        to = cleaned.to.0,
        bytes_read,
        bytes_written,
        records_read,
        records_kept,
        took_ms = u64::try_from(cleaned.took.as_millis()).unwrap_or(u64::MAX),
        "compacted a log"
    );
    if records_without_key > 0 {
        tracing::warn!(partition = %partition.name, records_without_key, "records without a key were dropped by compaction: the topic was not compacted when they came");
    }
    metrics.counter(&CLEANER_BYTES_READ, &[]).add(bytes_read);
    metrics.counter(&CLEANER_BYTES_WRITTEN, &[]).add(bytes_written);
    metrics.counter(&CLEANER_KEYLESS, &[]).add(records_without_key);
    metrics.gauge(&CLEANER_TIME, &[]).set(i64::try_from(cleaned.took.as_secs()).unwrap_or(i64::MAX));
    metrics.gauge(&CLEANER_BUFFER_PERCENT, &[]).set(percent(cleaned.memory_used));
    let recopied = i64::try_from(bytes_written.saturating_mul(100) / bytes_read.max(1)).unwrap_or(i64::MAX);
    metrics.gauge(&CLEANER_RECOPY_PERCENT, &[]).set(recopied);
}

#[expect(clippy::cast_possible_truncation, reason = "a share of 1")]
fn percent(share: f64) -> i64 {
    (share * 100.0) as i64
}

async fn store(shared: &Arc<Shared>, folder: &Arc<Folder>) {
    if let Err(error) = write_checkpoint(shared, folder).await {
        folder.is_suspect.store(true, Ordering::Release);
        tracing::warn!(%error, "how far logs are compacted was not written; after a crash they are compacted again");
    }
}

/// Writes Kafka's file of how far each log of a data folder is compacted.
pub(crate) async fn write_checkpoint(shared: &Arc<Shared>, folder: &Arc<Folder>) -> Result<(), Error> {
    let _writing = folder.writing.lock().await;
    let mut offsets = shared.cleaners.stored.lock().get(&folder.place).cloned().unwrap_or_default();
    for handle in shared.open_in(folder) {
        let partition = &handle.0;
        let key = (partition.topic.to_string(), partition.id.partition.0);
        offsets.remove(&key);
        if let Some(to) = partition.log.cleaned_to().filter(|_| partition.log.config().compact) {
            offsets.insert(key, to);
        }
    }
    checkpoint::write(&*shared.runtime.disk, &folder.path.join(CLEANED), &offsets).await
}
