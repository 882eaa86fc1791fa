//! Whether an append was in flight when the node died: what it had been sent and not answered, and what of that is in its log.
//!
//! ```text
//! a batch of format 2:  0 base offset  8 length  16 magic=2  17 CRC  43 producer id  53 base sequence  57 count
//! ```

use std::collections::BTreeSet;
use std::path::Path;

const HEADER: usize = 61;

/// What tells one producer's batch from any other: producer id, base sequence, CRC.
type BatchId = ([u8; 8], [u8; 4], [u8; 4]);

/// What one kill left behind.
#[derive(Debug, Default, Clone, Copy)]
pub struct Kill {
    /// Produce requests that the node had been sent whole and never answered.
    pub unanswered: usize,
    /// Batches of theirs that are in the log all the same.
    pub logged: usize,
    /// Logs that end within a batch.
    pub torn: usize,
}

/// Looks at the requests and at the data folder of a node that is dead.
pub fn of(unanswered: &[Vec<u8>], data: &Path, topic: &str) -> Kill {
    let sent: BTreeSet<BatchId> = unanswered.iter().flat_map(|frame| batches_within(frame)).collect();
    let (mut there, mut torn) = (BTreeSet::new(), 0);
    let folders = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.is_dir() && is_of(path, topic)) {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|path| path.extension().is_some_and(|ending| ending == "log")) {
            let content = std::fs::read(file).unwrap();
            let (batches, end) = batches_of(&content);
            there.extend(batches);
            torn += usize::from(end < content.len());
        }
    }
    Kill { unanswered: unanswered.len(), logged: sent.intersection(&there).count(), torn }
}

fn is_of(path: &Path, topic: &str) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.rsplit_once('-').is_some_and(|(of, partition)| of == topic && partition.parse::<u32>().is_ok())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().unwrap()
}

/// The length of the batch at the start of `bytes`, where there is a whole one.
fn batch_len(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < HEADER || bytes[16] != 2 {
        return None;
    }
    let len = 12 + usize::try_from(i32::from_be_bytes(array(bytes, 8))).ok()?;
    (HEADER..=bytes.len()).contains(&len).then_some(len)
}

fn id(batch: &[u8]) -> BatchId {
    (array(batch, 43), array(batch, 53), array(batch, 17))
}

/// The batches of a log, and where they end.
fn batches_of(log: &[u8]) -> (Vec<BatchId>, usize) {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(len) = batch_len(&log[at..]) {
        found.push(id(&log[at..]));
        at += len;
    }
    (found, at)
}

/// The batches in a request: they begin with offset 0, which no place that looks like one otherwise does.
fn batches_within(frame: &[u8]) -> Vec<BatchId> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at + HEADER <= frame.len() {
        match batch_len(&frame[at..]).filter(|_| frame[at..at + 8] == [0; 8]) {
            Some(len) => {
                found.push(id(&frame[at..]));
                at += len;
            }
            None => at += 1,
        }
    }
    found
}
