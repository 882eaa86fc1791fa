//! Whose data folder it is: Kafka's `meta.properties`, and a lock while a process has the folder.

use crate::Error;
use crate::error::DiskContext;
use bytes::Bytes;
use millstream_runtime::{Disk, DiskFile, OpenMode, Random};
use millstream_types::{BrokerId, ClusterId, DirectoryId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use uuid::Builder;

/// Kafka's name of the file.
pub(crate) const META_FILE: &str = "meta.properties";
/// Kafka's name of the file.
const LOCK_FILE: &str = ".lock";
/// Kafka's version of the file since KRaft.
const VERSION: u32 = 1;

/// Who the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub cluster_id: ClusterId,
    pub node_id: BrokerId,
    pub directory: DirectoryId,
}

/// What the settings say about who the node is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub node_id: BrokerId,
    pub cluster_id: Option<ClusterId>,
    /// A new folder may begin a new cluster.
    pub form: bool,
}

/// Takes the folder for this process, until the returned file is dropped. A simulated disk has no other processes.
pub(crate) async fn lock(disk: &dyn Disk, data_dir: &Path) -> Result<Arc<dyn DiskFile>, Error> {
    let path = data_dir.join(LOCK_FILE);
    let file = disk.open(&path, OpenMode::Append).await.while_at("open", &path)?;
    if let Some(fd) = file.fd() {
        match rustix::fs::flock(fd, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::FolderInUse { path: data_dir.to_owned() }),
            Err(error) => return Err(error.into()).while_at("lock", &path),
        }
    }
    Ok(file)
}

/// Reads who the folder says the node is, or writes it down where the folder is new.
pub(crate) async fn establish(
    disk: &dyn Disk,
    random: &dyn Random,
    data_dir: &Path,
    expected: Expected,
) -> Result<Identity, Error> {
    let path = data_dir.join(META_FILE);
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
    let identity = Identity {
        cluster_id: expected.cluster_id.unwrap_or_else(|| ClusterId(fresh())),
        node_id: expected.node_id,
        directory: DirectoryId(fresh()),
    };
    disk.write_atomic(&path, Bytes::from(render(&identity))).await.while_at("write", &path)?;
    Ok(identity)
}

fn check(path: &Path, found: Identity, expected: Expected) -> Result<Identity, Error> {
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

fn render(identity: &Identity) -> String {
    let Identity { cluster_id, node_id, directory } = identity;
    format!("version={VERSION}\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={directory}\n")
}

fn parse(path: &Path, content: &[u8]) -> Result<Identity, Error> {
    let corrupt = |reason: String| Error::Corrupt { path: path.to_owned(), position: 0, reason };
    let text = std::str::from_utf8(content).map_err(|error| corrupt(error.to_string()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let values: BTreeMap<&str, &str> =
        lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim())).collect();
    let value = |key: &str| values.get(key).copied().ok_or_else(|| corrupt(format!("it has no {key}")));
    let version: u32 = value("version")?.parse().map_err(|_| corrupt("version is not a number".into()))?;
    if version > VERSION {
        return Err(Error::NewerFormat { path: path.to_owned(), found: version, supported: VERSION });
    }
    if version < VERSION {
        return Err(corrupt(format!(
            "its version is {version}; expected {VERSION} (an older Kafka's folder must be upgraded by Kafka first)"
        )));
    }
    let cluster = value("cluster.id")?;
    let node = value("node.id")?;
    let directory = value("directory.id")?;
    Ok(Identity {
        cluster_id: cluster
            .parse()
            .map_err(|_| corrupt(format!("cluster.id {cluster:?} is not a UUID in Kafka's form")))?,
        node_id: BrokerId(node.parse().map_err(|_| corrupt(format!("node.id {node:?} is not a number")))?),
        directory: directory
            .parse()
            .map_err(|_| corrupt(format!("directory.id {directory:?} is not a UUID in Kafka's form")))?,
    })
}
