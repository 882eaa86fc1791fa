//! Any bytes as batches: taken at the door or refused, and read or refused, also where their CRC is right.

use bytes::Bytes;
use millstream_record::{BatchBuilder, CRC_COVERS_FROM, Codec, DoorRules, Limits, check, crc32c, split};
use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// What reading a batch may come to, and so what one that lies may cost.
const LIMITS: Limits = Limits { decompressed_bytes_max: 1 << 18, records_max: 1 << 14 };

/// Tries these bytes.
pub fn run(bytes: &[u8]) {
    read(bytes);
    if bytes.len() > CRC_COVERS_FROM {
        read(&sealed(bytes));
    }
}

/// With the CRC of what it covers.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    let crc = crc32c(&[&sealed[CRC_COVERS_FROM..]]);
    sealed[CRC_COVERS_FROM - 4..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    sealed
}

fn read(bytes: &[u8]) {
    if let Ok(batches) = check(Bytes::copy_from_slice(bytes), &DoorRules::client(1 << 20)) {
        let stored: Vec<u8> = batches.iter().flat_map(|batch| batch.bytes().to_vec()).collect();
        let found = split(stored.into()).map(|found| found.len());
        assert_eq!(found, Ok(batches.len()), "what the door takes is found again in a log");
    }
    for batch in split(Bytes::copy_from_slice(bytes)).unwrap_or_default() {
        if let Ok(columns) = batch.records(&LIMITS) {
            assert!(columns.len() <= LIMITS.records_max, "{} records", columns.len());
        }
    }
}

/// What Kafka's own classes wrote, and small batches of each kind of ours.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = golden().map(<[u8]>::to_vec).to_vec();
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(codec).producer(ProducerId(7), ProducerEpoch(1), 3);
        for number in 0..3 {
            let headers = [("name", Some(b"value".as_slice())), ("none", None)];
            builder.push(TimestampMs(1_000 + number), Some(b"key"), (number != 1).then_some(&b"value"[..]), headers);
        }
        seeds.extend(builder.build(Offset(5), LeaderEpoch(2)).map(|batch| batch.bytes().to_vec()));
    }
    let [_, first, second, ..] = &seeds[..] else { return seeds };
    let together = [&first[..], second].concat();
    seeds.push(together);
    seeds
}

/// Files of `record/tests/golden`, but for the largest.
pub(crate) const fn golden() -> [&'static [u8]; 8] {
    [
        include_bytes!("../../record/tests/golden/codec-gzip.bin"),
        include_bytes!("../../record/tests/golden/codec-lz4.bin"),
        include_bytes!("../../record/tests/golden/codec-snappy.bin"),
        include_bytes!("../../record/tests/golden/codec-zstd.bin"),
        include_bytes!("../../record/tests/golden/control-commit.bin"),
        include_bytes!("../../record/tests/golden/log-append-time.bin"),
        include_bytes!("../../record/tests/golden/no-timestamp.bin"),
        include_bytes!("../../record/tests/golden/transactional.bin"),
    ]
}
