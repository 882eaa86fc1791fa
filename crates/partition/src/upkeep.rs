//! What is done to partitions now and then: retention, flushing, checkpoints, forgetting idle producers, gauges.

use crate::checkpoint::{self, HIGH_WATERMARKS, LOG_STARTS, Offsets, RECOVERY_POINTS};
use crate::folder::Folder;
use crate::service::{Shared, Slot};
use crate::{Bounds, Error, PartitionHandle, cleaner, producers, revive};
use bytes::Bytes;
use millstream_storage::{Error as LogError, Log};
use millstream_telemetry::catalogue::{
    LEADER_COUNT, LOG_FLUSH_TIME, OFFLINE_FOLDERS, OFFLINE_REPLICAS, PARTITION_COUNT, UNDER_MIN_ISR, UNDER_REPLICATED,
};
use millstream_types::Offset;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// Logs from which on one sync of everything is cheaper than a sync of each of their files.
const TOGETHER_MIN: usize = 16;

/// Bytes from which on a flush is followed by a checkpoint at once: a recovery after a kill reads what came after the last one, twice.
const UNCHECKED_BYTES_MAX: u64 = 1 << 30;

type Round = for<'a> fn(&'a Arc<Shared>, &'a Arc<Folder>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Starts the rounds: each data folder has its own, so that none waits for another one's disk.
pub(crate) fn spawn(shared: &Arc<Shared>) {
    let config = &shared.config;
    let rounds: [(&'static str, Duration, Round); 4] = [
        ("retention", config.retention_interval, |shared, folder| Box::pin(retain(shared, folder))),
        ("flusher", config.flush_interval, |shared, folder| Box::pin(flush(shared, folder))),
        ("revival", config.revive_interval, |shared, folder| {
            Box::pin(async move {
                revive::revive(shared, folder).await;
            })
        }),
        ("checkpoints", config.checkpoint_interval, |shared, folder| Box::pin(checkpoint_now(shared, folder))),
    ];
    for folder in shared.folders.all() {
        spawn_prompt_flusher(shared, folder);
        for (name, interval, round) in rounds {
            let (owned, folder, shutdown) = (shared.clone(), folder.clone(), shared.tasks.shutdown());
            // A round that has begun is finished: only the wait between two is cut short.
            shared.tasks.spawn(name, async move {
                loop {
                    tokio::select! {
                        biased;
                        () = shutdown.requested() => return,
                        () = owned.runtime.clock.sleep(interval) => {}
                    }
                    round(&owned, &folder).await;
                }
            });
        }
    }
}

/// Shortest time between two looks for logs whose `flush.ms` has passed.
const FLUSH_LOOK_MIN: Duration = Duration::from_millis(10);

/// Syncs logs whose `flush.ms` has passed, where it is shorter than the flusher's interval.
fn spawn_prompt_flusher(shared: &Arc<Shared>, folder: &Arc<Folder>) {
    let (owned, folder, shutdown) = (shared.clone(), folder.clone(), shared.tasks.shutdown());
    shared.tasks.spawn("prompt flusher", async move {
        loop {
            let all = owned.open_in(&folder);
            let shortest = all.iter().filter_map(|handle| u64::try_from(handle.0.log.config().flush_ms).ok()).min();
            let interval = Duration::from_millis(shortest.unwrap_or(u64::MAX));
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                () = owned.runtime.clock.sleep(interval.clamp(FLUSH_LOOK_MIN, owned.config.flush_interval)) => {}
            }
            let due = all.iter().map(|handle| &handle.0.log).filter(|log| log.flush_due());
            for log in due {
                if let Err(error) = log.flush().await {
                    tracing::warn!(folder = %log.folder().display(), %error, "a log was not flushed");
                }
            }
        }
    });
}

/// Deletes what the topics no longer keep.
pub(crate) async fn retain(shared: &Arc<Shared>, folder: &Arc<Folder>) {
    if !folder.is_online() {
        return;
    }
    let now = shared.runtime.clock.now();
    let expiry_ms = i64::try_from(shared.config.producer_expiry.as_millis()).unwrap_or(i64::MAX);
    for handle in shared.open_in(folder) {
        let partition = &handle.0;
        if shared.cleaners.has(partition.id) {
            // What a compaction works on is deleted from at the next round.
            continue;
        }
        let below = partition.bounds().high_watermark;
        if let Err(error) = partition.log.retain(now, below).await {
            tracing::warn!(partition = %partition.name, %error, "retention did not finish; it is tried again at its next round");
        }
        partition.take_log_start();
        partition.producers.lock().expire(now, expiry_ms);
        partition.measure();
    }
}

