//! Data folders that fail and come back. A folder is looked at now and then: whether it is still there, and, where something in it was not
//! written, whether it takes writes at all. If not, all of its partitions are offline until it does.

use crate::folder::Folder;
use crate::follow::{self, Deed, is_ours};
use crate::service::{Shared, Slot};
use crate::{look, upkeep};
use millstream_storage::{Recovery, probe_folder};
use millstream_types::TopicPartition;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a look at a folder came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It can be used.
    Well,
    /// It has no room: what is in it can be read.
    Full,
    /// It can't be used.
    Offline,
}

/// Looks at a folder that can be used, and takes it offline where it can't be any more. `is_suspect`: something in it was not written.
pub(crate) async fn look_at(shared: &Arc<Shared>, folder: &Arc<Folder>, is_suspect: bool) -> Look {
    if let Err(cause) = folder.check_present().await {
        take_offline(shared, folder, cause);
        return Look::Offline;
    }
    if !folder.is_suspect.swap(false, Ordering::AcqRel) && !is_suspect {
        return Look::Well;
    }
    match probe_folder(&*shared.runtime.disk, &folder.path).await {
        Ok(()) => Look::Well,
        Err(error) if is_full(&error) => {
            folder.is_suspect.store(true, Ordering::Release);
            Look::Full
        }
        Err(error) => {
            take_offline(shared, folder, error.to_string());
            Look::Offline
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Looks whether the folders beside the first are still there, before anything new is begun in them.
pub(crate) async fn check_others(shared: &Arc<Shared>) {
    for folder in shared.folders.all().iter().skip(1).filter(|folder| folder.is_online()) {
        if let Err(cause) = folder.check_present().await {
            take_offline(shared, folder, cause);
        }
    }
}

/// The folder can't be used: its partitions take no more writes. What of them can still be read is read on.
fn take_offline(shared: &Arc<Shared>, folder: &Arc<Folder>, cause: String) {
    let open = shared.open_in(folder);
    let text = format!("the data folder {} is offline: {cause}", folder.path.display());
    open.iter().for_each(|handle| handle.0.log.take_offline(&text));
    tracing::error!(folder = %folder.path.display(), partitions = open.len(), cause, "a data folder is offline, and the partitions in it");
    folder.fail(cause);
    upkeep::count(shared);
}

/// Opens a folder again that was offline, and what is in it. Returns how many partitions came back with it; none while it can't be used.
pub(crate) async fn come_back(shared: &Arc<Shared>, folder: &Arc<Folder>) -> Option<usize> {
    // Nobody else opens or assigns meanwhile.
    let _settling = shared.settling.lock().await;
    let image = shared.image.borrow().clone();
    let opened = async {
        shared.folders.reopen(folder).await?;
        probe_folder(&*shared.runtime.disk, &folder.path)
            .await
            .map_err(|error| crate::Error::io(&folder.path, error))?;
        look::begin(shared, &image, folder).await
    };
    if let Err(error) = opened.await {
        let cause = error.to_string();
        if folder.fail(cause.clone()) {
            tracing::warn!(folder = %folder.path.display(), cause, "a data folder is still offline");
        }
        return None;
    }
    let mut work = Vec::new();
    for id in shared.folders.replicas_in(folder) {
        let topic = image.topic(id.topic).filter(|topic| is_ours(&shared.config, topic, id.partition));
        if let Some(topic) = topic {
            retire(shared, folder, id).await;
            work.push((topic.clone(), id.partition));
        }
    }
    // Its disk may have been away: nothing is taken for written that was not synced.
    let back = follow::in_trips(shared, work, Deed::Reopen(Recovery::POWER_LOST)).await;
    if let Err(error) = shared.folders.store().await {
        tracing::warn!(%error, "which partitions are in which folder was not written; it is tried again");
    }
    tracing::info!(folder = %folder.path.display(), partitions = back, "a data folder that was offline is used again");
    upkeep::count(shared);
    shared.changed();
    Some(back)
}

/// Ends what is left of a log that was open when its folder failed.
async fn retire(shared: &Arc<Shared>, folder: &Arc<Folder>, id: TopicPartition) {
    let open = match shared.partitions.read().get(&id) {
        Some(Slot::Open(handle)) if Arc::ptr_eq(&handle.0.folder, folder) => handle.clone(),
        Some(Slot::Open(_) | Slot::Failed(_)) | None => return,
    };
    open.0.close();
    open.0.log.retire().await;
    shared.cleaners.keep(&open.0);
}
