//! Following the quorum's image: opens, assigns, reconfigures and deletes partitions until they are what it says.

use crate::config::Config;
use crate::folder::Folder;
use crate::partition::{Partition, Parts};
use crate::service::{Shared, Slot};
use crate::{Error, Meter, PartitionHandle, look};
use futures::StreamExt;
use millstream_metadata::{Image, Topic};
use millstream_replica::Assignment;
use millstream_storage::{Error as LogError, Log, LogId, Recovery};
use millstream_types::{ErrorKind, Offset, PartitionIndex, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Partitions that one trip to the disk pool opens.
const PARTITIONS_PER_TRIP: usize = 16;

/// How what there is of a partition was left.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Left {
    /// As the last process left its data folder.
    AtStart,
    /// There is nothing of it yet.
    New,
    /// As this process left it when its disk failed.
    Failed(Recovery),
}

/// What is to be done with partitions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    /// To open those that are not open, and to apply their state and options.
    Settle(Left),
    /// To open again those that were closed because their disk had failed.
    Reopen(Recovery),
}

/// Brings the partitions in line with one image after another.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    image: watch::Receiver<Arc<Image>>,
    /// What was applied, so that a topic that is the same object needs no look.
    applied: BTreeMap<TopicId, Arc<Topic>>,
    /// How what is opened now was left; what is opened after the start is new.
    left: Left,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let image = shared.image.clone();
        Self { shared, image, applied: BTreeMap::new(), left: Left::AtStart }
    }

    /// Looks into the data folders. One that can't be used is offline from then on, except for the first, without which there is no node.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        let (shared, image) = (&self.shared, self.image.borrow().clone());
        for folder in shared.folders.all().iter().filter(|folder| folder.is_online()) {
            match look::begin(shared, &image, folder).await {
                Err(error) if folder.place == 0 => return Err(error),
                Err(error) => drop(folder.fail(error.to_string())),
                Ok(()) => {}
            }
        }
        let is_known = |id: TopicPartition| {
            image.topic(id.topic).is_some_and(|topic| is_ours(&shared.config, topic, id.partition))
        };
        shared.folders.retain(is_known);
        shared.folders.report();
        Ok(())
    }

    /// Applies the image as it is now.
    pub(crate) async fn catch_up(&mut self) {
        let image = self.image.borrow_and_update().clone();
        self.apply(&image).await;
        // Whatever is opened later was made by this process.
        self.left = Left::New;
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
        crate::watch::check_others(&shared).await;
        shared.folders.choose(work.iter().map(|(topic, index)| TopicPartition::new(topic.id, *index)), &[]).await;
        in_trips(&shared, work, Deed::Settle(self.left)).await;
        self.applied.extend(changed.into_iter().map(|topic| (topic.id, topic)));
        crate::upkeep::count(&self.shared);
        self.shared.changed();
    }

    async fn remove(&self, topic: &Topic) {
        for (index, _) in topic.partitions() {
            let id = TopicPartition::new(topic.id, index);
            let slot = self.shared.partitions.write().remove(&id);
            self.shared.folders.forget([id]);
            Meter::forget(&self.shared.metrics, &topic.name, index, index == PartitionIndex(0));
            let Some(Slot::Open(handle)) = slot else { continue };
            handle.0.close();
            if let Err(error) = handle.0.log.delete().await {
                tracing::error!(partition = %handle.0.name, %error, "a deleted topic's log was not deleted; it is set aside at the next start");
            }
        }
    }
}

/// Does something with partitions, many to a trip to the disk pool: each takes some dozens of small operations on files. Returns how many of
/// them can be written then.
pub(crate) async fn in_trips(shared: &Arc<Shared>, work: Vec<(Arc<Topic>, PartitionIndex)>, deed: Deed) -> usize {
    let usable = Arc::new(AtomicUsize::new(0));
    let mut trips = Vec::new();
    for chunk in work.chunks(PARTITIONS_PER_TRIP) {
        let (owned, chunk, usable) = (shared.clone(), chunk.to_vec(), usable.clone());
        let trip = async move {
            for (topic, index) in chunk {
                let is_usable = match deed {
                    Deed::Settle(left) => settle(owned.clone(), topic, index, left).await,
                    Deed::Reopen(recovery) => reopen(&owned, &topic, index, recovery).await,
                };
                usable.fetch_add(usize::from(is_usable), Ordering::Relaxed);
            }
        };
        let disk = shared.runtime.disk.clone();
        trips.push(async move { disk.run(Box::pin(trip)).await });
    }
    let parallel = shared.config.open_parallel;
    let outcomes: Vec<std::io::Result<()>> = futures::stream::iter(trips).buffer_unordered(parallel).collect().await;
    for error in outcomes.into_iter().filter_map(Result::err) {
        tracing::error!(%error, "opening partitions panicked; some are not served; this is a bug in Millstream");
    }
    usable.load(Ordering::Relaxed)
}

