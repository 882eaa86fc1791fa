//! Scrubbing: the closed segments of every log are read now and then and each batch checked, so that damage is found while there is still
//! another copy. What is found is named by file and offset and not served from the disk; where the object store has it, it is read there.

use crate::PartitionHandle;
use crate::config::ScrubConfig;
use crate::service::Shared;
use millstream_runtime::{Runtime, Tasks};
use millstream_storage::{Pace, Scrubbed};
use millstream_telemetry::catalogue::{LOG_DAMAGED_BATCHES, LOG_SCRUBBED_BYTES};
use std::sync::Arc;
use std::time::Duration;

/// A node that just started has other things to do.
const FIRST_AFTER: Duration = Duration::from_secs(600);

/// What the rounds share.
pub(crate) struct Scrubber {
    config: ScrubConfig,
    pace: Pace,
}

impl Scrubber {
    pub(crate) fn new(config: ScrubConfig, runtime: &Runtime, tasks: &Tasks) -> Self {
        Self { config, pace: Pace::new(runtime, tasks.shutdown(), config.bytes_per_second) }
    }
}

/// Starts the rounds.
pub(crate) fn spawn(shared: &Arc<Shared>) {
    let interval = shared.scrubber.config.interval;
    if interval.is_zero() {
        return;
    }
    let (owned, shutdown) = (shared.clone(), shared.tasks.shutdown());
    shared.tasks.spawn("scrubber", async move {
        // What a recovery took as it was is checked at each read until this is through.
        scrub_logs(&owned, Part::Unchecked).await;
        let mut wait = interval.min(FIRST_AFTER);
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                () = owned.runtime.clock.sleep(wait) => {}
            }
            scrub_all(&owned).await;
            wait = interval;
        }
    });
}

/// What is looked at of a log.
#[derive(Clone, Copy)]
enum Part {
    /// What nobody writes any more.
    Closed,
    /// What was not checked when it was opened.
    Unchecked,
}

/// One look at every log. Returns how many damaged batches there are.
pub(crate) async fn scrub_all(shared: &Arc<Shared>) -> usize {
    let damaged = scrub_logs(shared, Part::Closed).await + scrub_logs(shared, Part::Unchecked).await;
    shared.metrics.gauge(&LOG_DAMAGED_BATCHES, &[]).set(i64::try_from(damaged).unwrap_or(i64::MAX));
    damaged
}

async fn scrub_logs(shared: &Arc<Shared>, part: Part) -> usize {
    let mut damaged = 0;
    for handle in shared.open().into_iter().filter(|handle| handle.0.folder.is_online()) {
        if shared.tasks.shutdown().is_requested() {
            break;
        }
        if let Some(scrubbed) = scrub(shared, &handle, part).await {
            shared.metrics.counter(&LOG_SCRUBBED_BYTES, &[]).add(scrubbed.bytes);
            damaged += scrubbed.damages.len();
        }
    }
    damaged
}

async fn scrub(shared: &Arc<Shared>, handle: &PartitionHandle, part: Part) -> Option<Scrubbed> {
    let (owned, log) = (shared.clone(), handle.0.log.clone());
    if matches!(part, Part::Unchecked) && !log.has_unchecked() {
        return None;
    }
    let partition = &handle.0.name;
    let look = async move {
        let pace = &owned.scrubber.pace;
        match part {
            Part::Closed => log.scrub(pace).await,
            Part::Unchecked => log.scrub_unchecked(pace).await,
        }
    };
    match shared.runtime.compute.run(look).await {
        Ok(Ok(scrubbed)) => {
            for damage in scrubbed.iter().flat_map(|scrubbed| &scrubbed.damages) {
                let (first, end) = (damage.offsets.start.0, damage.offsets.end.0);
                let error = damage.error();
                tracing::error!(%partition, first, end, %error, "records are damaged; they are not served from this disk");
            }
            scrubbed
        }
        Ok(Err(error)) => {
            if handle.0.check_open().is_ok() {
                tracing::warn!(%partition, %error, "the log was not read through for damage; it is tried again at the next round");
            }
            None
        }
        Err(lost) => {
            tracing::error!(%partition, %lost, "a look for damage ended early");
            None
        }
    }
}
