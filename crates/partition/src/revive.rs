//! Logs whose disk failed come back without a restart: as soon as the disk takes writes again such a log is closed and opened anew, as after a
//! kill, and whoever used it is sent to the new one.

use crate::follow;
use crate::service::{Shared, Slot};
use crate::{Error, upkeep};
use millstream_types::{ErrorKind, TopicPartition};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Opens what can be opened again. Returns how many logs came back.
pub(crate) async fn revive(shared: &Arc<Shared>) -> usize {
    let offline = offline(shared);
    if shared.offline.swap(offline.len(), Ordering::Relaxed) != offline.len() {
        upkeep::count(shared);
    }
    if offline.is_empty() {
        return 0;
    }
    // Nobody else opens or assigns meanwhile.
    let _settling = shared.settling.lock().await;
    let mut back = 0;
    for id in offline {
        back += usize::from(reopen(shared, id).await);
    }
    if back > 0 {
        shared.offline.fetch_sub(back.min(shared.offline.load(Ordering::Relaxed)), Ordering::Relaxed);
        upkeep::count(shared);
        shared.changed();
    }
    back
}

/// The partitions that can't be written and perhaps can be again. One whose files are damaged stays as it is.
fn offline(shared: &Shared) -> Vec<TopicPartition> {
    let partitions = shared.partitions.read();
    let is_offline = |slot: &Slot| match slot {
        Slot::Open(handle) => handle.0.log.failure().is_some(),
        Slot::Failed(error) => is_of_the_disk(error),
    };
    partitions.iter().filter(|(_, slot)| is_offline(slot)).map(|(id, _)| *id).collect()
}

fn is_of_the_disk(error: &Error) -> bool {
    matches!(error, Error::Storage { .. } | Error::Io { .. })
        && matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Exhausted)
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
        let cleaned_to = handle.0.log.cleaned_to();
        handle.0.close();
        handle.0.log.retire().await;
        shared.cleaners.keep(&topic.name, id.partition, cleaned_to);
    }
    let is_back = follow::reopen(shared, &topic, id.partition).await;
    if is_back {
        tracing::info!(topic = %topic.name, partition = id.partition.0, "a log whose disk had failed is served again");
    }
    is_back
}
