//! What a guest reaches of the host: its sink, its log, an empty WASI; and the limits that hold while it does.

use crate::Error;
use crate::cpu::Meter;
use crate::imports::{LOGGER, SINK};
use crate::limits::Limits;
use crate::lines::{Lines, LogLevel, Standard};
use std::sync::Arc;
use wasmtime::component::{ComponentType, Lift, Linker, ResourceTable, WasmList, WasmStr};
use wasmtime::{ResourceLimiter, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// One instance's side of the host.
pub struct Host {
    /// What the guest emitted in this call.
    pub emitted: Vec<Vec<u8>>,
    emitted_bytes: usize,
    output_bytes: usize,
    /// Memory and tables.
    pub memory: Memory,
    /// CPU time of this call.
    pub meter: Arc<Meter>,
    /// Its log.
    pub lines: Arc<Lines>,
    wasi: WasiCtx,
    resources: ResourceTable,
}

/// Why the host ended a call that the guest would have gone on with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Ended {
    /// The limit of CPU time.
    #[error("out of CPU time")]
    Cpu,
    /// More emitted than may be.
    #[error("it emitted more than {0} bytes for one batch")]
    Emitted(usize),
    /// More calls of `emit` than may be.
    #[error("it called emit more than {EMITS_MAX} times for one batch")]
    Emits,
}

/// How often a guest may call `emit` for one batch.
const EMITS_MAX: usize = 1024;

impl Host {
    /// The host of a new instance.
    pub fn new(limits: &Limits, lines: Arc<Lines>, meter: Arc<Meter>) -> Self {
        let standard = |level| Standard { lines: lines.clone(), level };
        let wasi = WasiCtx::builder()
            .stdout(standard(LogLevel::Info))
            .stderr(standard(LogLevel::Error))
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        // An output batch repeats nothing of the input, but has a table, bitmaps and ends beside its records.
        let output_bytes = limits.output_bytes.saturating_add(limits.output_records.saturating_mul(32));
        let memory = Memory { limit: limits.memory_bytes, used: 0, denied: None };
        Self {
            emitted: Vec::new(),
            emitted_bytes: 0,
            output_bytes,
            memory,
            meter,
            lines,
            wasi,
            resources: ResourceTable::new(),
        }
    }

    /// Forgets the last call.
    pub fn begin(&mut self) {
        self.emitted.clear();
        self.emitted_bytes = 0;
        self.memory.denied = None;
        self.lines.take_error();
    }

    fn room(&mut self, bytes: usize) -> Result<(), Ended> {
        self.emitted_bytes = self.emitted_bytes.saturating_add(bytes);
        if self.emitted_bytes > self.output_bytes {
            return Err(Ended::Emitted(self.output_bytes));
        }
        if self.emitted.len() >= EMITS_MAX { Err(Ended::Emits) } else { Ok(()) }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

/// The bound on linear memory, over all memories of the instance.
pub struct Memory {
    limit: usize,
    /// Bytes in use.
    pub used: usize,
    /// What was asked for beyond the limit, in this call.
    pub denied: Option<usize>,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(desired.saturating_sub(current));
        if wanted > self.limit {
            self.denied = Some(wanted);
            return Ok(false);
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= crate::limits::TABLE_ELEMENTS)
    }
}

/// The logger's enum, as the component model passes it.
#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "the component model's lifting makes them")]
enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

/// What guests are linked with: the sink and the logger, and WASI for those that ask for it.
pub fn linker(engine: &wasmtime::Engine, wasi: bool) -> Result<Linker<Host>, Error> {
    let linked = || -> wasmtime::Result<Linker<Host>> {
        let mut linker = Linker::new(engine);
        linker.instance(SINK)?.func_wrap(
            "emit",
            |mut store: StoreContextMut<'_, Host>, (batch,): (WasmList<u8>,)| {
                store.data_mut().room(batch.len())?;
                let batch = batch.as_le_slice(&store).to_vec();
                store.data_mut().emitted.push(batch);
                Ok(())
            },
        )?;
        linker.instance(LOGGER)?.func_wrap(
            "log",
            |store: StoreContextMut<'_, Host>, (level, message): (Level, WasmStr)| {
                let text = message.to_str(&store)?;
                store.data().lines.write(level.into(), &text);
                Ok(())
            },
        )?;
        if wasi {
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        }
        Ok(linker)
    };
    linked().map_err(|error| Error::Engine { reason: error.to_string() })
}
