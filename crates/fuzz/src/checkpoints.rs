//! Any bytes as the files that a broker keeps beside its logs: checkpoints of offsets, snapshots of producers, names of folders, whose they are.

use bytes::Bytes;
use millstream_partition::{decode_producers, encode_producers, parse_checkpoint, print_checkpoint};
use millstream_record::crc32c;
use millstream_storage::{
    ProducerSnapshotEntry, decode_producer_snapshot, encode_producer_snapshot, folder_name, parse_folder_name,
};
use millstream_txn::{Producers, SnapshotEntry};
use millstream_types::{FolderIdentity, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};
use std::path::Path;

/// What the CRC of a snapshot covers begins here, and the CRC itself four bytes before.
const SNAPSHOT_CRC_COVERS_FROM: usize = 6;
const IDENTITY: &[u8] =
    b"version=1\ncluster.id=fMCL8kv1SWm87L_Md-I2hg\nnode.id=1\ndirectory.id=KIi5gVZMTOuxI9qTbIoNWA\n";

/// Tries these bytes as each of the files.
pub fn run(bytes: &[u8]) {
    if let Some(offsets) = parse_checkpoint(bytes) {
        let printed = print_checkpoint(&offsets);
        assert_eq!(parse_checkpoint(&printed), Some(offsets), "a checkpoint says the same when it is written again");
    }
    if let Some((topic, partition)) = std::str::from_utf8(bytes).ok().and_then(parse_folder_name) {
        assert_eq!(folder_name(topic, partition).as_bytes(), bytes, "a folder has one name");
    }
    if let Some(memory) = decode_producers(Bytes::copy_from_slice(bytes)) {
        let again = decode_producers(encode_producers(&memory));
        assert_eq!(again, Some(memory), "what is kept of producers says the same when it is written again");
    }
    if let Ok(identity) = FolderIdentity::parse(bytes) {
        let again = FolderIdentity::parse(identity.text().as_bytes());
        assert_eq!(again, Ok(identity), "a folder is the same one when that is written again");
    }
    snapshot(bytes);
    if bytes.len() > SNAPSHOT_CRC_COVERS_FROM {
        let mut sealed = bytes.to_vec();
        let crc = crc32c(&[&sealed[SNAPSHOT_CRC_COVERS_FROM..]]);
        sealed[SNAPSHOT_CRC_COVERS_FROM - 4..SNAPSHOT_CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        snapshot(&sealed);
    }
}

fn snapshot(bytes: &[u8]) {
    let path = Path::new("x");
    if let Ok(entries) = decode_producer_snapshot(&Bytes::copy_from_slice(bytes), path) {
        let written = encode_producer_snapshot(&entries);
        let again = decode_producer_snapshot(&written, path).ok();
        assert_eq!(again, Some(entries), "a snapshot says the same when it is written again");
    }
}

/// What a snapshot says of a producer, whose transaction began there if it is open.
pub(crate) const fn producer_entry(current_txn_first_offset: Option<Offset>) -> ProducerSnapshotEntry {
    ProducerSnapshotEntry {
        producer_id: ProducerId(7),
        epoch: ProducerEpoch(0),
        last_sequence: 2,
        last_offset: Offset(65),
        offset_delta: 2,
        timestamp: TimestampMs(1_000),
        coordinator_epoch: 0,
        current_txn_first_offset,
    }
}

/// One of each, ours and Kafka's.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let offsets = [(("orders".to_owned(), 0), Offset(1_207)), (("a.b".to_owned(), 13), Offset(0))];
    let entry = producer_entry(Some(Offset(63)));
    let known = SnapshotEntry {
        producer_id: ProducerId(7),
        epoch: ProducerEpoch(0),
        last_sequence: 2,
        last_offset: Offset(65),
        offset_delta: 2,
        timestamp: TimestampMs(1_000),
        coordinator_epoch: 0,
        current_txn_first_offset: Offset(63),
    };
    vec![
        print_checkpoint(&offsets.into()).to_vec(),
        print_checkpoint(&[].into()).to_vec(),
        folder_name("orders", PartitionIndex(13)).into_bytes(),
        encode_producers(&Producers::restore(&[known]).memory()).to_vec(),
        IDENTITY.to_vec(),
        encode_producer_snapshot(&[]).to_vec(),
        encode_producer_snapshot(&[entry, entry]).to_vec(),
        include_bytes!("../../storage/tests/golden/small-0/00000000000000000820.snapshot").to_vec(),
    ]
}
