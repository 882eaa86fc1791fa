//! The data folders of a node: the first, which the metadata is in, and others. Any of the others may fail: the partitions in it are offline
//! then, and all others go on.

mod places;
mod record;

pub(crate) use places::Place;

use crate::Error;
use crate::folder::Folder;
use bytes::Bytes;
use millstream_runtime::Runtime;
use millstream_types::{BrokerId, ClusterId, DirectoryId, FolderIdentity, TopicPartition};
use parking_lot::Mutex;
use places::Places;
use record::Record;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Which folders a node has, and whose they are.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The first: the quorum has taken it for this process.
    pub first: PathBuf,
    /// The others, in the order in which new partitions go to them.
    pub others: Vec<PathBuf>,
    /// Whose the first one is.
    pub identity: FolderIdentity,
}

impl Layout {
    /// One folder, of a node that needs no name.
    #[must_use]
    pub fn one(first: &Path) -> Self {
        let none = uuid::Uuid::nil();
        let identity =
            FolderIdentity { cluster_id: ClusterId(none), node_id: BrokerId::NONE, directory: DirectoryId(none) };
        Self { first: first.to_owned(), others: Vec::new(), identity }
    }
}

/// A data folder as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderStatus {
    /// The folder.
    pub path: PathBuf,
    /// Why it can't be used; none while it can.
    pub failure: Option<String>,
}

/// The open data folders of a node.
pub struct Folders {
    all: Vec<Arc<Folder>>,
    runtime: Runtime,
    identity: FolderIdentity,
    boot: Option<String>,
    places: Mutex<Places>,
    /// What the first folder knows of the others, as it is stored.
    stored: tokio::sync::Mutex<Record>,
    /// Where the folders of each id were last.
    last_seen: BTreeMap<DirectoryId, PathBuf>,
}

impl Folders {
    /// Opens the data folders, making those that there never were. `boot` is [`crate::boot_id`]. One of the others that can't be used is
    /// offline, and this goes on.
    ///
    /// # Errors
    /// The first folder can't be used; another one is another node's, another process's, or given twice.
    pub async fn open(runtime: &Runtime, layout: &Layout, boot: Option<&str>) -> Result<Self, Error> {
        let paths = std::iter::once(&layout.first).chain(&layout.others);
        let all: Vec<Arc<Folder>> =
            paths.enumerate().map(|(place, path)| Arc::new(Folder::new(runtime, path, place))).collect();
        all[0].open_first(boot).await?;
        let stored = read_record(runtime, &layout.first).await?;
        let folders = Self {
            all,
            runtime: runtime.clone(),
            identity: layout.identity,
            boot: boot.map(str::to_owned),
            places: Mutex::default(),
            last_seen: stored.directories.clone(),
            stored: tokio::sync::Mutex::new(stored),
        };
        let mut empty = Vec::new();
        for folder in &folders.all[1..] {
            match folders.open_other(folder, true).await {
                // Whether its disk is missing is known when all others have been looked into.
                Err(Error::FolderEmpty { .. }) => empty.push(folder),
                outcome => folders.note_outcome(folder, outcome).await?,
            }
        }
        for folder in empty {
            let are_there = folders.has_replicas(folder).await;
            let outcome = folders.open_other(folder, are_there).await;
            folders.note_outcome(folder, outcome).await?;
        }
        let record = folders.stored.lock().await.clone();
        *folders.places.lock() = Places::new(&record, folders.all.len(), |id| folders.number_of(id));
        Ok(folders)
    }

