//! Snapshots: an image as records, in a file that is also what a follower is sent.
//!
//! ```text
//! header (number: the index of the last entry in it) | meta frame | records frame ... | end frame
//! body    1 u8, JSON of the Raft library's meta | 2 u8, records as `metadata::encode` writes them | 3 u8, count of records u64
//! ```
//! Kinds are stored: never renumber.

use crate::Error;
use crate::error::DiskContext;
use crate::frame::{FRAME_HEAD_LEN, HEADER_LEN, Reader, body_at, frame, header, read_header};
use crate::raft_types::SnapshotMeta;
use bytes::{Bytes, BytesMut};
use millstream_metadata::{Image, Record, decode, encode};
use millstream_runtime::Disk;
use std::path::{Path, PathBuf};

/// How a snapshot begins. Stored: never change.
const MAGIC: [u8; 8] = *b"MILLSNAP";
const META: u8 = 1;
const RECORDS: u8 = 2;
const END: u8 = 3;
/// Records in one frame.
const RECORDS_PER_FRAME: usize = 1_000;
const SUFFIX: &str = ".snapshot";

/// The bytes of a snapshot of `image`.
pub(crate) fn to_bytes(meta: &SnapshotMeta, image: &Image) -> std::io::Result<Bytes> {
    let mut file = BytesMut::from(&header(MAGIC, index(meta))[..]);
    let mut put = |kind: u8, content: &[u8]| -> std::io::Result<()> {
        file.extend_from_slice(&frame(&[&[kind], content].concat())?);
        Ok(())
    };
    put(META, &serde_json::to_vec(meta)?)?;
    let mut records = image.records();
    let mut count = 0u64;
    loop {
        let some: Vec<Record> = records.by_ref().take(RECORDS_PER_FRAME).collect();
        if some.is_empty() {
            break;
        }
        count += some.len() as u64;
        put(RECORDS, &encode(&some))?;
    }
    put(END, &count.to_be_bytes())?;
    Ok(file.freeze())
}

/// Reads the bytes of a snapshot. `path` names it in errors.
pub(crate) fn from_bytes(path: &Path, file: &Bytes) -> Result<(SnapshotMeta, Image), Error> {
    read_header(path, file, MAGIC)?;
    let (mut position, mut count, mut meta, mut image) = (HEADER_LEN, 0u64, None, Image::default());
    loop {
        let corrupt = |reason: String| Error::Corrupt { path: path.to_owned(), position: position as u64, reason };
        let body = body_at(file, position).ok_or_else(|| corrupt("a frame can't be read".into()))?;
        let mut reader = Reader(&body);
        match reader.u8() {
            Some(META) if meta.is_none() => {
                let parsed: SnapshotMeta =
                    serde_json::from_slice(reader.0).map_err(|error| corrupt(error.to_string()))?;
                meta = Some(parsed);
            }
            Some(RECORDS) => {
                let records = decode(reader.0).map_err(|error| corrupt(error.to_string()))?;
                count += records.len() as u64;
                image.replay_all(&records).map_err(|error| corrupt(error.to_string()))?;
            }
            Some(END) if reader.u64() == Some(count) && position + FRAME_HEAD_LEN + body.len() == file.len() => {
                let meta = meta.ok_or_else(|| corrupt("it does not say what it is a snapshot of".into()))?;
                return Ok((meta, image));
            }
            _ => return Err(corrupt("its frames do not make a whole snapshot".into())),
        }
        position += FRAME_HEAD_LEN + body.len();
    }
}

/// Stores a snapshot; durable when this returns. Older ones are removed then.
pub(crate) async fn store(disk: &dyn Disk, dir: &Path, meta: &SnapshotMeta, file: Bytes) -> std::io::Result<()> {
    let name = format!("snapshot-{:020}{SUFFIX}", index(meta));
    disk.write_atomic(&dir.join(&name), file).await?;
    for (other, _) in disk.read_dir(dir).await? {
        if is_snapshot(&other) && other < name {
            disk.remove_file(&dir.join(other)).await?;
        }
    }
    Ok(())
}

/// The newest snapshot in `dir`, if there is one.
pub(crate) async fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<(SnapshotMeta, Image, Bytes)>, Error> {
    let names = disk.read_dir(dir).await.while_at("list", dir)?;
    let Some(path) = newest(dir, names.iter().map(|(name, _)| name)) else { return Ok(None) };
    let file = disk.read(&path).await.while_at("read", &path)?;
    let (meta, image) = from_bytes(&path, &file)?;
    Ok(Some((meta, image, file)))
}

fn newest<'a>(dir: &Path, names: impl Iterator<Item = &'a String>) -> Option<PathBuf> {
    // Names have leading zeros: their order is the indexes'.
    names.filter(|name| is_snapshot(name)).max().map(|name| dir.join(name))
}

fn is_snapshot(name: &str) -> bool {
    name.starts_with("snapshot-") && name.ends_with(SUFFIX)
}

fn index(meta: &SnapshotMeta) -> u64 {
    meta.last_log_id.map_or(0, |id| id.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft_types::log_id;
    use millstream_metadata::brokers::form_cluster;
    use millstream_types::ClusterId;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn snapshot() -> (SnapshotMeta, Image, Bytes) {
        let meta = SnapshotMeta { last_log_id: Some(log_id(3, 9)), ..SnapshotMeta::default() };
        let mut image = Image::default();
        let formed = form_cluster(&image, ClusterId(Uuid::from_u128(1))).unwrap();
        image.replay_all(&formed.records).unwrap();
        let file = to_bytes(&meta, &image).unwrap();
        (meta, image, file)
    }

    #[test]
    fn a_snapshot_round_trips() {
        let (meta, image, file) = snapshot();
        assert_eq!(from_bytes(Path::new("s"), &file).unwrap(), (meta, image));
    }

    #[test]
    fn every_changed_or_missing_byte_is_found() {
        let (.., file) = snapshot();
        for at in 0..file.len() {
            let mut changed = file.to_vec();
            changed[at] ^= 0x10;
            assert!(from_bytes(Path::new("s"), &changed.into()).is_err(), "byte {at}");
            assert!(from_bytes(Path::new("s"), &file.slice(..at)).is_err(), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(file in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(from_bytes(Path::new("s"), &file.into()).is_err());
        }
    }
}
