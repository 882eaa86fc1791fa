//! The engine: one per node, shared by all functions.

use crate::Error;
use crate::cache::Cache;
use crate::compiled::{Compiled, ComponentHash};
use crate::limits::{CALL_STACK_BYTES, EngineLimits, GUEST_STACK_BYTES, TABLE_ELEMENTS};
use crate::ticker::Ticker;
use bytes::Bytes;
use millstream_runtime::Runtime;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::component::Component;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Compiles components and runs them. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) runtime: Runtime,
    pub(crate) limits: EngineLimits,
    pub(crate) ticker: Arc<Ticker>,
    cache: Option<Cache>,
    /// One compile at a time: it uses every core anyway, and the second of two equal ones finds the first one's code.
    compiling: tokio::sync::Mutex<()>,
}

impl Engine {
    /// An engine that keeps compiled code in `cache_folder`, if any. Call within a tokio runtime: it starts the pulse that bounds guests.
    ///
    /// # Errors
    /// [`Error::Engine`] when the machine can't run compiled WebAssembly.
    pub fn new(runtime: &Runtime, limits: EngineLimits, cache_folder: Option<PathBuf>) -> Result<Self, Error> {
        let wasmtime = wasmtime::Engine::new(&config(Some(&limits))).or_else(|error| {
            tracing::warn!(%error, "no address space for a pool of guest memories; each guest gets its own, which is slower to start");
            wasmtime::Engine::new(&config(None)).map_err(|error| Error::Engine { reason: error.to_string() })
        })?;
        let cache = cache_folder.map(|folder| Cache::new(runtime, folder, &wasmtime, limits.cached_components_max));
        let ticker = Ticker::start(runtime, wasmtime.clone());
        Ok(Self(Arc::new(Shared {
            wasmtime,
            runtime: runtime.clone(),
            limits,
            ticker,
            cache,
            compiling: tokio::sync::Mutex::default(),
        })))
    }

    /// The engine's limits.
    #[must_use]
    pub fn limits(&self) -> EngineLimits {
        self.0.limits
    }

    /// Checks and compiles a component on the compute threads, or takes its code from the cache. Seconds for large ones: never on a
    /// request's path.
    ///
    /// # Errors
    /// `Invalid` when it is not a component, is too large, imports what it must not or exports something else.
    pub async fn compile(&self, component: Bytes) -> Result<Compiled, Error> {
        let (bytes, max) = (component.len(), self.0.limits.component_bytes_max);
        if bytes > max {
            return Err(Error::TooLarge { bytes, max });
        }
        let hash = ComponentHash::of(&component);
        let _alone = self.0.compiling.lock().await;
        if let Some(compiled) = self.cached(hash).await {
            return Ok(compiled);
        }
        let shared = self.0.clone();
        let (compiled, code) =
            self.0.runtime.compute.run(async move { compile(shared, hash, &component) }).await.map_err(lost)??;
        if let Some(cache) = &self.0.cache {
            cache.store(&hash, &code).await;
        }
        Ok(compiled)
    }

    /// Code from the cache on disk; none when there is none or this engine does not take it.
    async fn cached(&self, hash: ComponentHash) -> Option<Compiled> {
        let code = self.0.cache.as_ref()?.load(&hash).await?;
        let shared = self.0.clone();
        let load = async move {
            #[expect(
                unsafe_code,
                reason = "the code is this engine's own output: its checksum was just verified, and whoever can write our data folder can run code as us anyway"
            )]
            // SAFETY: see the reason above; `Cache` names files by wasmtime's own compatibility hash.
            let component = unsafe { Component::deserialize(&shared.wasmtime, &code) };
            component.ok().and_then(|component| Compiled::new(shared, hash, &component, true).ok())
        };
        self.0.runtime.compute.run(load).await.ok()?
    }
}

fn compile(shared: Arc<Shared>, hash: ComponentHash, bytes: &[u8]) -> Result<(Compiled, Vec<u8>), Error> {
    let not_component = |error: wasmtime::Error| Error::NotComponent { reason: first_line(&format!("{error:#}")) };
    let component = Component::from_binary(&shared.wasmtime, bytes).map_err(not_component)?;
    let code = component.serialize().map_err(|error| Error::Engine { reason: format!("{error:#}") })?;
    Ok((Compiled::new(shared, hash, &component, false)?, code))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn lost(error: impl std::fmt::Display) -> Error {
    let reason = error.to_string();
    Error::Lost { function: "(compiling)".into(), internal: reason.contains("panicked"), reason }
}

/// Memories that one component may have.
const MEMORIES_EACH: u32 = 4;

/// Wasmtime's settings: with a pool of memories, or without.
fn config(pool: Option<&EngineLimits>) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(GUEST_STACK_BYTES);
    config.async_stack_size(CALL_STACK_BYTES);
    config.wasm_backtrace_max_frames(None);
    config.cranelift_nan_canonicalization(false);
    if let Some(limits) = pool {
        let count = limits.instances_max;
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(count)
            // A component may be several modules: QuickJS brings three memories, wasip2's adapter one more than its program's.
            .total_core_instances(count.saturating_mul(8))
            .total_memories(count.saturating_mul(MEMORIES_EACH))
            .total_tables(count.saturating_mul(8))
            .total_stacks(count)
            .max_core_instances_per_component(24)
            .max_memories_per_component(MEMORIES_EACH)
            .max_tables_per_component(16)
            .max_memory_size(limits.memory_bytes_max)
            .table_elements(TABLE_ELEMENTS)
            .max_core_instance_size(8 << 20)
            .max_component_instance_size(8 << 20)
            .linear_memory_keep_resident(1 << 20);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}
