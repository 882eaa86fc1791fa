//! Logs whose disk failed come back without a restart: as soon as the disk takes writes again such a log is closed and opened anew, as after a
//! kill, and whoever used it is sent to the new one.

use crate::folder::Folder;
use crate::folders::Place;
use crate::follow::{self, is_of_the_disk};
use crate::service::{Shared, Slot};
use crate::upkeep;
use crate::watch::{self, Look};
use millstream_storage::Recovery;
use millstream_types::TopicPartition;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Opens what can be opened again in a data folder, or the folder itself. Returns how many logs came back.
pub(crate) async fn revive(shared: &Arc<Shared>, folder: &Arc<Folder>) -> usize {
    if !folder.is_online() {
        return watch::come_back(shared, folder).await.unwrap_or(0);
    }
    let offline = offline(shared, folder);
    if folder.offline.swap(offline.len(), Ordering::Relaxed) != offline.len() {
        upkeep::count(shared);
    }
    if watch::look_at(shared, folder, !offline.is_empty()).await != Look::Well || offline.is_empty() {
        return 0;
    }
    // Nobody else opens or assigns meanwhile.
    let _settling = shared.settling.lock().await;
    let mut back = 0;
    for id in offline {
        back += usize::from(reopen(shared, id).await);
    }
    if back > 0 {
        folder.offline.fetch_sub(back.min(folder.offline.load(Ordering::Relaxed)), Ordering::Relaxed);
        upkeep::count(shared);
        shared.changed();
    }
    back
}

/// The partitions of a folder that can't be written and perhaps can be again. One whose files are damaged stays as it is.
fn offline(shared: &Shared, folder: &Arc<Folder>) -> Vec<TopicPartition> {
    let partitions = shared.partitions.read();
    let is_here = |id: TopicPartition| shared.folders.place(id).is_none_or(|place| place == Place::In(folder.place));
    let is_offline = |id: TopicPartition, slot: &Slot| match slot {
        Slot::Open(handle) => Arc::ptr_eq(&handle.0.folder, folder) && handle.0.log.failure().is_some(),
        Slot::Failed(error) => is_of_the_disk(error) && is_here(id),
    };
    partitions.iter().filter(|(id, slot)| is_offline(**id, slot)).map(|(id, _)| *id).collect()
}

async fn reopen(shared: &Arc<Shared>, id: TopicPartition) -> bool {
    let Some(topic) = shared.image.borrow().topic(id.topic).cloned() else { return false };
    let open = match shared.partitions.read().get(&id) {
        Some(Slot::Open(handle)) => Some(handle.clone()),
        Some(Slot::Failed(_)) | None => None,
    };
    if let Some(handle) = open {
        if handle.0.log.failure().is_none() || !handle.0.log.disk_takes_writes().await {
            return false;
        }
        handle.0.close();
        handle.0.log.retire().await;
        shared.cleaners.keep(&handle.0);
    }
    let is_back = follow::reopen(shared, &topic, id.partition, Recovery::KILLED).await;
    if is_back {
        tracing::info!(topic = %topic.name, partition = id.partition.0, "a log whose disk had failed is served again");
    }
    is_back
}
