//! Following the quorum's image: opens, assigns, reconfigures and deletes partitions until they are what it says.

use crate::config::Config;
use crate::partition::{Partition, Parts};
use crate::service::{Shared, Slot};
use crate::{Error, Meter, PartitionHandle};
use futures::StreamExt;
use millstream_metadata::{Image, Topic};
use millstream_replica::Assignment;
use millstream_runtime::EntryKind;
use millstream_storage::{Error as LogError, Log, LogId, Recovery, parse_folder_name, remove_deleted};
use millstream_types::{Offset, PartitionIndex, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes of the longest name of a folder.
const NAME_BYTES_MAX: usize = 255;

/// Partitions that one trip to the disk pool opens.
const PARTITIONS_PER_TRIP: usize = 16;

/// Brings the partitions in line with one image after another.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    image: watch::Receiver<Arc<Image>>,
    /// What was applied, so that a topic that is the same object needs no look.
    applied: BTreeMap<TopicId, Arc<Topic>>,
    /// How the folder was left; what is opened after the start is new.
    recovery: Recovery,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (image, recovery) = (shared.image.clone(), shared.data_dir.recovery());
        Self { shared, image, applied: BTreeMap::new(), recovery }
    }

    /// Finishes interrupted deletions and moves folders aside that are of no partition of the image.
    pub(crate) async fn tidy(&self) -> Result<(), Error> {
        let path = self.shared.data_dir.path();
        remove_deleted(&self.shared.runtime, path)
            .await
            .map_err(|error| Error::Storage { name: path.display().to_string().into(), source: Arc::new(error) })?;
        let entries = self.shared.runtime.disk.read_dir(path).await.map_err(|error| Error::io(path, error))?;
        let image = self.image.borrow().clone();
        for (name, kind) in entries {
            let Some((topic, partition)) = parse_folder_name(&name).filter(|_| kind == EntryKind::Directory) else {
                continue;
            };
            let is_known = image.topic_named(topic).is_some_and(|topic| is_ours(&self.shared.config, topic, partition));
            if !is_known {
                set_aside(&self.shared, &name).await?;
            }
        }
        Ok(())
    }

    /// Applies the image as it is now.
    pub(crate) async fn catch_up(&mut self) {
        let image = self.image.borrow_and_update().clone();
        self.apply(&image).await;
        // Whatever is opened later was made by this process.
        self.recovery = Recovery::CLEAN;
    }

    /// Applies every image that comes, until the node stops.
    pub(crate) async fn run(mut self) {
        let shutdown = self.shared.tasks.shutdown();
        loop {
            let changed = tokio::select! {
                biased;
                () = shutdown.requested() => return,
                changed = self.image.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            let image = self.image.borrow_and_update().clone();
            self.apply(&image).await;
        }
    }

    async fn apply(&mut self, image: &Image) {
        let shared = self.shared.clone();
        let _settling = shared.settling.lock().await;
        let gone: Vec<Arc<Topic>> =
            self.applied.values().filter(|topic| image.topic(topic.id).is_none()).cloned().collect();
        for topic in gone {
            self.applied.remove(&topic.id);
            self.remove(&topic).await;
        }
        let changed: Vec<Arc<Topic>> = image
            .topics()
            .filter(|topic| !self.applied.get(&topic.id).is_some_and(|known| Arc::ptr_eq(known, topic)))
            .cloned()
            .collect();
        let mut work = Vec::new();
        for topic in &changed {
            let ours =
                topic.partitions().map(|(index, _)| index).filter(|index| is_ours(&self.shared.config, topic, *index));
            work.extend(ours.map(|index| (topic.clone(), index)));
        }
        self.settle_all(work).await;
        self.applied.extend(changed.into_iter().map(|topic| (topic.id, topic)));
        crate::upkeep::count(&self.shared);
        self.shared.changed();
    }

    /// Settles partitions, many to a trip to the disk pool: each takes some dozens of small operations on files.
    async fn settle_all(&self, work: Vec<(Arc<Topic>, PartitionIndex)>) {
        let mut trips = Vec::new();
        for chunk in work.chunks(PARTITIONS_PER_TRIP) {
            let (shared, recovery, chunk) = (self.shared.clone(), self.recovery, chunk.to_vec());
            let disk = shared.runtime.disk.clone();
            let trip = async move {
                for (topic, index) in chunk {
                    settle(shared.clone(), topic, index, recovery).await;
                }
            };
            trips.push(async move { disk.run(Box::pin(trip)).await });
        }
        let parallel = self.shared.config.open_parallel;
        let outcomes: Vec<std::io::Result<()>> =
            futures::stream::iter(trips).buffer_unordered(parallel).collect().await;
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "opening partitions panicked; some are not served; this is a bug in Millstream");
        }
    }

    async fn remove(&self, topic: &Topic) {
        for (index, _) in topic.partitions() {
            let slot = self.shared.partitions.write().remove(&TopicPartition::new(topic.id, index));
            Meter::forget(&self.shared.metrics, &topic.name, index, index == PartitionIndex(0));
            let Some(Slot::Open(handle)) = slot else { continue };
            handle.0.close();
            if let Err(error) = handle.0.log.delete().await {
                tracing::error!(partition = %handle.0.name, %error, "a deleted topic's log was not deleted; it is set aside at the next start");
            }
        }
    }
}

