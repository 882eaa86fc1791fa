//! A running function: one instance at a time, made when it is needed, thrown away when it misbehaved.

use crate::cpu::{Meter, Metered};
use crate::host::{Ended, Host};
use crate::imports::TRANSFORM;
use crate::limits::{HOSTCALL_BYTES, Limits};
use crate::lines::{Lines, LogSink};
use crate::packed::{Assembler, OUTPUTS_MAX, pack};
use crate::{Compiled, Error};
use millstream_record::{Columns, Outcome};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::TypedFunc;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

/// What an instance is given at its start.
#[derive(Clone)]
pub struct InstanceConfig {
    /// The function's name, for messages.
    pub function: String,
    /// Its settings, a JSON object as text.
    pub settings: String,
    /// How many output topics it has.
    pub outputs: usize,
    /// What it may use.
    pub limits: Limits,
    /// Who keeps its log.
    pub log: Arc<dyn LogSink>,
}

/// One worker of a function. It instantiates the component when it has to: at first, after a trap, past the memory mark.
pub struct Instance {
    compiled: Compiled,
    config: Arc<InstanceConfig>,
    lines: Arc<Lines>,
    live: Option<Live>,
    started: u64,
    cpu: Duration,
}

type Configure = TypedFunc<(String,), (Result<(), String>,)>;
type Process = TypedFunc<(Vec<u8>,), (Result<(), String>,)>;

/// An instantiated and configured component.
struct Live {
    store: Store<Host>,
    process: Process,
}

impl Compiled {
    /// A worker for this component. Nothing runs yet.
    ///
    /// # Errors
    /// [`Error::MemoryAsked`] when its limits are past the engine's.
    pub fn instance(&self, config: InstanceConfig) -> Result<Instance, Error> {
        let (asked, max) = (config.limits.memory_bytes, self.engine.limits.memory_bytes_max);
        if asked > max {
            return Err(Error::MemoryAsked { function: config.function, asked, max });
        }
        debug_assert!(config.outputs <= OUTPUTS_MAX, "the deployment checks how many outputs there are");
        let lines = Arc::new(Lines::new(config.log.clone(), self.engine.runtime.clock.clone()));
        Ok(Instance {
            compiled: self.clone(),
            config: Arc::new(config),
            lines,
            live: None,
            started: 0,
            cpu: Duration::ZERO,
        })
    }
}

impl Instance {
    /// Instantiates and configures now rather than at the first batch: shows whether the function takes its settings.
    ///
    /// # Errors
    /// What `configure` answers, or why it could not.
    pub async fn prepare(&mut self) -> Result<(), Error> {
        if self.live.is_none() {
            let start =
                Start { compiled: self.compiled.clone(), config: self.config.clone(), lines: self.lines.clone() };
            self.started += 1;
            let live = self
                .compiled
                .engine
                .runtime
                .compute
                .run(start.run())
                .await
                .map_err(|error| self.lost(&error.to_string()))??;
            self.live = Some(live);
        }
        Ok(())
    }

    /// Gives the guest one batch and returns what came of it.
    ///
    /// # Errors
    /// Of kind `Guest` when the guest is to blame: the whole batch came to nothing, and the instance was thrown away unless it answered
    /// an error in good order.
    pub async fn process(&mut self, records: &Columns) -> Result<Outcome, Error> {
        let function = || self.config.function.clone();
        let mut packed = Vec::new();
        if !pack(records, &mut packed) {
            return Err(Error::Batch32 { function: function(), bytes: records.payload_bytes() });
        }
        self.prepare().await?;
        let Some(live) = self.live.take() else {
            return Err(self.lost("its instance is gone"));
        };
        let call =
            Call { live, packed, records: records.len(), config: self.config.clone(), compiled: self.compiled.clone() };
        let done = self
            .compiled
            .engine
            .runtime
            .compute
            .run(call.run())
            .await
            .map_err(|error| self.lost(&error.to_string()))?;
        self.live = done.live;
        self.cpu += done.cpu;
        let emitted = done.emitted?;
        let Limits { output_bytes, output_records, .. } = self.config.limits;
        let assembler = Assembler {
            input: records,
            outputs: self.config.outputs,
            bytes_max: output_bytes,
            records_max: output_records,
        };
        assembler.assemble(&emitted).map_err(|reason| {
            self.live = None;
            Error::Answer { function: self.config.function.clone(), reason }
        })
    }

    /// How often the component has been instantiated: more than once says that it trapped or outgrew its mark.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started
    }

    /// CPU time that its batches have used.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.cpu
    }

    /// Bytes of linear memory that it has now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.live.as_ref().map_or(0, |live| live.store.data().memory.used)
    }

    fn lost(&self, reason: &str) -> Error {
        Error::Lost {
            function: self.config.function.clone(),
            reason: reason.to_owned(),
            internal: reason.contains("panicked"),
        }
    }
}

/// Instantiates and configures, on a compute thread.
struct Start {
    compiled: Compiled,
    config: Arc<InstanceConfig>,
    lines: Arc<Lines>,
}

