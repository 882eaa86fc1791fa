//! A log's folder with damage made from bytes: files cut, overwritten, replaced, missing, batches that lie under a true CRC. Whatever is found
//! when it is opened, read, compacted and written on is an error in words or good; nothing panics, and what is read is whole batches.
//!
//! ```text
//! input = how it was left u8 | (file u8 | at u16 | edit u8 | bytes u8 | bytes)*
//! ```

use crate::checkpoints::producer_entry;
use crate::input::{Input, piece};
use bytes::Bytes;
use millstream_record::{Batch, BatchBuilder, CRC_COVERS_FROM, Codec, LENGTH_PREFIX_BYTES, Limits, crc32c, split};
use millstream_runtime::{Disk, OpenMode, Runtime, SimDisk};
use millstream_storage::{
    AbortedTxn, CleaningBudget, Log, LogId, Pace, Recovery, decode_producer_snapshot, encode_producer_snapshot,
};
use millstream_types::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicConfig, TopicId, TopicPartition,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Changes of files that one input makes at most.
const EDITS_MAX: usize = 16;
/// Kinds of changes.
const EDITS: usize = 8;

/// What became of a damaged folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It was not opened.
    Refused,
    /// It was opened, and something in it could not be read or compacted.
    Partly,
    /// It was opened, read and compacted.
    Whole,
}

fn id() -> LogId {
    let topic: TopicId = "KIi5gVZMTOuxI9qTbIoNWA".parse().expect("an id");
    LogId { dir: PathBuf::from("data"), topic: "t".into(), partition: TopicPartition::new(topic, PartitionIndex(0)) }
}

fn config() -> Arc<TopicConfig> {
    Arc::new(TopicConfig {
        compact: true,
        delete: false,
        segment_bytes: 1_500,
        index_interval_bytes: 200,
        delete_retention_ms: 0,
        ..TopicConfig::default()
    })
}

fn batch(number: i64) -> Batch {
    let codec = Codec::ALL[usize::try_from(number % 5).expect("small")];
    let mut builder = BatchBuilder::new(codec);
    if number % 3 == 0 {
        builder = builder.producer(ProducerId(7), ProducerEpoch(0), 0).transactional();
    }
    for at in 0..3 {
        let (key, value) = (format!("k{}", (number + at) % 7), [b'v'; 60]);
        builder.push(TimestampMs(1_000 + number), Some(key.as_bytes()), (number % 4 != 0).then_some(&value[..]), []);
    }
    builder.build(Offset(0), LeaderEpoch(0)).expect("small")
}

/// The files of a good folder, as a clean stop leaves it.
async fn template() -> Vec<(PathBuf, Bytes)> {
    let disk = Arc::new(SimDisk::new());
    let runtime = Runtime::simulated(1, disk.clone());
    let log = Log::open(runtime, id(), config(), Recovery::CLEAN).await.expect("a new folder");
    for number in 0..24 {
        let epoch = LeaderEpoch(if number < 12 { 0 } else { 3 });
        let appended = log.append(&[batch(number)], epoch).await.expect("it fits");
        if number % 6 == 5 {
            let (first, next) = (appended.base_offset, appended.next_offset);
            let aborted = AbortedTxn {
                producer: ProducerId(7),
                first_offset: first,
                last_offset: Offset(next.0 - 1),
                last_stable: next,
            };
            log.add_aborted(&[aborted]).await.expect("in order");
        }
    }
    log.flush().await.expect("a disk in memory");
    log.keep_producers(log.log_end(), Bytes::from_static(b"of one producer")).await.expect("a disk in memory");
    log.checkpoint().await.expect("a disk in memory");
    log.close(Some(encode_producer_snapshot(&[producer_entry(None)]))).await.expect("a disk in memory");
    let mut files = Vec::new();
    for (path, _) in disk.files() {
        files.push((path.clone(), disk.read(&path).await.expect("it is there")));
    }
    files.sort();
    files
}

fn edited(content: &[u8], input: &mut Input<'_>) -> Option<Vec<u8>> {
    let mut content = content.to_vec();
    let at = (input.byte() << 8 | input.byte()) % (content.len() + 1);
    match input.byte() % EDITS {
        0 => return None,
        1 => content.truncate(at),
        2 => content = input.piece().to_vec(),
        3 => {
            let piece = input.piece();
            let end = content.len().min(at + piece.len());
            content.splice(at..end, piece.iter().copied());
        }
        4 => content.extend_from_slice(input.piece()),
        5 => content.extend(sealed(input.piece())),
        6 => lie(&mut content, at, input.piece()),
        _ => {
            let piece = input.piece();
            content.splice(at..at, piece.iter().copied());
        }
    }
    Some(content)
}

