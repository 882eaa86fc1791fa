//! A moment of what `cargo xtask fuzz` does for long: the seeds of every entry, and inputs near them, drawn from a number.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use bytes::Bytes;
use millstream_fuzz::{TARGETS, Target, carried, codecs, requests};
use millstream_group::subscription::{Subscription, read_assignment};
use millstream_protocol::telemetry::points;
use millstream_protocol::{SERVED, decode, supported};
use millstream_record::{Codec, Error};
use millstream_runtime::{Random, SeededRandom};
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

/// For each entry.
const MOMENT: Duration = Duration::from_millis(300);
/// Inputs that are tried however long that takes.
const MUTATED_MIN: u64 = 50;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn try_out(target: &Target, bytes: &[u8]) {
    if catch_unwind(|| (target.run)(bytes)).is_err() {
        panic!("{}: {}", target.name, hex(bytes));
    }
}

fn mutated(seeds: &[Vec<u8>], random: &SeededRandom) -> Vec<u8> {
    let below = |bound: usize| usize::try_from(random.below(bound.max(1) as u64)).unwrap();
    let mut bytes = seeds[below(seeds.len())].clone();
    for _ in 0..=below(4) {
        let at = below(bytes.len() + 1);
        let end = bytes.len().min(at + below(8));
        match below(5) {
            0 => bytes[at..end].iter_mut().for_each(|byte| *byte = u8::try_from(random.below(256)).unwrap()),
            1 => bytes.truncate(at),
            2 => drop(bytes.splice(at..end, [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0; 4]][below(3)])),
            3 => drop(bytes.drain(at..end)),
            _ => {
                let other = &seeds[below(seeds.len())];
                bytes.splice(at.., other[below(other.len())..].iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn every_entry_keeps_its_promise_for_its_seeds_and_what_is_near_them() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        seeds.iter().for_each(|seed| try_out(target, seed));
        let (random, begun, mut tried) = (SeededRandom::new(1), Instant::now(), 0_u64);
        while tried < MUTATED_MIN || begun.elapsed() < MOMENT {
            try_out(target, &mutated(&seeds, &random));
            tried += 1;
        }
        println!("{}: {} seeds, {tried} near them", target.name, seeds.len());
    }
}

#[test]
fn every_version_of_every_request_is_among_the_seeds() {
    // Some are of versions that are not served.
    let decoded = requests::seeds().into_iter().filter_map(|seed| decode(seed.into()).ok());
    let told: BTreeSet<(i16, i16)> = decoded.map(|request| (request.api as i16, request.version)).collect();
    let all = SERVED.iter().flat_map(|api| supported(*api).unwrap().map(|version| (*api as i16, version)));
    assert_eq!(told, all.collect());
}

#[test]
fn every_codec_is_reached_by_seeds_that_fit_and_by_one_that_does_not() {
    let seeds: Vec<Bytes> = codecs::seeds().into_iter().map(Bytes::from).collect();
    for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
        let outcomes: Vec<_> = seeds.iter().map(|seed| codec.decompress(seed, codecs::LIMIT)).collect();
        assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() >= 3, "{codec:?}");
        assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(Error::Bomb { .. }))), "{codec:?}");
    }
}

#[test]
fn the_seeds_of_what_is_carried_are_whole() {
    let seeds = carried::seeds();
    let versions = seeds.iter().filter_map(|seed| Subscription::read(seed).ok().filter(|read| read.topics.len() == 2));
    assert_eq!(versions.map(|read| read.version).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(
        seeds.iter().any(|seed| read_assignment(seed).is_ok_and(|(partitions, _)| partitions["orders"].len() == 2))
    );
    let names = seeds.iter().filter_map(|seed| points(seed).ok()).flatten().map(|point| point.name);
    let attributed = "name{key=1.5,key=9,key=true,key=v}";
    assert_eq!(names.collect::<Vec<_>>(), [attributed, "name", attributed, "name"]);
}

#[test]
fn every_entry_has_a_program_for_the_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer/fuzz_targets");
    let programs: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(programs, TARGETS.iter().map(|target| target.name.to_owned()).collect());
}
