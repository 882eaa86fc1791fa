//! What is done to partitions now and then: retention, flushing, checkpoints, forgetting idle producers, gauges.

use crate::checkpoint::{self, HIGH_WATERMARKS, LOG_STARTS, Offsets, RECOVERY_POINTS};
use crate::service::{Shared, Slot};
use crate::{Bounds, Error, PartitionHandle, producers};
use millstream_telemetry::catalogue::{
    LEADER_COUNT, LOG_FLUSH_TIME, OFFLINE_REPLICAS, PARTITION_COUNT, UNDER_MIN_ISR, UNDER_REPLICATED,
};
use millstream_types::Offset;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

type Round = for<'a> fn(&'a Arc<Shared>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Starts the rounds.
pub(crate) fn spawn(shared: &Arc<Shared>) {
    let config = &shared.config;
    let rounds: [(&'static str, Duration, Round); 3] = [
        ("retention", config.retention_interval, |shared| Box::pin(retain(shared))),
        ("flusher", config.flush_interval, |shared| Box::pin(flush(shared))),
        ("checkpoints", config.checkpoint_interval, |shared| Box::pin(checkpoint_now(shared))),
    ];
    for (name, interval, round) in rounds {
        let (owned, shutdown) = (shared.clone(), shared.tasks.shutdown());
        // A round that has begun is finished: only the wait between two is cut short.
        shared.tasks.spawn(name, async move {
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.requested() => return,
                    () = owned.runtime.clock.sleep(interval) => {}
                }
                round(&owned).await;
            }
        });
    }
}

/// Deletes what the topics no longer keep.
pub(crate) async fn retain(shared: &Arc<Shared>) {
    let now = shared.runtime.clock.now();
    let expiry_ms = i64::try_from(shared.config.producer_expiry.as_millis()).unwrap_or(i64::MAX);
    for handle in shared.open() {
        let partition = &handle.0;
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
pub(crate) async fn flush(shared: &Arc<Shared>) {
    let time = shared.metrics.histogram(&LOG_FLUSH_TIME, &[]);
    for handle in shared.open() {
        let log = &handle.0.log;
        if log.unflushed_records() > 0 {
            let begun = shared.runtime.clock.elapsed();
            if let Err(error) = log.flush().await {
                tracing::warn!(partition = %handle.0.name, %error, "a log was not flushed");
            }
            time.observe(shared.runtime.clock.elapsed().saturating_sub(begun));
        }
        handle.0.measure();
    }
}

async fn checkpoint_now(shared: &Arc<Shared>) {
    for handle in shared.open() {
        if let Err(error) = handle.0.log.checkpoint().await {
            tracing::warn!(partition = %handle.0.name, %error, "a recovery point was not written; recovery checks more then");
        }
    }
    if let Err(error) = write_checkpoints(shared).await {
        tracing::warn!(%error, "the checkpoints were not written; they are tried again at the next round");
    }
}

/// Writes Kafka's checkpoint files of the whole folder.
pub(crate) async fn write_checkpoints(shared: &Arc<Shared>) -> Result<(), Error> {
    let (mut recovery, mut high, mut starts) = (Offsets::new(), Offsets::new(), Offsets::new());
    for handle in shared.open() {
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
        checkpoint::write(&*shared.runtime.disk, &shared.data_dir.path().join(name), &offsets).await?;
    }
    Ok(())
}

/// Sets the gauges of the whole broker.
pub(crate) fn count(shared: &Shared) {
    let partitions = shared.partitions.read();
    let (mut leaders, mut behind, mut below_min, mut failed) = (0, 0, 0, 0);
    for slot in partitions.values() {
        let Slot::Open(handle) = slot else {
            failed += 1;
            continue;
        };
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
    ] {
        shared.metrics.gauge(gauge, &[]).set(value);
    }
}

impl PartitionHandle {
    /// Closes the partition in order: what waits is written, the log is synced, and its producers are kept for the next start.
    pub(crate) async fn shut(&self) -> Result<(), Error> {
        let partition = &self.0;
        let producers = producers::snapshot(&partition.producers.lock());
        partition.close();
        partition.log.close(Some(producers)).await.map_err(|error| partition.failed(error))
    }
}
