//! The round over one partition: copy, then delete by retention in the store, local copies by local retention, and garbage.

use crate::error::Error;
use crate::layout;
use crate::manifest::{Manifest, Segment};
use crate::offload::Offloaded;
use crate::plan;
use crate::source::SegmentSource;
use crate::state::Partition;
use crate::tier::{Shared, Tier};
use millstream_types::{Offset, TopicId};
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tended {
    /// What was copied.
    pub offloaded: Offloaded,
    /// Local segments that were dropped.
    pub dropped_local: usize,
    /// Segments that were deleted from the store.
    pub deleted_remote: usize,
}

impl Tier {
    /// One round: copies, applies `retention.*` to the whole and `local.retention.*` to local disk, and now and then removes garbage. After a
    /// failure it does nothing until a wait, which doubles, is over. To be called every few seconds for each partition led here whose topic
    /// has `remote.storage.enable`.
    ///
    /// # Errors
    /// As [`Tier::offload`].
    pub async fn tend(&self, source: &dyn SegmentSource) -> Result<Tended, Error> {
        let partition = self.0.register(&source.topic().name, source.partition());
        if !partition.is_due(self.0.runtime.clock.elapsed()) {
            return Ok(Tended::default());
        }
        let _writer = partition.writer.lock().await;
        let outcome = self.0.round(&partition, source).await;
        self.0.note(&partition, &outcome);
        outcome
    }

    /// Drops every local segment that is cold, whatever local retention says. Returns how many bytes went.
    ///
    /// # Errors
    /// The store's, where its manifest has not been read yet; the disk's.
    pub async fn drop_local(&self, source: &dyn SegmentSource) -> Result<u64, Error> {
        let partition = self.0.register(&source.topic().name, source.partition());
        let _writer = partition.writer.lock().await;
        let Some(end) = self.0.manifest(&partition).await?.end() else { return Ok(0) };
        let before = source.local_bytes();
        let gone: u64 = source
            .closed_segments()
            .await?
            .iter()
            .filter(|segment| segment.next <= end)
            .map(|segment| segment.size)
            .sum();
        if gone == 0 || !source.still_leads().await {
            return Ok(0);
        }
        source.delete_local_before(end).await?;
        Ok(before.saturating_sub(source.local_bytes()))
    }

    /// Removes the objects of a partition that no manifest names and that are older than `age`: what a crash left between an upload and
    /// its manifest. Returns how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self, source: &dyn SegmentSource, age: Duration) -> Result<usize, Error> {
        let partition = self.0.register(&source.topic().name, source.partition());
        let _writer = partition.writer.lock().await;
        self.0.sweep(&partition, source, age).await
    }

    /// Deletes everything of a topic that was deleted, its own manifests first, so that what a failure leaves can't be taken for a topic.
    /// Returns how many objects went; to be called again after an error.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_topic(&self, name: &str, id: TopicId) -> Result<usize, Error> {
        self.0.topics.lock().remove(&id);
        self.0.partitions.lock().retain(|partition, _| partition.topic != id);
        let prefix = self.0.store.store.prefix();
        let mut deleted = 0;
        for folder in [layout::topic_manifests(prefix, name, id), layout::topic_prefix(prefix, name, id)] {
            for object in self.0.store.list(&folder).await? {
                self.0.store.delete(&object.location).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

impl Shared {
    async fn round(&self, partition: &Partition, source: &dyn SegmentSource) -> Result<Tended, Error> {
        let mut tended = Tended { offloaded: self.offload(partition, source).await?, ..Tended::default() };
        if !source.still_leads().await {
            return Ok(tended);
        }
        tended.deleted_remote = self.retain_remote(partition, source).await?;
        tended.dropped_local = self.retain_local(partition, source).await?;
        if partition.take_sweep(self.runtime.clock.elapsed(), self.config.sweep_interval) {
            self.sweep(partition, source, self.config.garbage_age).await?;
        }
        Ok(tended)
    }

    async fn retain_local(&self, partition: &Partition, source: &dyn SegmentSource) -> Result<usize, Error> {
        let Some(cold_end) = self.manifest(partition).await?.end() else { return Ok(0) };
        let closed = source.closed_segments().await?;
        let now = self.runtime.clock.now();
        match plan::local_end(&closed, cold_end, source.local_bytes(), (&source.config(), now)) {
            Some(end) => source.delete_local_before(end).await,
            None => Ok(0),
        }
    }

    /// The log's start moves first, then the manifest, then the objects go: a reader never sees a name without its object for long.
    async fn retain_remote(&self, partition: &Partition, source: &dyn SegmentSource) -> Result<usize, Error> {
        let manifest = self.manifest(partition).await?;
        if manifest.segments.is_empty() {
            return Ok(0);
        }
        let closed = source.closed_segments().await?;
        let local_only = plan::local_only(&closed, manifest.end().unwrap_or(Offset::ZERO), source.local_bytes());
        let expired = plan::remote_start(&manifest, local_only, (&source.config(), self.runtime.clock.now()));
        if let Some(start) = expired.filter(|start| *start > source.log_start()) {
            source.start_at(start).await?;
        }
        let start = source.log_start();
        let next = self.commit(partition, source.leader_epoch(), |current| plan::started_at(current, start)).await?;
        let gone: Vec<&Segment> =
            manifest.segments.iter().filter(|old| next.segments.iter().all(|kept| kept.id != old.id)).collect();
        for segment in &gone {
            for object in segment.objects.values() {
                self.store.delete(&self.object_path(partition, &object.name)).await?;
            }
        }
        let ids: Vec<Uuid> = gone.iter().map(|segment| segment.id).collect();
        self.forget(&ids).await;
        Ok(gone.len())
    }

    async fn forget(&self, segments: &[Uuid]) {
        if !segments.is_empty() {
            self.indexes.lock().remove_where(|id| segments.contains(id));
            self.cache.forget(segments).await;
        }
    }

    async fn sweep(&self, partition: &Partition, source: &dyn SegmentSource, age: Duration) -> Result<usize, Error> {
        // What this node knows may be old: another leader's objects are named in the newest manifest only.
        let manifest = self.reload(partition).await?;
        if manifest.leader_epoch > source.leader_epoch() || !source.still_leads().await {
            return Ok(0);
        }
        let named: BTreeSet<String> = names(self, partition, &manifest);
        let before = self.runtime.clock.now().0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let segments = layout::segments(self.store.store.prefix(), &partition.topic, partition.id);
        let mut removed = 0;
        for object in self.store.list(&segments).await? {
            if object.last_modified.timestamp_millis() <= before && !named.contains(object.location.as_ref()) {
                self.store.delete(&object.location).await?;
                removed += 1;
            }
        }
        for object in self.store.list(&self.manifests(partition)).await? {
            let is_old = layout::number_of(&object.location)
                .is_some_and(|number| number + self.config.manifests_kept <= manifest.number);
            if is_old {
                self.store.delete(&object.location).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn names(shared: &Shared, partition: &Partition, manifest: &Manifest) -> BTreeSet<String> {
    let objects = manifest.segments.iter().flat_map(|segment| segment.objects.values());
    objects.map(|object| shared.object_path(partition, &object.name).to_string()).collect()
}