pub(crate) fn is_ours(config: &Config, topic: &Topic, index: PartitionIndex) -> bool {
    topic.partition(index).is_some_and(|partition| partition.replicas.contains(&config.local))
}

/// Opens a partition again that was closed because its disk had failed. Returns whether it takes writes.
pub(crate) async fn reopen(
    shared: &Arc<Shared>,
    topic: &Arc<Topic>,
    index: PartitionIndex,
    recovery: Recovery,
) -> bool {
    let id = TopicPartition::new(topic.id, index);
    shared.partitions.write().remove(&id);
    if !settle(shared.clone(), topic.clone(), index, Left::Failed(recovery)).await {
        return false;
    }
    let handle = match shared.partitions.read().get(&id) {
        Some(Slot::Open(handle)) => handle.clone(),
        Some(Slot::Failed(_)) | None => return false,
    };
    handle.0.log.write_again().await.is_ok()
}

/// Opens the partition where it is not open, and applies its state and options. Returns whether it is open then.
async fn settle(shared: Arc<Shared>, topic: Arc<Topic>, index: PartitionIndex, left: Left) -> bool {
    let id = TopicPartition::new(topic.id, index);
    let open = match shared.partitions.read().get(&id) {
        Some(Slot::Open(handle)) => Some(handle.clone()),
        Some(Slot::Failed(_)) | None => None,
    };
    let settled = async {
        let handle = match open {
            Some(handle) => handle,
            None => PartitionHandle(open_somewhere(&shared, &topic, index, left).await?),
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
            // A folder that is offline was told of once, and not for each partition in it.
            if !matches!(error, Error::FolderOffline { .. } | Error::FolderGone { .. }) {
                tracing::error!(topic = %topic.name, partition = index.0, %error, "a partition can't be served");
            }
            Slot::Failed(error)
        }
    };
    let is_open = matches!(slot, Slot::Open(_));
    shared.partitions.write().insert(id, slot);
    is_open
}

/// Opens the partition in its data folder. One that there is nothing of yet, and that its folder has no room for, is begun in another.
async fn open_somewhere(
    shared: &Arc<Shared>,
    topic: &Topic,
    index: PartitionIndex,
    left: Left,
) -> Result<Arc<Partition>, Error> {
    let id = TopicPartition::new(topic.id, index);
    let name = millstream_storage::folder_name(&topic.name, index);
    let mut avoid = Vec::new();
    loop {
        let folder = shared.folders.folder_of(id, &name)?;
        let error = match open_partition(shared, topic, (index, &folder), left).await {
            Ok(partition) => return Ok(partition),
            Err(error) => error,
        };
        folder.is_suspect.store(true, Ordering::Release);
        avoid.push(folder.place);
        let has_others = shared.folders.all().iter().any(|other| other.is_online() && !avoid.contains(&other.place));
        let goes_elsewhere = matches!(left, Left::New) && is_of_the_disk(&error) && has_others;
        if !goes_elsewhere || !look::unmake(shared, &folder, (&topic.name, id)).await {
            return Err(error);
        }
        tracing::warn!(partition = name, folder = %folder.path.display(), %error, "a partition was not begun in a data folder; another one is tried");
        shared.folders.forget([id]);
        shared.folders.choose([id], &avoid).await;
    }
}

/// Whether an error may pass as soon as the disk is well.
pub(crate) fn is_of_the_disk(error: &Error) -> bool {
    matches!(error, Error::Storage { .. } | Error::Io { .. } | Error::FolderOffline { .. })
        && matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Exhausted)
}

async fn open_partition(
    shared: &Arc<Shared>,
    topic: &Topic,
    (index, folder): (PartitionIndex, &Arc<Folder>),
    left: Left,
) -> Result<Arc<Partition>, Error> {
    let dir = folder.path.clone();
    let id = LogId { dir, topic: topic.name.to_string(), partition: TopicPartition::new(topic.id, index) };
    let name = millstream_storage::folder_name(&topic.name, index);
    let failed = |error| Error::Storage { name: name.as_str().into(), source: Arc::new(error) };
    let recovery = match left {
        Left::AtStart => folder.recovery(),
        Left::New => Recovery::CLEAN,
        Left::Failed(recovery) => recovery,
    };
    let opened = Log::open(shared.runtime.clone(), id.clone(), topic.config.clone(), recovery).await;
    let is_anew = matches!(opened, Err(LogError::WrongTopic { .. }));
    let log = match opened {
        // The topic was deleted and made again while this broker was away: what is here is of the old one.
        Err(LogError::WrongTopic { .. }) => {
            look::set_aside(shared, folder, &name).await?;
            Log::open(shared.runtime.clone(), id, topic.config.clone(), Recovery::CLEAN).await.map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    let stored = shared.high_watermarks.lock().remove(&(topic.name.to_string(), index.0));
    let partition = Partition::new(Parts {
        topic: topic.name.clone(),
        runtime: shared.runtime.clone(),
        folder: folder.clone(),
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
