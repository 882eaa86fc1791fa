//! One task of a function: its guest, and before it the input's schema where that is asked for.

use async_trait::async_trait;
use millstream_record::Columns;
use millstream_schema::Validator;
use millstream_task::{Failure, Operator, OperatorError, Outcome};
use millstream_telemetry::{Counter, Gauge, Metrics, catalogue};
use millstream_wasm::Instance;

/// The worker of one partition.
pub struct FunctionOperator {
    instance: Instance,
    validator: Option<Validator>,
    gauges: Gauges,
}

/// What its guest uses, as metrics show it.
struct Gauges {
    cpu_ms: Counter,
    counted_ms: u64,
    memory: Gauge,
    shown: i64,
}

impl Gauges {
    fn show(&mut self, instance: &Instance) {
        let used = u64::try_from(instance.cpu().as_millis()).unwrap_or(u64::MAX);
        self.cpu_ms.add(used.saturating_sub(self.counted_ms));
        self.counted_ms = used;
        self.hold(i64::try_from(instance.memory_bytes()).unwrap_or(i64::MAX));
    }

    /// All tasks of a function share one gauge: each adds what changed.
    fn hold(&mut self, bytes: i64) {
        self.memory.add(bytes - self.shown);
        self.shown = bytes;
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        self.hold(0);
    }
}

impl FunctionOperator {
    /// A worker around an instance. With a validator, values that do not fit never reach the guest.
    pub fn new(function: &str, instance: Instance, validator: Option<Validator>, metrics: &Metrics) -> Self {
        let gauges = Gauges {
            cpu_ms: metrics.counter(&catalogue::GUEST_CPU, &[function]),
            counted_ms: 0,
            memory: metrics.gauge(&catalogue::GUEST_MEMORY, &[function]),
            shown: 0,
        };
        Self { instance, validator, gauges }
    }

    async fn run(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        let processed = self.instance.process(input).await;
        self.gauges.show(&self.instance);
        processed.map_err(|error| OperatorError::new(error.kind(), error.to_string()))
    }
}

#[async_trait]
impl Operator for FunctionOperator {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        let Some(validator) = &self.validator else {
            return self.run(input).await;
        };
        let (mut fitting, mut places, mut misfits) = (Columns::default(), Vec::new(), Vec::new());
        for index in 0..input.len() {
            let place = u32::try_from(index).unwrap_or(u32::MAX);
            match input.values.get(index).map_or(Ok(()), |value| validator.check(value)) {
                Ok(()) => {
                    fitting.push_from(input, index);
                    places.push(place);
                }
                Err(error) => misfits.push(Failure { input: place, message: error.to_string() }),
            }
        }
        if misfits.is_empty() {
            return self.run(input).await;
        }
        let mut outcome = self.run(&fitting).await?;
        let place = |at: &mut u32| *at = places.get(*at as usize).copied().unwrap_or(*at);
        outcome.outputs.iter_mut().flat_map(|output| &mut output.inputs).for_each(place);
        outcome.failures.iter_mut().for_each(|failure| place(&mut failure.input));
        outcome.failures.extend(misfits);
        outcome.failures.sort_by_key(|failure| failure.input);
        Ok(outcome)
    }
}
