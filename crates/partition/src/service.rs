//! The service: every partition of this broker, from opening to a clean close.

use crate::checkpoint;
use crate::cleaner::Cleaners;
use crate::config::{CleanerConfig, Config};
use crate::folder::Folder;
use crate::scrub::Scrubber;
use crate::{ColdReader, Error, FolderStatus, Folders, PartitionHandle, cleaner, follow, revive, scrub, upkeep};
use futures::future::join_all;
use millstream_metadata::Image;
use millstream_runtime::{Runtime, Tasks};
use millstream_telemetry::Metrics;
use millstream_types::{PartitionIndex, TopicPartition};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long background work may take to end at a close.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What the service works with.
pub struct Deps {
    /// The machine.
    pub runtime: Runtime,
    /// Where it is measured.
    pub metrics: Metrics,
    /// The quorum's image as it changes.
    pub image: watch::Receiver<Arc<Image>>,
    /// Where what is no longer on local disk is read, if anywhere.
    pub cold: Option<Arc<dyn ColdReader>>,
}

/// The partitions of this broker. Clones are the same service.
#[derive(Clone)]
pub struct Partitions(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) runtime: Runtime,
    pub(crate) metrics: Metrics,
    pub(crate) folders: Folders,
    pub(crate) cold: Option<Arc<dyn ColdReader>>,
    pub(crate) image: watch::Receiver<Arc<Image>>,
    pub(crate) partitions: RwLock<BTreeMap<TopicPartition, Slot>>,
    /// What the last process had checkpointed, taken out as logs are opened.
    pub(crate) high_watermarks: Mutex<checkpoint::Offsets>,
    pub(crate) cleaners: Cleaners,
    pub(crate) scrubber: Scrubber,
    pub(crate) changes: watch::Sender<u64>,
    /// Held by whoever opens partitions or assigns them.
    pub(crate) settling: tokio::sync::Mutex<()>,
    pub(crate) tasks: Tasks,
}

/// A partition that is to be here.
pub(crate) enum Slot {
    /// It can be used.
    Open(PartitionHandle),
    /// Its log could not be opened. It is tried again when its metadata changes.
    Failed(Error),
}

impl Partitions {
    /// Opens the logs of every partition that the image gives to this broker, and follows the image from then on. A log that can't be
    /// opened makes its partition fail, not the node.
    ///
    /// # Errors
    /// The first data folder can't be used.
    pub async fn start(config: Config, folders: Folders, deps: Deps) -> Result<Self, Error> {
        let Deps { runtime, metrics, image, cold } = deps;
        let tasks = runtime.tasks.child();
        let cleaners = Cleaners::new(config.cleaner, &runtime, &tasks);
        let scrubber = Scrubber::new(config.scrub, &runtime, &tasks);
        let shared = Arc::new(Shared {
            config,
            runtime,
            metrics,
            folders,
            cold,
            image,
            partitions: RwLock::default(),
            high_watermarks: Mutex::default(),
            cleaners,
            scrubber,
            changes: watch::Sender::new(0),
            settling: tokio::sync::Mutex::new(()),
            tasks,
        });
        let mut follower = follow::Follower::new(shared.clone());
        follower.begin().await?;
        follower.catch_up().await;
        shared.tasks.spawn("partitions follow the image", follower.run());
        upkeep::spawn(&shared);
        cleaner::spawn(&shared);
        scrub::spawn(&shared);
        Ok(Self(shared))
    }

    /// The partition, if it is open here.
    ///
    /// # Errors
    /// `NotHere`, `NotOpen`, or why its log could not be opened.
    pub fn get(&self, partition: TopicPartition) -> Result<PartitionHandle, Error> {
        match self.0.partitions.read().get(&partition) {
            Some(Slot::Open(handle)) => return Ok(handle.clone()),
            Some(Slot::Failed(error)) => return Err(error.clone()),
            None => {}
        }
        let image = self.0.image.borrow();
        let is_ours = image.partition(partition).is_some_and(|state| state.replicas.contains(&self.0.config.local));
        Err(if is_ours { Error::NotOpen { partition } } else { Error::NotHere { partition } })
    }

