//! Batches near valid ones, many of them: none panics the door or a reader, and what the door takes is what a log gives back.
//!
//! Deterministic: the seed is fixed, and a failure prints the batch.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use bytes::Bytes;
use millstream_record::{BatchBuilder, CRC_COVERS_FROM, Codec, DoorRules, Limits, check, crc32c, split};
use millstream_types::{LeaderEpoch, Offset, TimestampMs};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;

const CASES: u32 = 20_000;
const LIMITS: Limits = Limits { decompressed_bytes_max: 1 << 20, records_max: 1 << 10 };
/// Numbers that decoders trip over.
const HOSTILE: [&[u8]; 6] =
    [&[0x7f, 0xff, 0xff, 0xff], &[0xff; 4], &[0x80, 0, 0, 0], &[0; 4], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x80; 10]];

fn batch(codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for n in 0..5 {
        let value = "text ".repeat(n);
        builder.push(
            TimestampMs(1_000 + n as i64),
            Some(b"key"),
            Some(value.as_bytes()),
            [("h", Some(b"v".as_slice()))],
        );
    }
    builder.push(TimestampMs(1), None, None, []);
    builder.build(Offset(0), LeaderEpoch(0)).unwrap().into_bytes().to_vec()
}

/// What is done to a batch, and whether its length and CRC are made right again.
#[derive(Debug, Clone)]
struct Mutation {
    codec: Codec,
    bytes: Vec<(Index, u8)>,
    hostile: Option<(Index, usize)>,
    cut: Option<Index>,
    sealed: bool,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let codec = proptest::sample::select(Codec::ALL.to_vec());
    let hostile = proptest::option::weighted(0.3, (any::<Index>(), 0..HOSTILE.len()));
    let cut = proptest::option::weighted(0.2, any::<Index>());
    let parts = (codec, vec(any::<(Index, u8)>(), 0..4), hostile, cut, prop::bool::weighted(0.8));
    parts.prop_map(|(codec, bytes, hostile, cut, sealed)| Mutation { codec, bytes, hostile, cut, sealed })
}

fn mutated(mutation: &Mutation) -> Bytes {
    let mut made = batch(mutation.codec);
    for (at, byte) in &mutation.bytes {
        let at = at.index(made.len());
        made[at] = *byte;
    }
    if let Some((at, which)) = &mutation.hostile {
        let at = at.index(made.len());
        let end = made.len().min(at + HOSTILE[*which].len());
        made.splice(at..end, HOSTILE[*which].iter().copied());
    }
    if let Some(cut) = &mutation.cut {
        made.truncate(cut.index(made.len()));
    }
    if mutation.sealed && made.len() > 61 {
        let length = i32::try_from(made.len() - 12).unwrap();
        made[8..12].copy_from_slice(&length.to_be_bytes());
        let crc = crc32c(&[&made[CRC_COVERS_FROM..]]);
        made[CRC_COVERS_FROM - 4..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    }
    made.into()
}

#[test]
fn no_changed_batch_panics_the_door_or_a_reader() {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let (taken, refused, read) = (Cell::new(0u32), Cell::new(0u32), Cell::new(0u32));
    let outcome = runner.run(&mutation(), |mutation| {
        let bytes = mutated(&mutation);
        match check(bytes.clone(), &DoorRules::client(1 << 20)) {
            Ok(batches) => {
                taken.set(taken.get() + 1);
                prop_assert_eq!(batches.len(), 1);
                prop_assert_eq!(split(batches[0].bytes().clone()).map(|found| found.len()), Ok(1));
            }
            Err(error) => {
                refused.set(refused.get() + 1);
                prop_assert!(!error.to_string().is_empty());
            }
        }
        for batch in split(bytes).unwrap_or_default() {
            if let Ok(columns) = batch.records(&LIMITS) {
                read.set(read.get() + 1);
                prop_assert!(columns.len() <= LIMITS.records_max);
            }
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    // Both sides of the door are met, or the mutations test nothing.
    let (taken, refused, read) = (taken.get(), refused.get(), read.get());
    assert!(taken > CASES / 20 && refused > CASES / 4 && read > CASES / 20, "{taken} {refused} {read}");
}
