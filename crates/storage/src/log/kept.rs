//! `millstream.producers`: what is known of the producers at one offset, kept with each checkpoint so that a recovery after a kill reads only
//! what was written since. Kafka's snapshots lie where segments begin and have one batch of each producer; this one has all that a retry is
//! told by.
//!
//! ```text
//! version i16 = 0 | crc-32c u32 of the rest | offset i64 | the owner's bytes      stored: never renumber
//! ```
//!
//! It stands for itself: it is true of the records below its offset whether these have been synced or not, and where they were lost it is not
//! used. That aborts below it are noted beside the log is made durable before it.

use super::{Log, Shared};
use crate::error::Error;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_record::crc32c;
use millstream_types::Offset;
use std::io;
use std::path::{Path, PathBuf};

/// The file's name.
pub(super) const NAME: &str = "millstream.producers";
const VERSION: i16 = 0;
const CRC_AT: usize = 2;
const OFFSET_AT: usize = 6;
const CONTENT_AT: usize = 14;

impl Log {
    /// Keeps what is known of the producers below `at` for the next recovery, in place of what was kept before. Nothing is kept of offsets
    /// that the log does not have.
    ///
    /// # Errors
    /// The disk's.
    pub async fn keep_producers(&self, at: Offset, content: Bytes) -> Result<(), Error> {
        self.0.usable()?;
        let _checkpointer = self.0.checkpointer.lock().await;
        if at > self.log_end() {
            return Ok(());
        }
        self.0.sync_aborted().await?;
        let path = path(&self.0.folder);
        self.0.runtime.disk.write_atomic(&path, encode(at, &content)).await.map_err(Error::io("write", &path))
    }

    /// What was kept of the producers when the log was opened after a kill or a power cut, and at which offset. It is given out once. None where
    /// nothing was kept, where it is damaged, or is of records that were lost.
    #[must_use]
    pub fn kept_producers(&self) -> Option<(Offset, Bytes)> {
        self.0.kept.lock().take()
    }

    /// Forgets what was kept of the producers, for good: what it says of the log is not true.
    ///
    /// # Errors
    /// The disk's.
    pub async fn forget_kept_producers(&self) -> Result<(), Error> {
        self.0.usable()?;
        self.0.forget_kept_producers().await
    }
}

impl Shared {
    /// Reads what was kept, while the log is opened. What is of records that were lost goes at once: others come to lie there. A log that was
    /// closed has a snapshot at its end, so that nothing of it is read again: what was kept before is of no use then.
    pub(super) async fn read_kept_producers(&self, end: Offset, was_closed: bool) -> Result<(), Error> {
        let path = path(&self.folder);
        match decode(self.runtime.disk.read(&path).await.map_err(Error::io("read", &path))?) {
            Ok((at, _)) if was_closed && at < end => {}
            Ok(kept) if kept.0 <= end => *self.kept.lock() = Some(kept),
            Ok(_) => self.forget_kept_producers().await?,
            Err(problem) => {
                tracing::warn!(file = %path.display(), problem, "what was kept of the producers is unusable; a snapshot and the log are read instead");
            }
        }
        Ok(())
    }

    /// Forgets what was kept of producers below an offset that the log no longer has: what is written there next is something else. Durable
    /// when it returns.
    pub(super) async fn forget_kept_producers(&self) -> Result<(), Error> {
        let _checkpointer = self.checkpointer.lock().await;
        let path = path(&self.folder);
        match self.runtime.disk.remove_file(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("remove", &path)(error)),
            Ok(()) => self.runtime.disk.sync_dir(&self.folder).await.map_err(Error::io("sync", &self.folder)),
        }
    }
}

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// The file of what is known at `at`.
pub(super) fn encode(at: Offset, content: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(CONTENT_AT + content.len());
    out.put_i16(VERSION);
    out.put_u32(0);
    out.put_i64(at.0);
    out.put_slice(content);
    let crc = crc32c(&[&out[OFFSET_AT..]]);
    out[CRC_AT..OFFSET_AT].copy_from_slice(&crc.to_be_bytes());
    out.freeze()
}

fn decode(mut file: Bytes) -> Result<(Offset, Bytes), &'static str> {
    if file.len() < CONTENT_AT {
        return Err("it is shorter than its header");
    }
    if file.get_i16() != VERSION {
        return Err("its version is not 0");
    }
    let crc = file.get_u32();
    if crc != crc32c(&[&file]) {
        return Err("its CRC does not fit its bytes");
    }
    let at = Offset(file.get_i64());
    if at < Offset::ZERO { Err("its offset is negative") } else { Ok((at, file)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_and_every_flipped_or_missing_bit_is_found() {
        let content = Bytes::from_static(b"of two producers");
        let file = encode(Offset(4711), &content);
        assert_eq!(decode(file.clone()), Ok((Offset(4711), content)));
        for len in 0..file.len() {
            assert!(decode(file.slice(..len)).is_err(), "{len} bytes");
        }
        for bit in 0..file.len() * 8 {
            let mut flipped = file.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(flipped.into()).is_err(), "bit {bit}");
        }
    }
}
