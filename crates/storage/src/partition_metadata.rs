//! Kafka's `partition.metadata`: which topic a folder is of.
//!
//! ```text
//! version: 0
//! topic_id: KIi5gVZMTOuxI9qTbIoNWA
//! ```

use crate::error::Error;
use bytes::Bytes;
use millstream_runtime::{Disk, OpenMode};
use millstream_types::TopicId;
use std::path::Path;

/// The file's name.
pub const NAME: &str = "partition.metadata";

/// What is known of a folder's file before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// There is none.
    New,
    /// There is one that a power cut may have kept from reaching the disk: nothing beside it did either.
    Unsure,
    /// There is one.
    Settled,
}

/// Checks that `folder` is of `topic`, or makes it so where it says nothing yet. What is written here is synced by [`sync`].
pub async fn claim(disk: &dyn Disk, folder: &Path, topic: TopicId, claim: Claim) -> Result<(), Error> {
    let path = folder.join(NAME);
    if claim == Claim::New {
        return write(disk, &path, topic).await;
    }
    let content = disk.read(&path).await.map_err(Error::io("read", &path))?;
    match parse(&content) {
        Ok(found) if found == topic => Ok(()),
        Ok(found) => Err(Error::WrongTopic { path: folder.to_owned(), found, expected: topic }),
        Err(problem) if claim == Claim::Unsure => {
            tracing::warn!(file = %path.display(), problem, "a power cut came before the file was on disk; it is written anew");
            write(disk, &path, topic).await
        }
        Err(problem) => Err(Error::format(&path, problem)),
    }
}

/// The topic that a partition's folder is of; none where it does not say.
///
/// # Errors
/// The disk's; [`Error::Format`].
pub async fn topic_of(disk: &dyn Disk, folder: &Path) -> Result<Option<TopicId>, Error> {
    let path = folder.join(NAME);
    if !disk.exists(&path).await.map_err(Error::io("look for", &path))? {
        return Ok(None);
    }
    let content = disk.read(&path).await.map_err(Error::io("read", &path))?;
    parse(&content).map(Some).map_err(|problem| Error::format(&path, problem))
}

async fn write(disk: &dyn Disk, path: &Path, topic: TopicId) -> Result<(), Error> {
    let file = disk.open(path, OpenMode::Append).await.map_err(Error::io("open", path))?;
    let content = Bytes::from(format!("version: 0\ntopic_id: {topic}"));
    let written = async {
        if !file.is_empty() {
            file.truncate(0).await?;
        }
        file.append(&[content]).await
    };
    written.await.map_err(Error::io("write", path))?;
    Ok(())
}

/// Makes the file survive a power cut.
pub async fn sync(disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
    let path = folder.join(NAME);
    let file = disk.open(&path, OpenMode::Read).await.map_err(Error::io("open", &path))?;
    file.sync().await.map_err(Error::io("sync", &path))
}

fn parse(content: &[u8]) -> Result<TopicId, String> {
    let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.split_once(": ").filter(|(key, _)| *key == name))
            .map(|(_, value)| value.trim())
            .ok_or_else(|| format!("it has no {name}"))
    };
    match field("version")? {
        "0" => field("topic_id")?.parse().map_err(|error| format!("{error}")),
        version => Err(format!("its version is {version}; expected 0")),
    }
}