    async fn note_outcome(&self, folder: &Folder, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Err(error @ (Error::FolderInUse { .. } | Error::WrongFolder { .. } | Error::SameFolder { .. })) => {
                Err(error)
            }
            Err(error) => {
                let stored = self.stored.lock().await;
                // What was last there: its partitions are in it.
                let last = stored.directories.iter().find(|(_, path)| **path == folder.path);
                if let Some((id, _)) = last.filter(|(id, _)| self.number_of(**id).is_none()) {
                    folder.assume(*id);
                }
                folder.fail(error.to_string());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Whether replicas are known to be in the folder.
    async fn has_replicas(&self, folder: &Folder) -> bool {
        let stored = self.stored.lock().await;
        let is_it = |id: &DirectoryId| match self.number_of(*id) {
            Some(number) => number == folder.place,
            None => stored.directories.get(id) == Some(&folder.path),
        };
        stored.replicas.values().any(is_it)
    }

    /// Opens a folder anew that is offline.
    pub(crate) async fn reopen(&self, folder: &Folder) -> Result<(), Error> {
        if folder.place == 0 {
            // Never made anew: what was in it is missing.
            folder.check_present().await.map_err(|cause| Error::io(&folder.path, io::Error::other(cause)))?;
            return folder.open_first(self.boot.as_deref()).await;
        }
        let are_there = self.has_replicas(folder).await;
        self.open_other(folder, are_there).await
    }

    async fn open_other(&self, folder: &Folder, are_there: bool) -> Result<(), Error> {
        folder.open(&self.runtime, (&self.identity, self.boot.as_deref()), are_there).await?;
        let id_of = |other: &Folder| other.id().or((other.place == 0).then_some(self.identity.directory));
        let same = self.all.iter().find(|other| other.place != folder.place && id_of(other) == folder.id());
        match same {
            Some(other) => Err(Error::SameFolder { first: other.path.clone(), second: folder.path.clone() }),
            None => Ok(()),
        }
    }

    fn number_of(&self, id: DirectoryId) -> Option<usize> {
        self.all.iter().find(|folder| folder.id() == Some(id)).map(|folder| folder.place)
    }

    pub(crate) fn all(&self) -> &[Arc<Folder>] {
        &self.all
    }

    pub(crate) fn first(&self) -> &Arc<Folder> {
        &self.all[0]
    }

    /// Whether there never was more than the first.
    pub(crate) fn is_single(&self) -> bool {
        self.all.len() == 1 && self.last_seen.is_empty()
    }

    pub(crate) fn statuses(&self) -> Vec<FolderStatus> {
        self.all.iter().map(|folder| FolderStatus { path: folder.path.clone(), failure: folder.failure() }).collect()
    }

    pub(crate) fn place(&self, replica: TopicPartition) -> Option<Place> {
        self.places.lock().get(replica)
    }

    /// The replicas that are to be in the folder.
    pub(crate) fn replicas_in(&self, folder: &Folder) -> Vec<TopicPartition> {
        let places = self.places.lock();
        places.iter().filter(|(_, place)| *place == Place::In(folder.place)).map(|(replica, _)| replica).collect()
    }

    /// Notes that a replica was found in a folder. Returns the other folder in which it was found, if in one.
    pub(crate) fn found(&self, replica: TopicPartition, folder: &Folder) -> Option<Arc<Folder>> {
        self.places.lock().found(replica, folder.place).map(|other| self.all[other].clone())
    }

    pub(crate) fn settle(&self, replica: TopicPartition, place: Place) {
        let mut places = self.places.lock();
        match place {
            Place::In(folder) => places.settle(replica, folder),
            other => places.set(replica, other),
        }
    }

    /// Finds folders for replicas that are nowhere yet, and has the first folder know.
    pub(crate) async fn choose(&self, replicas: impl IntoIterator<Item = TopicPartition>, avoid: &[usize]) {
        let mut new = Vec::new();
        {
            let mut places = self.places.lock();
            let usable = self.usable(avoid);
            for replica in replicas {
                if places.get(replica).is_none() {
                    places.choose(replica, &usable);
                    new.push(replica);
                }
            }
        }
        let Err(error) = self.store().await else { return };
        tracing::error!(%error, "which partitions are in which folder was not written; new ones are begun in the first folder");
        let mut places = self.places.lock();
        new.into_iter().for_each(|replica| places.settle(replica, 0));
    }

    /// The folders in which something may be begun; where there are such, those in which nothing failed lately.
    fn usable(&self, avoid: &[usize]) -> Vec<bool> {
        let is_online = |folder: &Arc<Folder>| folder.is_online() && !avoid.contains(&folder.place);
        let is_well = |folder: &Arc<Folder>| is_online(folder) && !folder.is_suspect.load(Ordering::Acquire);
        let well: Vec<bool> = self.all.iter().map(is_well).collect();
        if well.contains(&true) { well } else { self.all.iter().map(is_online).collect() }
    }

    pub(crate) fn forget(&self, replicas: impl IntoIterator<Item = TopicPartition>) {
        let mut places = self.places.lock();
        replicas.into_iter().for_each(|replica| places.forget(replica));
    }

    /// Forgets replicas of partitions that there are no more.
    pub(crate) fn retain(&self, is_ours: impl Fn(TopicPartition) -> bool) {
        let mut places = self.places.lock();
        let gone: Vec<TopicPartition> =
            places.iter().map(|(replica, _)| replica).filter(|replica| !is_ours(*replica)).collect();
        gone.into_iter().for_each(|replica| places.forget(replica));
    }

    /// Writes down what the first folder has to know of the others, where that changed.
    pub(crate) async fn store(&self) -> Result<(), Error> {
        if self.is_single() {
            return Ok(());
        }
        let mut stored = self.stored.lock().await;
        let record = self.record();
        if *stored != record {
            let path = self.record_path();
            let text = Bytes::from(record.text());
            self.runtime.disk.write_atomic(&path, text).await.map_err(|error| Error::io(&path, error))?;
            *stored = record;
        }
        Ok(())
    }

    fn record(&self) -> Record {
        let mut record = Record::default();
        for (replica, place) in self.places.lock().iter() {
            let id = match place {
                Place::In(folder) => self.all[folder].id(),
                Place::Gone(id) => Some(id),
                Place::Twice(..) => None,
            };
            record.replicas.extend(id.map(|id| (replica, id)));
        }
        let seen = self.all.iter().filter_map(|folder| Some((folder.id()?, folder.path.clone())));
        record.directories.extend(seen);
        let gone = record.replicas.values().filter(|id| !record.directories.contains_key(id));
        let gone: Vec<DirectoryId> = gone.copied().collect();
        record.directories.extend(gone.into_iter().filter_map(|id| Some((id, self.last_seen.get(&id)?.clone()))));
        record
    }

    fn record_path(&self) -> PathBuf {
        self.first().path.join(record::NAME)
    }

    /// Why the replica can't be served from where it is, if it can't.
    pub(crate) fn folder_of(&self, replica: TopicPartition, name: &str) -> Result<Arc<Folder>, Error> {
        match self.place(replica) {
            None => Ok(self.first().clone()),
            Some(Place::In(number)) => {
                let folder = &self.all[number];
                match folder.failure() {
                    None => Ok(folder.clone()),
                    Some(cause) => Err(Error::FolderOffline { name: name.into(), path: folder.path.clone(), cause }),
                }
            }
            Some(Place::Gone(id)) => {
                Err(Error::FolderGone { name: name.into(), path: self.last_path(id), id, record: self.record_path() })
            }
            Some(Place::Twice(first, second)) => Err(Error::TwoFolders {
                name: name.into(),
                first: self.all[first].path.clone(),
                second: self.all[second].path.clone(),
            }),
        }
    }

    fn last_path(&self, id: DirectoryId) -> PathBuf {
        self.last_seen.get(&id).cloned().unwrap_or_default()
    }

    /// Tells in the node's log which folders can't be used, and how many partitions are in them.
    pub(crate) fn report(&self) {
        let mut gone: BTreeMap<DirectoryId, usize> = BTreeMap::new();
        for (_, place) in self.places.lock().iter() {
            if let Place::Gone(id) = place {
                *gone.entry(id).or_default() += 1;
            }
        }
        for (id, partitions) in gone {
            let (folder, known) = (self.last_path(id), self.record_path());
            tracing::error!(folder = %folder.display(), directory = %id, partitions, known_by = %known.display(), "the node was started without a data folder that partitions are in; they are offline");
        }
        for folder in &self.all {
            if let Some(cause) = folder.failure() {
                let partitions = self.replicas_in(folder).len();
                tracing::error!(folder = %folder.path.display(), partitions, cause, "a data folder is offline, and the partitions in it");
            }
        }
    }
}

async fn read_record(runtime: &Runtime, first: &Path) -> Result<Record, Error> {
    let path = first.join(record::NAME);
    if !runtime.disk.exists(&path).await.map_err(|error| Error::io(&path, error))? {
        return Ok(Record::default());
    }
    let content = runtime.disk.read(&path).await.map_err(|error| Error::io(&path, error))?;
    Record::parse(&content).map_err(|problem| Error::FolderList { path, problem })
}
