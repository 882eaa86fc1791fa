//! A folder that one process has: Kafka's `.lock`.

use crate::disk::{Disk, DiskFile, OpenMode};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Kafka's name of the file.
pub const LOCK_FILE: &str = ".lock";

/// Takes a folder for this process, until the returned file is dropped; none where another process has it. A simulated disk has no other
/// processes.
///
/// # Errors
/// The disk's.
pub async fn lock_folder(disk: &dyn Disk, folder: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
    let file = disk.open(&folder.join(LOCK_FILE), OpenMode::Append).await?;
    if let Some(fd) = file.fd() {
        match rustix::fs::flock(fd, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(file))
}