/// Makes what was appended survive a power cut.
pub(crate) async fn flush(shared: &Arc<Shared>, folder: &Arc<Folder>) {
    if !folder.is_online() {
        return;
    }
    let time = shared.metrics.histogram(&LOG_FLUSH_TIME, &[]);
    let (all, begun) = (shared.open_in(folder), shared.runtime.clock.elapsed());
    let unflushed: Vec<Log> =
        all.iter().map(|handle| &handle.0.log).filter(|log| log.unflushed_records() > 0).cloned().collect();
    if unflushed.len() >= TOGETHER_MIN {
        let outcomes = on_disk(shared, async move { Log::flush_all(&unflushed).await }).await;
        for error in outcomes.into_iter().flatten().filter_map(Result::err) {
            tracing::warn!(%error, "a log was not flushed");
        }
        time.observe(shared.runtime.clock.elapsed().saturating_sub(begun));
    } else {
        for log in unflushed {
            let begun = shared.runtime.clock.elapsed();
            if let Err(error) = log.flush().await {
                tracing::warn!(folder = %log.folder().display(), %error, "a log was not flushed");
            }
            time.observe(shared.runtime.clock.elapsed().saturating_sub(begun));
        }
    }
    all.iter().for_each(|handle| handle.0.measure());
    if unchecked_bytes(&all) >= UNCHECKED_BYTES_MAX {
        checkpoint_now(shared, folder).await;
    }
}

/// Does `work` on the disk pool in one trip; none when it panicked, which is logged.
async fn on_disk<T: Send + 'static>(shared: &Shared, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (done, outcome) = oneshot::channel();
    let work = async move {
        // Who waits may have gone.
        let _ = done.send(work.await);
    };
    if let Err(error) = shared.runtime.disk.run(Box::pin(work)).await {
        tracing::error!(%error, "work on many logs ended early; this is a bug in Millstream");
    }
    outcome.await.ok()
}

/// Writes down how far each log is known to be whole, and what is known of its producers: a recovery begins there.
pub(crate) async fn checkpoint_now(shared: &Arc<Shared>, folder: &Arc<Folder>) {
    let _checkpointing = folder.checkpointing.lock().await;
    if !folder.is_online() {
        return;
    }
    let handles = shared.open_in(folder);
    let to_keep: Vec<_> = handles.iter().map(|handle| producers::to_keep(&handle.0)).collect();
    let sizes: Vec<u64> = handles.iter().map(|handle| handle.0.log.size()).collect();
    let places: Vec<Option<Offset>> = to_keep.iter().map(|kept| kept.as_ref().map(|(at, _)| *at)).collect();
    let logs: Vec<Log> = handles.iter().map(|handle| handle.0.log.clone()).collect();
    let outcomes = on_disk(shared, async move {
        if logs.len() >= TOGETHER_MIN {
            return Log::checkpoint_all(&logs, to_keep).await;
        }
        let mut outcomes = Vec::new();
        for (log, kept) in logs.iter().zip(to_keep) {
            outcomes.push(checkpoint_one(log, kept).await);
        }
        outcomes
    });
    let outcomes = outcomes.await.into_iter().flatten();
    for (((handle, at), size), outcome) in handles.iter().zip(places).zip(sizes).zip(outcomes) {
        match outcome {
            Ok(()) => {
                let partition = &handle.0;
                partition.checkpointed_bytes.store(size, Ordering::Release);
                partition
                    .kept_at
                    .store(at.map_or(partition.kept_at.load(Ordering::Acquire), |at| at.0), Ordering::Release);
            }
            Err(error) => tracing::warn!(%error, "a recovery point was not written; recovery checks more then"),
        }
    }
    if let Err(error) = write_checkpoints(shared, folder).await {
        folder.is_suspect.store(true, Ordering::Release);
        tracing::warn!(%error, "the checkpoints were not written; they are tried again at the next round");
    }
}

async fn checkpoint_one(log: &Log, kept: Option<(Offset, Bytes)>) -> Result<(), LogError> {
    if let Some((at, producers)) = kept {
        log.keep_producers(at, producers).await?;
    }
    log.checkpoint().await
}

/// Bytes that came into the logs since their checkpoints.
fn unchecked_bytes(handles: &[PartitionHandle]) -> u64 {
    let since = |handle: &PartitionHandle| {
        handle.0.log.size().saturating_sub(handle.0.checkpointed_bytes.load(Ordering::Acquire))
    };
    handles.iter().map(since).sum()
}

