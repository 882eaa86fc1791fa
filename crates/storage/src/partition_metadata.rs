//! Kafka's `partition.metadata`: which topic a folder is of.
//!
//! ```text
//! version: 0
//! topic_id: KIi5gVZMTOuxI9qTbIoNWA
//! ```

use crate::error::Error;
use bytes::Bytes;
use millstream_runtime::Disk;
use millstream_types::TopicId;
use std::path::Path;

const NAME: &str = "partition.metadata";

/// Checks that `folder` is of `topic`, or makes it so where it says nothing yet.
pub async fn claim(disk: &dyn Disk, folder: &Path, topic: TopicId) -> Result<(), Error> {
    let path = folder.join(NAME);
    if !disk.exists(&path).await.map_err(Error::io("look for", &path))? {
        let content = format!("version: 0\ntopic_id: {topic}");
        return disk.write_atomic(&path, Bytes::from(content)).await.map_err(Error::io("write", &path));
    }
    let content = disk.read(&path).await.map_err(Error::io("read", &path))?;
    let found = parse(&content).map_err(|problem| Error::format(&path, problem))?;
    if found == topic { Ok(()) } else { Err(Error::WrongTopic { path: folder.to_owned(), found, expected: topic }) }
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