    /// The partition of a topic by the topic's name; none where there is no such partition at all.
    ///
    /// # Errors
    /// As [`Partitions::get`].
    pub fn named(&self, topic: &str, index: PartitionIndex) -> Result<Option<PartitionHandle>, Error> {
        let found = self.0.image.borrow().topic_named(topic).filter(|topic| topic.partition(index).is_some()).cloned();
        found.map(|topic| self.get(TopicPartition::new(topic.id, index))).transpose()
    }

    /// The partition, as soon as it is open here, within `limit`.
    ///
    /// # Errors
    /// As [`Partitions::get`], after the wait.
    pub async fn ready(&self, partition: TopicPartition, limit: Duration) -> Result<PartitionHandle, Error> {
        let mut changes = self.changes();
        let opened = async {
            while matches!(self.get(partition), Err(Error::NotOpen { .. } | Error::NotHere { .. })) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = opened => {}
            () = self.0.runtime.clock.sleep(limit) => {}
        }
        self.get(partition)
    }

    /// Every open partition, in order.
    #[must_use]
    pub fn all(&self) -> Vec<PartitionHandle> {
        self.0.open()
    }

    /// A number that grows whenever a partition is opened or closed here, or its leadership changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The data folders, the first one first.
    #[must_use]
    pub fn folders(&self) -> Vec<FolderStatus> {
        self.0.folders.statuses()
    }

    /// Deletes now what retention would delete at its next look.
    pub async fn retain_now(&self) {
        join_all(self.0.folders.all().iter().map(|folder| upkeep::retain(&self.0, folder))).await;
    }

    /// Opens again now what a disk that failed had closed. Returns how many logs came back.
    pub async fn revive_now(&self) -> usize {
        join_all(self.0.folders.all().iter().map(|folder| revive::revive(&self.0, folder))).await.into_iter().sum()
    }

    /// Compacts by these settings from now on.
    pub fn set_cleaner(&self, config: CleanerConfig) {
        self.0.cleaners.configure(config);
    }

    /// Compacts now what is due.
    pub async fn clean_now(&self) {
        cleaner::clean_all(&self.0).await;
    }

    /// Looks for damage now. Returns how many damaged batches there are.
    pub async fn scrub_now(&self) -> usize {
        scrub::scrub_all(&self.0).await
    }

    /// Makes everything that was appended survive a power cut, now.
    pub async fn flush_now(&self) {
        join_all(self.0.folders.all().iter().map(|folder| upkeep::flush(&self.0, folder))).await;
    }

    /// Writes down now how far each log is whole, and what is known of its producers.
    pub async fn checkpoint_now(&self) {
        join_all(self.0.folders.all().iter().map(|folder| upkeep::checkpoint_now(&self.0, folder))).await;
    }

    /// Ends the service: every log is synced and closed, and each folder marked as left in order, if all went well in it. Appends after it
    /// fail.
    ///
    /// # Errors
    /// The first thing that went wrong; the next start checks the logs of that folder then.
    pub async fn close(&self) -> Result<(), Error> {
        let in_time = self.0.tasks.stop_and_wait(STOP_LIMIT).await;
        let closing = self.0.folders.all().iter().map(|folder| upkeep::close_folder(&self.0, folder, in_time));
        join_all(closing).await.into_iter().collect()
    }
}

impl Shared {
    pub(crate) fn open(&self) -> Vec<PartitionHandle> {
        let partitions = self.partitions.read();
        let open = partitions.values().filter_map(|slot| match slot {
            Slot::Open(handle) => Some(handle.clone()),
            Slot::Failed(_) => None,
        });
        open.collect()
    }

    /// The open partitions of a data folder.
    pub(crate) fn open_in(&self, folder: &Arc<Folder>) -> Vec<PartitionHandle> {
        let mut open = self.open();
        open.retain(|handle| Arc::ptr_eq(&handle.0.folder, folder));
        open
    }

    /// Tells whoever follows [`Partitions::changes`].
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}
