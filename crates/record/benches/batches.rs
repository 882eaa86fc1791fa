//! What the door and the columns cost per batch.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millstream_record::{Batch, BatchBuilder, Codec, DoorRules, Limits, check};
use millstream_types::{LeaderEpoch, Offset, TimestampMs};
use std::hint::black_box;

const RECORDS: i64 = 1000;

fn batch(codec: Codec) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for number in 0..RECORDS {
        let value =
            format!("{{\"id\":{number},\"name\":\"customer {}\",\"amount\":{}}}", number % 37, number * 7919 % 1000);
        builder.push(TimestampMs(1_700_000_000_000 + number), Some(&number.to_be_bytes()), Some(value.as_bytes()), []);
    }
    builder.build(Offset(0), LeaderEpoch(0)).unwrap_or_else(|error| unreachable!("a small batch builds: {error}"))
}

fn door(c: &mut Criterion) {
    let mut group = c.benchmark_group("door");
    for codec in [Codec::None, Codec::Lz4] {
        let bytes = batch(codec).into_bytes();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let rules = DoorRules::client(1 << 20);
        group.bench_with_input(BenchmarkId::from_parameter(codec), &bytes, |b, bytes| {
            b.iter(|| check(black_box(bytes.clone()), &rules))
        });
    }
    group.finish();
}

fn columns(c: &mut Criterion) {
    let mut group = c.benchmark_group("columns");
    for codec in Codec::ALL {
        let batch = batch(codec);
        group.throughput(Throughput::Elements(RECORDS.unsigned_abs()));
        group.bench_with_input(BenchmarkId::from_parameter(codec), &batch, |b, batch| {
            b.iter(|| black_box(batch).records(&Limits::default()))
        });
    }
    group.finish();
}

fn place(c: &mut Criterion) {
    let batch = batch(Codec::None);
    c.bench_function("placed", |b| b.iter(|| black_box(&batch).placed(Offset(7), LeaderEpoch(1), None)));
    c.bench_function("placed with append time", |b| {
        b.iter(|| black_box(&batch).placed(Offset(7), LeaderEpoch(1), Some(TimestampMs(1))))
    });
}

criterion_group!(benches, door, columns, place);
criterion_main!(benches);
