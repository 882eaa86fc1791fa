//! What became of a followed file at its end: rotated, truncated, or simply not longer yet. It blocks: used on compute threads only.

use crate::reading::Reading;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is under the file's name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The open file; it may grow.
    Same,
    /// Another file: the open one was renamed or deleted, and will not grow.
    Rotated,
    /// The open file, shorter than what was read of it.
    Truncated,
    /// Nothing, for now.
    Missing,
}

/// Looks at the name of an open file that was read to its end.
pub(crate) fn look(path: &Path, reading: &Reading) -> io::Result<Seen> {
    let now = match std::fs::metadata(path) {
        Ok(now) => now,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Seen::Missing),
        Err(error) => return Err(error),
    };
    let (inode, read) = reading.identity()?;
    Ok(match now {
        now if now.ino() != inode => Seen::Rotated,
        now if now.len() < read => Seen::Truncated,
        _ => Seen::Same,
    })
}