/// Writes Kafka's checkpoint files of a data folder.
async fn write_checkpoints(shared: &Arc<Shared>, folder: &Arc<Folder>) -> Result<(), Error> {
    let (mut recovery, mut high, mut starts) = (Offsets::new(), Offsets::new(), Offsets::new());
    for handle in shared.open_in(folder) {
        let partition = &handle.0;
        let key = (partition.topic.to_string(), partition.id.partition.0);
        let Bounds { log_start, local_start, high_watermark, .. } = partition.bounds();
        recovery.insert(key.clone(), partition.log.recovery_point());
        high.insert(key.clone(), high_watermark);
        if log_start > Offset::ZERO && log_start >= local_start {
            starts.insert(key, log_start);
        }
    }
    for (name, offsets) in [(RECOVERY_POINTS, recovery), (HIGH_WATERMARKS, high), (LOG_STARTS, starts)] {
        checkpoint::write(&*shared.runtime.disk, &folder.path.join(name), &offsets).await?;
    }
    cleaner::write_checkpoint(shared, folder).await
}

/// Sets the gauges of the whole broker.
pub(crate) fn count(shared: &Shared) {
    let partitions = shared.partitions.read();
    let (mut leaders, mut behind, mut below_min, mut failed) = (0, 0, 0, 0);
    let folders_offline = shared.folders.all().iter().filter(|folder| !folder.is_online()).count();
    for slot in partitions.values() {
        let Slot::Open(handle) = slot else {
            failed += 1;
            continue;
        };
        failed += i64::from(handle.0.log.failure().is_some());
        let min_isr = usize::try_from(handle.0.log.config().min_insync_replicas).unwrap_or(1);
        let replica = handle.0.replica.lock();
        let assignment = replica.assignment();
        if replica.is_leader() {
            leaders += 1;
            behind += i64::from(assignment.isr.len() < assignment.replicas.len());
            below_min += i64::from(assignment.isr.len() < min_isr);
        }
    }
    let all = i64::try_from(partitions.len()).unwrap_or(i64::MAX);
    for (gauge, value) in [
        (&PARTITION_COUNT, all),
        (&LEADER_COUNT, leaders),
        (&UNDER_REPLICATED, behind),
        (&UNDER_MIN_ISR, below_min),
        (&OFFLINE_REPLICAS, failed),
        (&OFFLINE_FOLDERS, i64::try_from(folders_offline).unwrap_or(i64::MAX)),
    ] {
        shared.metrics.gauge(gauge, &[]).set(value);
    }
}

/// Closes a data folder in order, and leaves it to other processes. `is_quiet` says that nothing works in it any more.
pub(crate) async fn close_folder(shared: &Arc<Shared>, folder: &Arc<Folder>, is_quiet: bool) -> Result<(), Error> {
    let handles = shared.open_in(folder);
    if !folder.is_online() {
        handles.iter().for_each(|handle| handle.0.close());
        folder.unlock();
        return Ok(());
    }
    let closed = close(shared, folder, &handles).await;
    write_checkpoints(shared, folder).await?;
    closed?;
    if is_quiet && handles.len() == shared.folders.replicas_in(folder).len() {
        folder.mark_clean().await?;
    }
    folder.unlock();
    Ok(())
}

/// Closes partitions in order: what waits is written, the logs are synced, and their producers are kept for the next start.
async fn close(shared: &Shared, folder: &Folder, handles: &[PartitionHandle]) -> Result<(), Error> {
    let producers: Vec<Bytes> = handles.iter().map(|handle| producers::snapshot(&handle.0.producers.lock())).collect();
    handles.iter().for_each(|handle| handle.0.close());
    let logs: Vec<Log> = handles.iter().map(|handle| handle.0.log.clone()).collect();
    let closed = on_disk(shared, async move {
        if logs.len() >= TOGETHER_MIN {
            return Log::close_all(&logs, producers).await;
        }
        let mut outcomes = Vec::new();
        for (log, producers) in logs.iter().zip(producers) {
            outcomes.push(log.close(Some(producers)).await);
        }
        outcomes
    });
    let panicked = || Error::io(&folder.path, io::Error::other("closing the logs did not end"));
    let outcomes = closed.await.ok_or_else(panicked)?;
    handles.iter().zip(outcomes).try_for_each(|(handle, outcome)| outcome.map_err(|error| handle.0.failed(error)))
}
