//! What a function costs by itself: the host's packing, the call, the guest, and putting its answer together. No log, no threads between.
//!
//! ```text
//! cargo bench -p millstream-wasm --bench guests -- [COMPONENT..]      functions/filter and functions/filter-js when none is named
//! ```
//! One line a component, best of several rounds: nanoseconds of CPU for each record, all of it and the guest's part.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a bench")]

use bytes::Bytes;
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_wasm::{Engine, EngineLimits, Instance, InstanceConfig, Limits, LogLevel, LogSink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Records of one call: what a task reads at once.
const BATCH: u64 = 8_000;
/// Calls of one round.
const CALLS: u64 = 10;
/// Rounds; the best one counts.
const ROUNDS: u64 = 7;

struct Lines;

impl LogSink for Lines {
    fn line(&self, level: LogLevel, message: &str) {
        eprintln!("{level:?}: {message}");
    }
}

/// The events of the comparison with Kafka Streams (`bench/functions.md`): 105 bytes of JSON on average.
fn event(i: u64) -> (String, String) {
    let draw = |k: u64| {
        let mut z = 1u64.wrapping_add((8 * i + k + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let kind = ["view", "click", "search", "cart", "purchase", "refund", "login", "logout"][(draw(1) % 8) as usize];
    let region = ["eu-w", "eu-c", "us-e", "us-w", "ap-s", "ap-n"][(draw(4) % 6) as usize];
    let (user, cents) = (format!("u{}", 100_000 + draw(0) % 10_000), draw(2) % 100_000);
    let (whole, part, time, ok) = (cents / 100, cents % 100, 1_760_000_000_000 + i, draw(3) & 1 == 1);
    let value = format!(
        r#"{{"id":{i},"user":"{user}","kind":"{kind}","region":"{region}","amount":{whole}.{part:02},"ts":{time},"ok":{ok}}}"#
    );
    (user, value)
}

fn events(from: u64) -> Columns {
    let mut columns = Columns::default();
    for i in from..from + BATCH {
        let (user, value) = event(i);
        columns.push(1_760_000_000_000 + i as i64, Some(user.as_bytes()), Some(value.as_bytes()), []);
    }
    columns
}

fn process_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds of CPU a record (all, guest) and how many records came out.
async fn round(instance: &mut Instance, batches: &[Columns]) -> (f64, f64, usize) {
    let (all, guest, mut out) = (process_cpu(), instance.cpu(), 0);
    for batch in batches {
        let outcome = instance.process(batch).await.unwrap();
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures.first());
        out += outcome.outputs.iter().map(|output| output.records.len()).sum::<usize>();
    }
    let records = batches.iter().map(Columns::len).sum::<usize>() as f64;
    let each = |spent: Duration| spent.as_nanos() as f64 / records;
    (each(process_cpu() - all), each(instance.cpu() - guest), out)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let functions = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../functions");
    let mut components: Vec<PathBuf> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).map(PathBuf::from).collect();
    if components.is_empty() {
        components = vec![functions.join("filter/filter.wasm"), functions.join("filter-js/filter-js.wasm")];
    }
    let engine =
        Engine::new(&Runtime::real(), EngineLimits { instances_max: 8, ..EngineLimits::default() }, None).unwrap();
    let batches: Vec<Columns> = (0..CALLS).map(|call| events(call * BATCH)).collect();
    println!("{:>9} {:>9} {:>9} {:>8}  component", "ns/record", "guest", "out", "MiB");
    for path in components {
        let bytes = Bytes::from(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        let compiled = engine.compile(bytes).await.unwrap();
        let limits = Limits { cpu: Duration::from_secs(60), ..Limits::default() };
        let config = InstanceConfig {
            function: "bench".into(),
            settings: "{}".into(),
            outputs: 1,
            limits,
            log: Arc::new(Lines),
        };
        let mut instance = compiled.instance(config).unwrap();
        let mut best = (f64::MAX, f64::MAX, 0);
        for _ in 0..ROUNDS {
            let (all, guest, out) = round(&mut instance, &batches).await;
            best = (best.0.min(all), best.1.min(guest), out);
        }
        let memory = instance.memory_bytes() as f64 / f64::from(1 << 20);
        println!("{:>9.0} {:>9.0} {:>9} {memory:>8.1}  {}", best.0, best.1, best.2, path.display());
    }
}