fn is_ours(config: &Config, topic: &Topic, index: PartitionIndex) -> bool {
    topic.partition(index).is_some_and(|partition| partition.replicas.contains(&config.local))
}

/// Opens a partition again that was closed because its disk had failed. Returns whether it takes writes.
pub(crate) async fn reopen(shared: &Arc<Shared>, topic: &Arc<Topic>, index: PartitionIndex) -> bool {
    let id = TopicPartition::new(topic.id, index);
    shared.partitions.write().remove(&id);
    settle(shared.clone(), topic.clone(), index, Recovery::KILLED).await;
    let handle = match shared.partitions.read().get(&id) {
        Some(Slot::Open(handle)) => handle.clone(),
        Some(Slot::Failed(_)) | None => return false,
    };
    handle.0.log.write_again().await.is_ok()
}

/// Opens the partition where it is not open, and applies its state and options.
async fn settle(shared: Arc<Shared>, topic: Arc<Topic>, index: PartitionIndex, recovery: Recovery) {
    let id = TopicPartition::new(topic.id, index);
    let open = match shared.partitions.read().get(&id) {
        Some(Slot::Open(handle)) => Some(handle.clone()),
        Some(Slot::Failed(_)) | None => None,
    };
    let settled = async {
        let handle = match open {
            Some(handle) => handle,
            None => PartitionHandle(open_partition(&shared, &topic, index, recovery).await?),
        };
        if let Some(state) = topic.partition(index) {
            let assignment = Assignment {
                leader: state.leader,
                leader_epoch: state.leader_epoch,
                replicas: state.replicas.clone(),
                isr: state.isr.clone(),
            };
            handle.0.assign(&assignment, &topic.config).await?;
        }
        Ok::<_, Error>(handle)
    };
    let slot = match settled.await {
        Ok(handle) => Slot::Open(handle),
        Err(error) => {
            tracing::error!(topic = %topic.name, partition = index.0, %error, "a partition can't be served");
            Slot::Failed(error)
        }
    };
    shared.partitions.write().insert(id, slot);
}

async fn open_partition(
    shared: &Arc<Shared>,
    topic: &Topic,
    index: PartitionIndex,
    recovery: Recovery,
) -> Result<Arc<Partition>, Error> {
    let dir = shared.data_dir.path().to_owned();
    let id = LogId { dir, topic: topic.name.to_string(), partition: TopicPartition::new(topic.id, index) };
    let name = millstream_storage::folder_name(&topic.name, index);
    let failed = |error| Error::Storage { name: name.as_str().into(), source: Arc::new(error) };
    let opened = Log::open(shared.runtime.clone(), id.clone(), topic.config.clone(), recovery).await;
    let is_anew = matches!(opened, Err(LogError::WrongTopic { .. }));
    let log = match opened {
        // The topic was deleted and made again while this broker was away: what is here is of the old one.
        Err(LogError::WrongTopic { .. }) => {
            set_aside(shared, &name).await?;
            Log::open(shared.runtime.clone(), id, topic.config.clone(), Recovery::CLEAN).await.map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    let stored = shared.high_watermarks.lock().remove(&(topic.name.to_string(), index.0));
    let partition = Partition::new(Parts {
        topic: topic.name.clone(),
        runtime: shared.runtime.clone(),
        log,
        cold: shared.cold.clone(),
        meter: Meter::new(&shared.metrics, &topic.name, index),
        local: shared.config.local,
        high_watermark: stored.unwrap_or(Offset::ZERO),
    });
    let partition = partition.await?;
    if !is_anew {
        shared.cleaners.restore(&partition);
    }
    Ok(partition)
}

/// Renames a folder as Kafka does with what belongs to no topic it knows: it is kept, and never looked into again.
async fn set_aside(shared: &Shared, name: &str) -> Result<(), Error> {
    let dir = shared.data_dir.path();
    let ending = format!(".{:032x}-stray", shared.runtime.random.next_u128());
    // Names are ASCII: they were parsed as a topic's.
    let kept = name.get(..NAME_BYTES_MAX - ending.len()).unwrap_or(name);
    let (from, to) = (dir.join(name), dir.join(format!("{kept}{ending}")));
    rename(shared, &from, &to).await?;
    tracing::warn!(folder = %from.display(), kept_as = %to.display(), "the folder is of no partition of this broker and was set aside; delete it when it is not missed");
    Ok(())
}

async fn rename(shared: &Shared, from: &Path, to: &Path) -> Result<(), Error> {
    let disk = &shared.runtime.disk;
    disk.rename(from, to).await.map_err(|error| Error::io(from, error))?;
    disk.sync_dir(shared.data_dir.path()).await.map_err(|error| Error::io(shared.data_dir.path(), error))
}