/// The bytes as a batch that says how long it is, with a true CRC: what lies in it is found by who reads its records.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut batch = bytes.to_vec();
    batch.resize(batch.len().max(61), 0);
    let length = i32::try_from(batch.len() - 12).expect("short");
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    let crc = crc32c(&[&batch[CRC_COVERS_FROM..]]);
    batch[CRC_COVERS_FROM - 4..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// Overwrites something in the batch that lies at this position, and puts its CRC right: a batch whose place in the log is good, and that lies about
/// all else.
fn lie(content: &mut [u8], at: usize, piece: &[u8]) {
    let mut begin = 0;
    while let Some(length) = content.get(begin + 8..).and_then(|rest| rest.first_chunk::<4>()) {
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return };
        let end = (begin + LENGTH_PREFIX_BYTES).saturating_add(length);
        let Some(batch) = content.get_mut(begin..end).filter(|batch| batch.len() > CRC_COVERS_FROM) else { return };
        if at < end {
            let from = CRC_COVERS_FROM.max(at - begin);
            batch[from..].iter_mut().zip(piece).for_each(|(byte, lie)| *byte = *lie);
            let crc = crc32c(&[&batch[CRC_COVERS_FROM..]]);
            batch[CRC_COVERS_FROM - 4..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
            return;
        }
        begin = end;
    }
}

async fn opened(files: &[(PathBuf, Bytes)], input: &mut Input<'_>) -> Option<(Runtime, Log)> {
    let recovery = [Recovery::CLEAN, Recovery::KILLED, Recovery::POWER_LOST][input.byte() % 3];
    let mut contents: Vec<(PathBuf, Option<Vec<u8>>)> =
        files.iter().map(|(path, content)| (path.clone(), Some(content.to_vec()))).collect();
    for _ in 0..EDITS_MAX {
        if input.0.is_empty() {
            break;
        }
        let file = input.byte() % contents.len();
        let before = contents[file].1.take().unwrap_or_default();
        contents[file].1 = edited(&before, input);
    }
    let disk = Arc::new(SimDisk::new());
    disk.create_dir_all(&id().folder()).await.expect("a disk in memory");
    for (path, content) in contents {
        let Some(content) = content else { continue };
        let file = disk.open(Path::new(&path), OpenMode::Append).await.expect("a disk in memory");
        file.append(&[content.into()]).await.expect("a disk in memory");
    }
    let runtime = Runtime::simulated(1, disk);
    let log = Log::open(runtime.clone(), id(), config(), recovery).await.ok()?;
    Some((runtime, log))
}

/// Whether everything can be read. What is given out is whole batches, in order.
async fn is_readable(log: &Log) -> bool {
    let mut from = log.local_start();
    while from < log.log_end() {
        let Ok(slice) = log.read(from, log.log_end(), 1 << 16, true).await else { return false };
        assert!(slice.next_offset > from || slice.is_empty(), "a read goes on");
        if slice.is_empty() {
            return false;
        }
        let Some(records) = slice.records else { return false };
        let Ok(bytes) = records.read().await else { return false };
        let Ok(batches) = split(bytes) else { return false };
        for batch in batches {
            let _ = batch.records(&Limits { decompressed_bytes_max: 1 << 20, records_max: 1 << 16 });
        }
        from = slice.next_offset;
    }
    log.aborted(log.local_start(), log.log_end()).await.is_ok()
}

async fn look(files: &[(PathBuf, Bytes)], bytes: &[u8]) -> Found {
    let _ = decode_producer_snapshot(&Bytes::copy_from_slice(bytes), Path::new("x"));
    let mut input = Input(bytes);
    let Some((runtime, log)) = opened(files, &mut input).await else { return Found::Refused };
    let mut is_whole = is_readable(&log).await;
    while let Ok(Some((at, content))) = log.producer_snapshot(log.log_end()).await {
        let is_good = decode_producer_snapshot(&content, log.folder()).is_ok();
        is_whole &= is_good;
        if is_good || log.remove_producer_snapshots(|offset| offset == at).await.is_err() {
            break;
        }
    }
    is_whole &= log.roll().await.is_ok();
    if let Ok(Some(dirty)) = log.dirty(log.log_end()).await {
        let budget = CleaningBudget { memory_bytes: 1 << 16, load: 0.9, io_bytes: 700 };
        let pace = Pace::new(&runtime, runtime.tasks.shutdown(), 1e9);
        is_whole &= log.clean(&dirty, &BTreeMap::new(), budget, &pace).await.is_ok();
        let _ = is_readable(&log).await;
    }
    is_whole &= log.append(&[batch(1)], LeaderEpoch(9)).await.is_ok();
    if is_whole { Found::Whole } else { Found::Partly }
}

/// Tries these bytes.
pub fn run(bytes: &[u8]) {
    let _ = exercise(bytes);
}

/// Each kind of damage to each of the first files, at several places.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    const FILES: u8 = 24;
    const KINDS: [u8; EDITS] = [0, 1, 2, 3, 4, 5, 6, 7];
    let piece = piece(&[0, 0, 0, 9, 0x7f, 0xff, 0xff, 0xff, 1]);
    let seed = |file: u8, edit: u8| {
        let (recovery, at) = ((file + edit) % 3, [file.wrapping_mul(7) % 8, edit.wrapping_mul(37)]);
        [&[recovery, file, at[0], at[1], edit][..], &piece].concat()
    };
    (0..FILES).flat_map(|file| KINDS.map(|edit| seed(file, edit))).collect()
}

/// Makes the damage that the bytes say, and looks.
pub fn exercise(bytes: &[u8]) -> Found {
    static TEMPLATE: OnceLock<Vec<(PathBuf, Bytes)>> = OnceLock::new();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let tokio = builder.enable_time().start_paused(true).build().expect("a runtime");
    let files = TEMPLATE.get_or_init(|| tokio.block_on(template()));
    tokio.block_on(look(files, bytes))
}
