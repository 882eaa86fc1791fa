//! Guests, records and log keepers for the engine's tests.
#![allow(dead_code, missing_docs, reason = "each test file uses some of it")]

use bytes::Bytes;
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_wasm::{Compiled, Engine, EngineLimits, Instance, InstanceConfig, Limits, LogLevel, LogSink};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A built component of `functions/`.
pub fn component(path: &str) -> Bytes {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../functions").join(path);
    Bytes::from(
        std::fs::read(&file)
            .unwrap_or_else(|error| panic!("{}: {error}; build it with functions/build.sh", file.display())),
    )
}

#[derive(Default)]
pub struct Kept(pub Mutex<Vec<(LogLevel, String)>>);

impl LogSink for Kept {
    fn line(&self, level: LogLevel, message: &str) {
        self.0.lock().unwrap().push((level, message.to_owned()));
    }
}

impl Kept {
    pub fn lines(&self) -> Vec<(LogLevel, String)> {
        self.0.lock().unwrap().clone()
    }
}

/// An engine whose compiled code stays with the build: a QuickJS component takes seconds to compile.
pub fn engine() -> Engine {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled-guests");
    let limits = EngineLimits { instances_max: 16, ..EngineLimits::default() };
    Engine::new(&Runtime::real(), limits, Some(cache)).unwrap()
}

pub fn instance_with(compiled: &Compiled, settings: &str, limits: Limits, log: Arc<dyn LogSink>) -> Instance {
    let config = InstanceConfig { function: "under-test".into(), settings: settings.into(), outputs: 2, limits, log };
    compiled.instance(config).unwrap()
}

pub fn instance(compiled: &Compiled, settings: &str) -> Instance {
    instance_with(compiled, settings, Limits::default(), Arc::new(Kept::default()))
}

pub fn records(values: &[&str]) -> Columns {
    let mut columns = Columns::default();
    for (index, value) in values.iter().enumerate() {
        columns.push(
            1_760_000_000_000 + index as i64,
            Some(format!("k{index}").as_bytes()),
            Some(value.as_bytes()),
            [],
        );
    }
    columns
}

pub fn texts(columns: &Columns) -> Vec<String> {
    columns.values.iter().map(|value| String::from_utf8_lossy(value.unwrap_or(b"(null)")).into_owned()).collect()
}
