//! Copying what is closed and stable, and naming it in a manifest.

use crate::config::SEGMENTS_PER_COMMIT;
use crate::error::Error;
use crate::manifest::{Manifest, Segment};
use crate::plan;
use crate::source::SegmentSource;
use crate::state::Partition;
use crate::tier::{Shared, Tier};
use futures::{StreamExt, TryStreamExt};
use millstream_types::Offset;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offloaded {
    /// Segments.
    pub segments: usize,
    /// Bytes of their logs.
    pub bytes: u64,
    /// Everything below is cold now; none where nothing is.
    pub end: Option<Offset>,
}

impl Tier {
    /// Copies every closed and stable segment that is not cold yet, now, whatever the wait after earlier failures. Local copies stay. Nothing is
    /// copied of a topic with `remote.log.copy.disable`.
    ///
    /// # Errors
    /// The store's and the disk's; [`Error::Fenced`]; [`Error::Diverged`]. What was copied before stays copied.
    pub async fn offload(&self, source: &dyn SegmentSource) -> Result<Offloaded, Error> {
        let partition = self.0.register(&source.topic().name, source.partition());
        let _writer = partition.writer.lock().await;
        let outcome = self.0.offload(&partition, source).await;
        self.0.note(&partition, &outcome);
        outcome
    }
}

impl Shared {
    /// Called by the partition's writer.
    pub(crate) async fn offload(&self, partition: &Partition, source: &dyn SegmentSource) -> Result<Offloaded, Error> {
        let mut manifest = self.manifest(partition).await?;
        check_fits(partition, source, &manifest)?;
        self.describe(&source.topic()).await?;
        let mut done = Offloaded::default();
        while !source.config().remote_log_copy_disable {
            let closed = source.closed_segments().await?;
            let mut planned = plan::uploads(&closed, &manifest, (source.log_start(), source.stable_end()));
            self.instruments.waiting(&partition.topic, planned.iter().map(|segment| segment.size).sum());
            planned.truncate(SEGMENTS_PER_COMMIT);
            if planned.is_empty() {
                break;
            }
            let mut copies = Vec::with_capacity(planned.len());
            for closed in planned {
                copies.push(self.upload(partition, source, closed));
            }
            let uploaded: Vec<Segment> =
                futures::stream::iter(copies).buffered(self.config.uploads_max.max(1)).try_collect().await?;
            done.segments += uploaded.len();
            done.bytes += uploaded.iter().map(Segment::bytes).sum::<u64>();
            manifest = self
                .commit(partition, source.leader_epoch(), |current| with_segments(current, &uploaded, source))
                .await?;
        }
        done.end = manifest.end();
        if let Some(end) = done.end {
            source.set_tiered_to(end);
        }
        Ok(done)
    }
}

/// The manifest with more segments; none where another writer has copied all of it meanwhile.
fn with_segments(current: &Manifest, uploaded: &[Segment], source: &dyn SegmentSource) -> Option<Manifest> {
    let mut next = plan::started_at(current, source.log_start()).unwrap_or_else(|| current.clone());
    let mut end = next.end();
    for segment in uploaded {
        // Without a gap and without a copy that adds nothing.
        let joins = end.is_none_or(|end| segment.base <= end && segment.end > end);
        if joins {
            end = Some(segment.end);
            next.segments.push(segment.clone());
        }
    }
    let end = end?;
    let mut epochs = source.epochs();
    epochs.truncate_end(end);
    let known = epochs.iter().next().map(|(epoch, _)| epoch);
    // The log may have forgotten epochs of what is no longer local.
    next.epochs.retain(|(epoch, _)| known.is_none_or(|known| *epoch < known));
    next.epochs.extend(epochs.iter());
    (next != *current).then_some(next)
}

/// Refuses a log that is not the one whose segments are in the store.
fn check_fits(partition: &Partition, source: &dyn SegmentSource, manifest: &Manifest) -> Result<(), Error> {
    let Some(remote_end) = manifest.end() else { return Ok(()) };
    let diverged = |problem: String| Error::Diverged { partition: partition.name.clone(), remote_end, problem };
    if source.log_end() < remote_end {
        return Err(diverged(format!("the log here ends at {}", source.log_end())));
    }
    let last = remote_end + -1;
    match (manifest.epoch_at(last), source.epochs().at(last)) {
        (Some(theirs), Some(ours)) if theirs != ours => {
            Err(diverged(format!("its offset {last} is of epoch {theirs} there and of epoch {ours} here")))
        }
        _ => Ok(()),
    }
}