impl Start {
    async fn run(self) -> Result<Live, Error> {
        let Self { compiled, config, lines } = self;
        let _running = compiled.engine.ticker.running();
        let meter = Arc::new(Meter::default());
        let mut store = Store::new(&compiled.engine.wasmtime, Host::new(&config.limits, lines, meter.clone()));
        store.limiter(|host| &mut host.memory);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.epoch_deadline_callback(|store| {
            if store.data().meter.tick() { Ok(UpdateDeadline::Yield(1)) } else { Err(Ended::Cpu.into()) }
        });
        store.set_epoch_deadline(1);
        meter.start(config.limits.cpu);
        let clock = compiled.engine.runtime.clock.clone();
        let started = bounded(&clock, &compiled, &config, metered(&meter, start(&mut store, &compiled, &config))).await;
        match started {
            Ok(Ok((Ok(()), process))) => Ok(Live { store, process }),
            Ok(Ok((Err(message), _))) => Err(Error::Settings { function: config.function.clone(), message }),
            Ok(Err(Failed::Export(reason))) => Err(Error::Export { expected: TRANSFORM, reason }),
            Ok(Err(Failed::Guest(error))) => Err(blame(&config, &mut store, "configure", &error)),
            Err(Waited) => {
                Err(Error::Wall { function: config.function.clone(), call: "configure", limit: config.limits.wall })
            }
        }
    }
}

enum Failed {
    Export(String),
    Guest(wasmtime::Error),
}

async fn start(
    store: &mut Store<Host>,
    compiled: &Compiled,
    config: &InstanceConfig,
) -> Result<(Result<(), String>, Process), Failed> {
    let instance = compiled.pre.instantiate_async(&mut *store).await.map_err(Failed::Guest)?;
    let export = |reason: String| Failed::Export(reason);
    let interface =
        instance.get_export_index(&mut *store, None, TRANSFORM).ok_or_else(|| export("it is not there".into()))?;
    let mut index = |name: &str| {
        instance
            .get_export_index(&mut *store, Some(&interface), name)
            .ok_or_else(|| export(format!("the interface lacks the function {name}")))
    };
    let (configure, process) = (index("configure")?, index("process")?);
    let typed = |name: &str, error: wasmtime::Error| export(format!("the function {name} has other types: {error:#}"));
    let configure: Configure =
        instance.get_typed_func(&mut *store, configure).map_err(|error| typed("configure", error))?;
    let process: Process = instance.get_typed_func(&mut *store, process).map_err(|error| typed("process", error))?;
    let (answer,) = configure.call_async(&mut *store, (config.settings.clone(),)).await.map_err(Failed::Guest)?;
    Ok((answer, process))
}

/// One call of `process`, on a compute thread.
struct Call {
    live: Live,
    packed: Vec<u8>,
    records: usize,
    config: Arc<InstanceConfig>,
    compiled: Compiled,
}

/// What remains after a call.
struct Done {
    live: Option<Live>,
    cpu: Duration,
    emitted: Result<Vec<Vec<u8>>, Error>,
}

impl Call {
    async fn run(self) -> Done {
        let Self { mut live, packed, records, config, compiled } = self;
        let _running = compiled.engine.ticker.running();
        let meter = live.store.data().meter.clone();
        live.store.data_mut().begin();
        live.store.set_epoch_deadline(1);
        meter.start(config.limits.cpu);
        let clock = compiled.engine.runtime.clock.clone();
        let Live { mut store, process } = live;
        let answer =
            bounded(&clock, &compiled, &config, metered(&meter, process.call_async(&mut store, (packed,)))).await;
        let function = || config.function.clone();
        let (keep, emitted) = match answer {
            Ok(Ok((Ok(()),))) => (true, Ok(std::mem::take(&mut store.data_mut().emitted))),
            Ok(Ok((Err(message),))) => (true, Err(Error::Batch { function: function(), records, message })),
            Ok(Err(error)) => (false, Err(blame(&config, &mut store, "process", &error))),
            Err(Waited) => {
                (false, Err(Error::Wall { function: function(), call: "process", limit: config.limits.wall }))
            }
        };
        let outgrown = store.data().memory.used > config.limits.memory_mark();
        Done { live: (keep && !outgrown).then_some(Live { store, process }), cpu: meter.used(), emitted }
    }
}

fn metered<F: Future>(meter: &Arc<Meter>, call: F) -> Metered<F> {
    Metered { call: Box::pin(call), meter: meter.clone() }
}

/// The wall time was over.
struct Waited;

/// Waits for a call; no longer than its wall time where the guest can wait.
async fn bounded<F: Future>(
    clock: &Arc<dyn millstream_runtime::Clock>,
    compiled: &Compiled,
    config: &InstanceConfig,
    call: Metered<F>,
) -> Result<F::Output, Waited> {
    if !compiled.wasi {
        return Ok(call.await);
    }
    tokio::select! {
        biased;
        answer = call => Ok(answer),
        () = clock.sleep(config.limits.wall) => Err(Waited),
    }
}

/// Says what ended a call: a limit of ours, or a trap of the guest's with the last error that it logged.
fn blame(config: &InstanceConfig, store: &mut Store<Host>, call: &'static str, error: &wasmtime::Error) -> Error {
    let function = config.function.clone();
    if error.is::<PoolConcurrencyLimitError>() {
        return Error::Crowded { function, reason: error.to_string() };
    }
    if matches!(error.downcast_ref::<Ended>(), Some(Ended::Cpu)) {
        return Error::Cpu { function, call, limit: config.limits.cpu };
    }
    if let Some(wanted) = store.data_mut().memory.denied.take() {
        return Error::Memory { function, call, wanted, limit: config.limits.memory_bytes };
    }
    let cause = match (error.downcast_ref::<Ended>(), error.downcast_ref::<Trap>()) {
        (Some(ended), _) => ended.to_string(),
        (None, Some(trap)) => trap.to_string(),
        (None, None) => error.root_cause().to_string(),
    };
    let reason = match store.data().lines.take_error() {
        Some(line) => format!("{cause}; its last error: {line}"),
        None => cause,
    };
    Error::Trap { function, call, reason }
}
