//! Whose data folder it is: Kafka's `meta.properties`, and a lock while a process has the folder.

use crate::Error;
use crate::error::DiskContext;
use bytes::Bytes;
use millstream_runtime::{Disk, DiskFile, LOCK_FILE, Random, lock_folder};
use millstream_types::{BrokerId, ClusterId, DirectoryId, FolderIdentity, InvalidFolderIdentity};
use std::path::Path;
use std::sync::Arc;
use uuid::Builder;

/// What the settings say about who the node is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub node_id: BrokerId,
    pub cluster_id: Option<ClusterId>,
    /// A new folder may begin a new cluster.
    pub form: bool,
}

/// Takes the folder for this process, until the returned file is dropped.
pub(crate) async fn lock(disk: &dyn Disk, data_dir: &Path) -> Result<Arc<dyn DiskFile>, Error> {
    let locked = lock_folder(disk, data_dir).await.while_at("lock", &data_dir.join(LOCK_FILE))?;
    locked.ok_or_else(|| Error::FolderInUse { path: data_dir.to_owned() })
}

/// Reads who the folder says the node is, or writes it down where the folder is new.
pub(crate) async fn establish(
    disk: &dyn Disk,
    random: &dyn Random,
    data_dir: &Path,
    expected: Expected,
) -> Result<FolderIdentity, Error> {
    let path = data_dir.join(FolderIdentity::FILE);
    if disk.exists(&path).await.while_at("look for", &path)? {
        let content = disk.read(&path).await.while_at("read", &path)?;
        return check(&path, parse(&path, &content)?, expected);
    }
    let log = data_dir.join(crate::service::FOLDER);
    if disk.exists(&log.join(crate::hard_state::FILE)).await.while_at("look for", &log)? {
        let reason = "the folder has a metadata log, but this file, which says whose it is, is missing".to_owned();
        return Err(Error::Corrupt { path, position: 0, reason });
    }
    if expected.cluster_id.is_none() && !expected.form {
        return Err(Error::NoClusterId { path: data_dir.to_owned() });
    }
    let fresh = || Builder::from_random_bytes(random.next_u128().to_be_bytes()).into_uuid();
    let identity = FolderIdentity {
        cluster_id: expected.cluster_id.unwrap_or_else(|| ClusterId(fresh())),
        node_id: expected.node_id,
        directory: DirectoryId(fresh()),
    };
    disk.write_atomic(&path, Bytes::from(identity.text())).await.while_at("write", &path)?;
    Ok(identity)
}

fn check(path: &Path, found: FolderIdentity, expected: Expected) -> Result<FolderIdentity, Error> {
    let wrong = |what: &'static str, stored: String, given: String| {
        Err(Error::WrongFolder { path: path.to_owned(), what, stored, given })
    };
    if found.node_id != expected.node_id {
        return wrong("node", found.node_id.to_string(), expected.node_id.to_string());
    }
    match expected.cluster_id {
        Some(given) if given != found.cluster_id => wrong("cluster", found.cluster_id.to_string(), given.to_string()),
        _ => Ok(found),
    }
}

fn parse(path: &Path, content: &[u8]) -> Result<FolderIdentity, Error> {
    FolderIdentity::parse(content).map_err(|error| match error {
        InvalidFolderIdentity::Newer { found } => {
            Error::NewerFormat { path: path.to_owned(), found, supported: FolderIdentity::VERSION }
        }
        InvalidFolderIdentity::Damaged(reason) => Error::Corrupt { path: path.to_owned(), position: 0, reason },
    })
}
