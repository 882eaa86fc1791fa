//! Looking into a data folder: deletions that were interrupted are finished, what is of no partition of this broker is set aside, and the
//! checkpoints are read. What is found says which folder each replica is in.

use crate::Error;
use crate::checkpoint::{self, CLEANED, HIGH_WATERMARKS};
use crate::folder::Folder;
use crate::folders::Place;
use crate::follow::is_ours;
use crate::service::{Shared, Slot};
use millstream_metadata::Image;
use millstream_runtime::EntryKind;
use millstream_storage::{folder_name, parse_folder_name, remove_deleted, topic_of};
use millstream_types::{ErrorKind, TopicId, TopicPartition};
use std::path::Path;
use std::sync::Arc;

/// Bytes of the longest name of a folder.
const NAME_BYTES_MAX: usize = 255;

/// Begins work in a data folder: from now on its logs may be opened.
pub(crate) async fn begin(shared: &Arc<Shared>, image: &Image, folder: &Arc<Folder>) -> Result<(), Error> {
    folder.clear_clean().await?;
    let stored = checkpoint::read(&*shared.runtime.disk, &folder.path.join(HIGH_WATERMARKS)).await?;
    shared.high_watermarks.lock().extend(stored);
    let cleaned = checkpoint::read(&*shared.runtime.disk, &folder.path.join(CLEANED)).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "how far logs are compacted is not known: they are compacted from their start");
        checkpoint::Offsets::new()
    });
    shared.cleaners.remember(folder, cleaned);
    look(shared, image, folder).await
}

async fn look(shared: &Arc<Shared>, image: &Image, folder: &Arc<Folder>) -> Result<(), Error> {
    let path = &folder.path;
    remove_deleted(&shared.runtime, path)
        .await
        .map_err(|error| Error::Storage { name: path.display().to_string().into(), source: Arc::new(error) })?;
    let entries = shared.runtime.disk.read_dir(path).await.map_err(|error| Error::io(path, error))?;
    for (name, kind) in entries {
        let Some((topic, partition)) = parse_folder_name(&name).filter(|_| kind == EntryKind::Directory) else {
            continue;
        };
        match image.topic_named(topic).filter(|topic| is_ours(&shared.config, topic, partition)) {
            Some(topic) => note(shared, TopicPartition::new(topic.id, partition), (&name, folder)).await?,
            None => set_aside(shared, folder, &name).await?,
        }
    }
    Ok(())
}

/// Notes where a replica was found. Of two folders with its name the one is set aside that is of another topic, one that was made before
/// under the same name; if neither is, nobody can tell which is right.
async fn note(shared: &Shared, replica: TopicPartition, (name, folder): (&str, &Arc<Folder>)) -> Result<(), Error> {
    let Some(other) = shared.folders.found(replica, folder) else { return Ok(()) };
    if topic_in(shared, folder, name).await? != Some(replica.topic) {
        return set_aside(shared, folder, name).await;
    }
    let is_open = matches!(shared.partitions.read().get(&replica), Some(Slot::Open(_)));
    if is_open {
        let (first, second) = (other.path.clone(), folder.path.clone());
        let error = Error::TwoFolders { name: name.into(), first, second };
        tracing::error!(%error, in_use = %other.path.display(), "a data folder has a partition that is served from another one");
    } else if topic_in(shared, &other, name).await? == Some(replica.topic) {
        shared.folders.settle(replica, Place::Twice(other.place, folder.place));
    } else {
        set_aside(shared, &other, name).await?;
        shared.folders.settle(replica, Place::In(folder.place));
    }
    Ok(())
}

/// The topic that a folder says it is of; none where a power cut kept it from saying so.
async fn topic_in(shared: &Shared, folder: &Folder, name: &str) -> Result<Option<TopicId>, Error> {
    match topic_of(&*shared.runtime.disk, &folder.path.join(name)).await {
        Ok(topic) => Ok(topic),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(Error::Storage { name: name.into(), source: Arc::new(error) }),
    }
}

/// Renames a folder as Kafka does with what belongs to no topic it knows: it is kept, and never looked into again.
pub(crate) async fn set_aside(shared: &Shared, folder: &Folder, name: &str) -> Result<(), Error> {
    let ending = format!(".{:032x}-stray", shared.runtime.random.next_u128());
    // Names are ASCII: they were parsed as a topic's.
    let kept = name.get(..NAME_BYTES_MAX - ending.len()).unwrap_or(name);
    let (from, to) = (folder.path.join(name), folder.path.join(format!("{kept}{ending}")));
    rename(shared, folder, (&from, &to)).await?;
    tracing::warn!(folder = %from.display(), kept_as = %to.display(), "the folder is of no partition of this broker and was set aside; delete it when it is not missed");
    Ok(())
}

async fn rename(shared: &Shared, folder: &Folder, (from, to): (&Path, &Path)) -> Result<(), Error> {
    let disk = &shared.runtime.disk;
    disk.rename(from, to).await.map_err(|error| Error::io(from, error))?;
    disk.sync_dir(&folder.path).await.map_err(|error| Error::io(&folder.path, error))
}

/// Takes away for good what is left of a replica that could not be begun in a folder. Returns whether nothing is left.
pub(crate) async fn unmake(shared: &Shared, folder: &Folder, (topic, id): (&str, TopicPartition)) -> bool {
    let disk = &shared.runtime.disk;
    let path = folder.path.join(folder_name(topic, id.partition));
    let gone = async {
        if disk.exists(&path).await? {
            disk.remove_dir_all(&path).await?;
        }
        // A power cut must not bring it back beside the one that is begun elsewhere.
        disk.sync_dir(&folder.path).await
    };
    gone.await.is_ok()
}
